import os
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from lamobench.datasets.errors import UserError
from lamobench.datasets.file_checks import LIMIT
from lamobench.datasets.sources import hdf5
from lamobench.datasets.sources.hdf5 import open_hdf5, read_array, read_through

ROWS = np.array([0, 1, 7, 8, 40, 41, 99])


def values(shape: tuple[int, ...], dtype: str = "f4") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2 if dtype == "?" else 100, shape).astype(dtype)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize(
    ("shape", "dtype", "chunks"),
    [((100,), "f4", (8,)), ((100, 3), "f8", (30, 2)), ((100, 3), "?", (100, 3)), ((100, 2, 5), "<i4", (9, 1, 4))],
)
def test_what_is_read_is_what_h5py_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int, shape: tuple[int, ...], dtype: str, chunks: Any
) -> None:
    monkeypatch.setattr(hdf5, "cores", lambda: threads)
    with h5py.File(tmp_path / "file.hdf5", "w") as file:
        array = file.create_dataset("array", data=values(shape, dtype), chunks=chunks, compression="gzip")
        np.testing.assert_array_equal(read_array(array), array[()], strict=True)
        np.testing.assert_array_equal(read_array(array, ROWS), array[()][ROWS], strict=True)
        np.testing.assert_array_equal(read_array(array, ROWS[:0]), array[()][:0], strict=True)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunks": (8, 3)},
        {"compression": "lzf"},
        {"compression": "gzip", "shuffle": True},
        {"compression": "gzip", "fletcher32": True},
        {"compression": "gzip", "scaleoffset": 2},
    ],
)
def test_other_filters_are_left_to_h5py(tmp_path: Path, options: dict[str, Any]) -> None:
    with h5py.File(tmp_path / "file.hdf5", "w") as file:
        array = file.create_dataset("array", data=values((100, 3)), **options)
        np.testing.assert_array_equal(read_array(array), array[()], strict=True)
        np.testing.assert_array_equal(read_array(array, ROWS), array[()][ROWS], strict=True)


def test_chunks_that_were_never_written_stand_for_zeros(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "file.hdf5", "w") as file:
        array = file.create_dataset("array", (100,), "f4", chunks=(10,), compression="gzip")
        array[35:38] = 1
        np.testing.assert_array_equal(read_array(array), array[()], strict=True)
        assert read_array(array).sum() == 3


def test_a_chunk_that_was_stored_unpacked_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "file.hdf5", "w") as file:
        array = file.create_dataset("array", data=values((20,)), chunks=(10,), compression="gzip")
        array.id.write_direct_chunk((10,), values((10,)).tobytes(), filter_mask=1)
        np.testing.assert_array_equal(read_array(array), array[()], strict=True)


@pytest.mark.parametrize(
    ("content", "message"), [(b"no zlib", "can't be unpacked"), (zlib.compress(b"short"), "has 5 bytes, not 40")]
)
def test_a_damaged_chunk_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    with h5py.File(tmp_path / "file.hdf5", "w") as file:
        array = file.create_dataset("array", data=values((20,)), chunks=(10,), compression="gzip")
        array.id.write_direct_chunk((10,), content)
        with pytest.raises(OSError, match=message):
            read_array(array)


def hdf5_with(path: Path, name: str, **options: Any) -> None:
    with h5py.File(path, "a") as file:
        file.create_dataset(name, **options)


def refused(path: Path, message: str) -> None:
    start = time.perf_counter()
    with pytest.raises(UserError, match=message) as caught, open_hdf5(path):
        pass
    assert time.perf_counter() - start < 1
    assert "\n" not in str(caught.value)


def external_link(path: Path, secret: Path) -> None:
    with h5py.File(path, "a") as file:
        file["group/rewards"] = h5py.ExternalLink(str(secret), "rewards")


def external_storage(path: Path, secret: Path) -> None:
    hdf5_with(path, "group/rewards", shape=(10,), dtype="f4", external=[(str(secret), 0, 40)])


def virtual(path: Path, secret: Path) -> None:
    layout = h5py.VirtualLayout((10,), "f4")
    layout[:] = h5py.VirtualSource(str(secret), "rewards", (10,))
    with h5py.File(path, "a") as file:
        file.create_virtual_dataset("group/rewards", layout)


@pytest.mark.parametrize("leads", [external_link, external_storage, virtual])
def test_a_file_that_leads_to_another_is_refused(tmp_path: Path, leads: Callable[[Path, Path], None]) -> None:
    hdf5_with(tmp_path / "secret.hdf5", "rewards", data=values((10,)))
    hdf5_with(tmp_path / "file.hdf5", "rewards", data=values((10,)))
    with open_hdf5(tmp_path / "file.hdf5") as content:
        assert list(content) == ["rewards"]
    leads(tmp_path / "file.hdf5", tmp_path / "secret.hdf5")
    refused(tmp_path / "file.hdf5", "keeps 'group/rewards' in another file, which is not followed; write a file")


def test_links_within_the_file_are_followed(tmp_path: Path) -> None:
    hdf5_with(tmp_path / "file.hdf5", "rewards", data=values((10,)))
    with h5py.File(tmp_path / "file.hdf5", "a") as file:
        file["soft"] = h5py.SoftLink("/rewards")
        file["hard"] = file["rewards"]
    with open_hdf5(tmp_path / "file.hdf5") as content:
        np.testing.assert_array_equal(read_array(content["soft"]), content["hard"][()])


@pytest.mark.parametrize(
    "options",
    [
        {"shape": (10**10,), "dtype": "f4", "chunks": (1024,), "compression": "gzip"},
        {"shape": (10**10, 11), "dtype": "f8"},
        {"shape": (2**40, 2**40), "dtype": "f4", "chunks": (8, 8)},
        {"shape": (10,), "dtype": "f4", "chunks": (1_050_000_000,), "maxshape": (None,), "compression": "gzip"},
        {"shape": (500_000_000,), "dtype": "(3,)f4", "chunks": (1024,)},
    ],
)
def test_what_is_declared_is_limited(tmp_path: Path, options: dict[str, Any]) -> None:
    hdf5_with(tmp_path / "file.hdf5", "rewards", **options)
    with h5py.File(tmp_path / "file.hdf5") as file:
        assert file.id.get_filesize() < 20_000
    refused(tmp_path / "file.hdf5", f"says that it holds .* GB, more than the 4 GB .* put {LIMIT}=")


def test_many_arrays_below_the_limit_may_be_above_it_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four arrays of 1.2 GB of zeros, in some megabytes as gzip packs them."""
    for name in "abcd":
        hdf5_with(tmp_path / "file.hdf5", name, shape=(3 * 10**8,), dtype="f4", chunks=(2**20,), compression="gzip")
    refused(tmp_path / "file.hdf5", f"says that it holds 4.8 GB, more than the 4 GB .* put {LIMIT}=5 before")
    monkeypatch.setenv(LIMIT, "5")
    with open_hdf5(tmp_path / "file.hdf5") as content:
        assert len(content) == 4


def test_a_chunk_that_unpacks_to_more_than_it_should_is_not_unpacked(tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(200_000_000))
    with h5py.File(tmp_path / "file.hdf5", "w") as file:
        array = file.create_dataset("array", data=values((20,)), chunks=(10,), compression="gzip")
        array.id.write_direct_chunk((10,), bomb)
        tracemalloc.start()
        with pytest.raises(OSError, match="has 41 bytes, not 40"):
            read_array(array)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 2_000_000


def test_a_chunk_whose_checksum_is_cut_off_is_an_error(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "file.hdf5", "w") as file:
        array = file.create_dataset("array", data=values((20,)), chunks=(10,), compression="gzip")
        array.id.write_direct_chunk((10,), zlib.compress(values((10,)).tobytes())[:-4])
        with pytest.raises(OSError, match="cut short"):
            read_array(array)


def test_numbers_that_are_not_stored_as_numpy_has_them_are_converted(tmp_path: Path) -> None:
    stored = h5py.h5t.IEEE_F32LE.copy()
    stored.set_ebias(100)
    with h5py.File(tmp_path / "file.hdf5", "w") as file:
        array = file.create_dataset("array", (20,), h5py.Datatype(stored), chunks=(10,), compression="gzip")
        array[:] = np.arange(20)
        np.testing.assert_array_equal(read_array(array), np.arange(20))


@pytest.mark.parametrize(
    "data", [values((100, 3)), np.array(["text"] * 3, object), np.zeros(()), h5py.Empty("f4"), np.zeros((0, 3))]
)
def test_reading_through_takes_any_array(tmp_path: Path, data: Any) -> None:
    with h5py.File(tmp_path / "file.hdf5", "w") as file:
        assert read_through(file.create_dataset("array", data=data)) is None


@pytest.mark.parametrize("options", [{"compression": "gzip"}, {"fletcher32": True}])
def test_reading_through_meets_the_last_chunk(tmp_path: Path, options: dict[str, Any]) -> None:
    with h5py.File(tmp_path / "file.hdf5", "w") as file:
        array = file.create_dataset("array", data=values((40, 3)), chunks=(10, 3), **options)
        array.id.write_direct_chunk((30, 0), bytes(range(124)))
    with h5py.File(tmp_path / "file.hdf5") as file, pytest.raises(OSError):  # noqa: PT011 - zlib's words, or HDF5's
        read_through(file["array"])


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    refused(tmp_path / "pipe", "is a named pipe")
    refused(tmp_path / "zeros", "is a device")
    refused(tmp_path / "absent", "No such file")
