import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from lamobench.datasets.sources import hdf5
from lamobench.datasets.sources.hdf5 import read_array

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
