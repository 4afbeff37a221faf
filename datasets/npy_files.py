"""NumPy's `.npy` files as NumPy writes arrays of plain numbers: version 1.0, nothing pickled.

NumPy itself reads the headers. A hostile one can make it raise nearly anything, all of which becomes a `ValueError`.
"""

import math
from gzip import GzipFile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from .file_checks import check_regular_file
from .trajectories import Array

VERSION = (1, 0)  # later ones are for structures; their headers may say that they are gigabytes long


def read_header(file: IO[bytes] | GzipFile) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """The shape of the array that follows in `file`, whether its order is by columns, and its type.

    Raises a `ValueError` if `file` begins with no such header.
    """
    try:
        if npy.read_magic(file) != VERSION:
            raise ValueError("it is not of version 1.0")
        shape, by_columns, dtype = npy.read_array_header_1_0(file)
    except (OSError, EOFError):
        raise
    except Exception as error:  # a header is Python's text: SyntaxError, TokenError, MemoryError, RecursionError, ...
        raise ValueError(f"its header can't be read ({type(error).__name__})") from None
    if dtype.hasobject or min(shape, default=0) < 0:
        raise ValueError(f"it holds {shape} {dtype}")
    return shape, by_columns, dtype


def open_array(path: Path) -> Array:
    """A read-only memory map of the array in a file.

    Raises a `ValueError` if the file is no such array or cut short, and a `UserError` if it is no regular file.
    """
    check_regular_file(path)
    with path.open("rb") as file:
        shape, by_columns, dtype = read_header(file)
        start = file.tell()
    if math.prod(shape) * dtype.itemsize > path.stat().st_size - start:
        raise ValueError("it has fewer bytes than its header says")
    return np.memmap(path, dtype, mode="r", offset=start, shape=shape, order="F" if by_columns else "C")
