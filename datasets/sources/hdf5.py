"""Read gzip'd HDF5 arrays by several threads: unpacking is nearly all of the work, and h5py does it on one core.

Intel's ISA-L unpacks the same bytes in two thirds of zlib's time, without Python's lock.

A file may come from anywhere, so `open_hdf5` looks at what it declares before any array is read: nothing in it may lead
to other files, and unpacked it must stay below the limit on size.
"""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from isal import igzip_lib, isal_zlib

from ..conversions import NUMBERS
from ..errors import UserError
from ..file_checks import check_regular_file, check_unpacked_size
from ..processes import cores
from ..trajectories import Array

BLOCK = 1 << 24  # bytes read at a time, where an array is read only to see that it can be
# What h5py raises for a file that is cut short or altered, or that holds types which NumPy does not have.
DAMAGE = (OSError, RuntimeError, KeyError, TypeError, ValueError)
LINKS = (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT)  # both within the file


@contextmanager
def open_hdf5(path: Path, advice: str = "download or copy it again") -> Iterator[h5py.File]:
    """An HDF5 file to read arrays from; whatever h5py raises meanwhile becomes a `UserError` of one line.

    Raises a `UserError` also for what is no regular file, for a file whose arrays or links lead to other files, and for
    one whose arrays declare more than the limit (`check_unpacked_size`).
    """
    check_regular_file(path)
    try:
        with h5py.File(path, "r") as content:
            check_contents(content, path)
            yield content
    except UserError:
        raise
    except DAMAGE as error:
        raise UserError(f"{path} is damaged or cut short ({one_line(error)}); {advice}") from None


def one_line(error: BaseException) -> str:
    """An exception's message on a single line."""
    return " ".join(str(error).split()) or type(error).__name__


def check_contents(content: h5py.File, path: Path) -> None:
    """Refuse, with a `UserError`, a file that leads to other files or declares too much; no array is read."""
    outside: list[bytes] = []
    content.id.links.visit(lambda name, link: None if link.type in LINKS else outside.append(name), info=True)
    if outside:
        raise _leads_out(path, outside[0])
    size = 0
    for name, array in _arrays(content):
        layout = array.get_create_plist()
        if layout.get_layout() == h5py.h5d.VIRTUAL or layout.get_external_count():
            raise _leads_out(path, name)
        size += _unpacked_size(array, layout)
    check_unpacked_size(path, size)


def _arrays(content: h5py.File) -> Iterator[tuple[bytes, h5py.h5d.DatasetID]]:
    names: list[bytes] = []
    h5py.h5o.visit(
        content.id, lambda name, found: names.append(name) if found.type == h5py.h5o.TYPE_DATASET else None, info=True
    )
    for name in names:
        yield name, h5py.h5d.open(content.id, name)


def _leads_out(path: Path, name: bytes) -> UserError:
    return UserError(
        f"{path} keeps {name.decode(errors='replace')!r} in another file, which is not followed; "
        "write a file that holds all of its data, e.g. with h5repack"
    )


def _unpacked_size(array: h5py.h5d.DatasetID, layout: h5py.h5p.PropDCID) -> int:
    """Bytes of an array or, if that is larger, of one of its chunks, which is unpacked whole."""
    shape = array.shape or ()
    chunk = layout.get_chunk() if layout.get_layout() == h5py.h5d.CHUNKED else ()
    return max(math.prod(shape), math.prod(chunk)) * int(array.get_type().get_size())


def read_array(array: h5py.Dataset, rows: Array | None = None) -> Array:
    """All of an array (T, ...), or its `rows` (n,), ascending; the same as `array[()]` and `array[rows]`.

    Only an array whose chunks were all written with gzip and no other filter is unpacked here; h5py reads any other.
    Raises what h5py raises if the file is damaged, and `OSError` if a chunk is.
    """
    if not _is_plain_gzip(array):
        whole: Array = array[()]
        return whole if rows is None else whole[rows]
    found = np.empty((len(array) if rows is None else len(rows), *array.shape[1:]), array.dtype)
    threads = cores()
    chunks = list(array.iter_chunks())
    with ThreadPoolExecutor(threads) as pool:
        shares = [pool.submit(_unpack, array, chunks[i::threads], rows, found) for i in range(threads)]
    for share in shares:
        share.result()
    return found


def read_through(array: h5py.Dataset) -> None:
    """Read all of an array and forget it; raises what `read_array` raises."""
    if _is_plain_gzip(array):
        read_array(array, np.empty(0, np.int64))
    elif array.ndim == 0:
        _ = array[()]
    else:
        row = math.prod(array.shape[1:]) * array.id.get_type().get_size()
        rows = max(1, BLOCK // max(1, row))
        for start in range(0, len(array), rows):
            _ = array[start : start + rows]


def _is_plain_gzip(array: h5py.Dataset) -> bool:
    if array.chunks is None or array.compression != "gzip" or array.shuffle or array.fletcher32 or array.scaleoffset:
        return False
    if array.dtype.kind not in NUMBERS or not array.id.get_type().equal(h5py.h5t.py_create(array.dtype)):
        return False  # stored in another form than NumPy's, which h5py converts
    expected = math.prod(-(-size // chunk) for size, chunk in zip(array.shape, array.chunks, strict=True))
    return bool(array.id.get_num_chunks() == expected)  # one that was never written stands for zeros


def _unpack(array: h5py.Dataset, chunks: list[tuple[slice, ...]], rows: Array | None, found: Array) -> None:
    size = math.prod(array.chunks) * array.dtype.itemsize
    for place in chunks:
        skipped_filters, packed = array.id.read_direct_chunk(tuple(part.start for part in place))
        content = packed if skipped_filters else _inflate(packed, size)
        if len(content) != size:
            raise OSError(f"a chunk has {len(content)} bytes, not {size}")
        # A chunk at the border is stored whole; what lies beyond the array is cut off.
        block = np.frombuffer(content, array.dtype).reshape(array.chunks)[tuple(slice(p.stop - p.start) for p in place)]
        if rows is None:
            found[place] = block
        else:
            first, last = np.searchsorted(rows, (place[0].start, place[0].stop))
            found[first:last, *place[1:]] = block[rows[first:last] - place[0].start]


def _inflate(packed: bytes, size: int) -> bytes:
    """Unpack a chunk of `size` bytes, and no more than one byte beyond that, whatever it holds."""
    unpacking = isal_zlib.decompressobj()
    try:
        content: bytes = unpacking.decompress(packed, size + 1)  # without Python's lock: threads do this at once
    except igzip_lib.IsalError as error:  # type: ignore[misc]  # its stub has an instance
        raise OSError(f"a chunk can't be unpacked: {error}") from None
    if len(content) == size and not unpacking.eof:
        raise OSError("a chunk can't be unpacked: it is cut short")
    return content
