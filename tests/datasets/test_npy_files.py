"""NumPy's files, and what pretends to be one."""

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from lamobench.datasets.errors import UserError
from lamobench.datasets.npy_files import open_array, read_header

GOOD = {"descr": "'<f4'", "fortran_order": "False", "shape": "(3, 2)"}


def header(text: str, version: bytes = b"\x01\x00", length: int | None = None) -> bytes:
    content = text.encode("latin1")
    size = len(content) if length is None else length
    return b"\x93NUMPY" + version + struct.pack("<H" if version == b"\x01\x00" else "<I", size) + content


def fields(**changed: str) -> str:
    return "{" + ", ".join(f"'{name}': {value}" for name, value in (GOOD | changed).items()) + "}"


@pytest.mark.parametrize(
    "array", [np.arange(6, dtype=np.float32).reshape(3, 2), np.asfortranarray(np.ones((3, 2))), np.zeros(3, bool)]
)
def test_what_numpy_saves_is_opened_as_it_was(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "array.npy", array)
    opened = open_array(tmp_path / "array.npy")
    np.testing.assert_array_equal(opened, array, strict=True)
    assert isinstance(opened, np.memmap)
    assert not opened.flags.writeable


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no array",
        header(""),
        header("("),
        header("{'descr': '<f4'"),
        header("(" * 5000),
        header("{[]: 1}"),
        header("[1]"),
        header(fields(descr="()")),
        header(fields(descr="'|O'")),
        header(fields(descr="'<f4,' * 3")),
        header(fields(shape="3")),
        header(fields(shape="(-3, 2)")),
        header(fields(shape="(True, 'x')")),
        header(fields(fortran_order="0")),
        header(fields(), length=60000),
        header(fields(), version=b"\x02\x00", length=2**32 - 1),
        header("\0" * 60000),
    ],
)
def test_a_header_that_is_no_good_is_one_kind_of_error(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_header(io.BytesIO(content))
    (tmp_path / "array.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"."):
        open_array(tmp_path / "array.npy")


def test_a_header_that_says_too_much_is_refused_before_it_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "array.npy").write_bytes(header(fields(shape=f"({10**30}, 84)")) + bytes(100))
    with pytest.raises(ValueError, match="fewer bytes than its header says"):
        open_array(tmp_path / "array.npy")


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "array.npy")
    with pytest.raises(UserError, match="named pipe"):
        open_array(tmp_path / "array.npy")
