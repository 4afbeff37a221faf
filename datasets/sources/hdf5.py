"""Reads gzip'd HDF5 arrays by several threads: unpacking is nearly all of the work, and h5py does it on one core.

Intel's ISA-L unpacks the same bytes in two thirds of zlib's time, without Python's lock.
"""

from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
from isal import igzip_lib, isal_zlib

from ..processes import cores
from ..trajectories import Array


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


def _is_plain_gzip(array: h5py.Dataset) -> bool:
    if array.chunks is None or array.compression != "gzip" or array.shuffle or array.fletcher32 or array.scaleoffset:
        return False
    expected = np.prod([-(-size // chunk) for size, chunk in zip(array.shape, array.chunks, strict=True)])
    return bool(array.id.get_num_chunks() == expected)  # one that was never written stands for zeros


def _unpack(array: h5py.Dataset, chunks: list[tuple[slice, ...]], rows: Array | None, found: Array) -> None:
    size = int(np.prod(array.chunks)) * array.dtype.itemsize
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
    try:
        return isal_zlib.decompress(packed, bufsize=size)  # without Python's lock: threads do this at once
    except igzip_lib.IsalError as error:  # type: ignore[misc]  # its stub has an instance
        raise OSError(f"a chunk can't be unpacked: {error}") from None
