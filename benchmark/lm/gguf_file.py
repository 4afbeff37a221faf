"""GGUF files, llama.cpp's format (docs/gguf.md there): what they say that they hold, checked, and their numbers.

A file may come from anybody. Its header is read here and not by the package `gguf`, whose reader makes several objects
of each string and number before it looks at any size: 2.5 s and 190 MB for 49,152 tokens. Here every count and size is
held against the bytes that there are before anything is made of them. What quantised numbers mean the package says.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.errors import UserError
from ...datasets.file_checks import MB, check_regular_file
from ...datasets.trajectories import Array

GGUF_PACKAGE = "gguf==0.19.0"  # what pip installs; `constraints.txt` pins the same
MAGIC = b"GGUF"
VERSIONS = (2, 3)
MOST_HEADER = 64 * MB  # bytes: a vocabulary of 150,000 tokens and its merges have 6 MB
MOST_VALUES = 1 << 10
MOST_TENSORS = 1 << 14
MOST_DIMENSIONS = 4
ALIGNMENT = 32  # bytes, unless the file says otherwise
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}  # by type
STRING = 8
ARRAY = 9


@dataclass(frozen=True)
class GGUFTensor:
    """The place of a tensor's numbers in the file, and the way they are written."""

    shape: tuple[int, ...]  # as PyTorch has it, rows first
    kind: int  # a number of `gguf.GGMLQuantizationType`
    start: int  # bytes from the beginning of the file
    size: int  # bytes


@dataclass(frozen=True)
class GGUFFile:
    """The content of a file, by name; strings are bytes as they lie there."""

    path: Path
    values: Mapping[str, Any]
    tensors: Mapping[str, GGUFTensor]


def read_header(path: Path) -> GGUFFile:
    """Read what `path` says that it holds; no tensor is read.

    Raises a `UserError` for what is no regular file or no GGUF, is cut short, or says what can't be: more values or
    bytes than there are, tensors that overlap, kinds of numbers that are not read.
    """
    check_regular_file(path)
    with path.open("rb") as file:
        header = _Header(path, file.read(MOST_HEADER))
    if not header.content.startswith(MAGIC) or header.number("4xI") not in VERSIONS:
        raise UserError(f"{path} is no GGUF of version {' or '.join(map(str, VERSIONS))}; copy or download it again")
    tensors = header.number("Q")
    values = header.number("Q")
    if tensors > MOST_TENSORS or values > MOST_VALUES:
        raise header.damaged(f"{tensors} tensors and {values} values, more than a GGUF has")
    found = dict(header.value_of_a_name() for _ in range(values))
    about = [header.tensor() for _ in range(tensors)]
    alignment = found.get("general.alignment", ALIGNMENT)
    if not isinstance(alignment, int) or not 1 <= alignment <= MB:
        raise header.damaged(f"general.alignment {alignment!r}")
    begin = -(-header.place // alignment) * alignment
    placed = {name: _placed(header, name, shape, kind, begin + offset) for name, shape, kind, offset in about}
    if len(found) < values or len(placed) < tensors:
        raise header.damaged("a name that stands twice")
    _check_places(header, placed)
    return GGUFFile(path, found, placed)


def read_numbers(file: GGUFFile, name: str) -> Array:
    """The numbers of a tensor, in float32."""
    from gguf.constants import GGMLQuantizationType
    from gguf.quants import dequantize

    tensor = file.tensors[name]
    kind = GGMLQuantizationType(tensor.kind)
    shape = (*tensor.shape[:-1], tensor.size // math.prod(tensor.shape[:-1]))
    stored = np.memmap(file.path, np.uint8, "r", tensor.start, shape)
    try:
        return np.array(dequantize(stored, kind), np.float32)  # float32 ones would be a map of the file
    except NotImplementedError:
        raise UserError(f"{file.path} has tensor {name} in {kind.name}, which is not read; give another") from None


class _Header:
    """A header that is read from its beginning to its end, and nothing behind it."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        self.content = content
        self.place = 0

    def damaged(self, fault: str) -> UserError:
        """An error about the file."""
        return UserError(f"{self.path} is damaged: it has {fault}; copy or download it again")

    def take(self, size: int) -> bytes:
        """The next bytes."""
        start = self.place
        if size > len(self.content) - self.place:
            raise UserError(
                f"{self.path} is cut short, or its header is larger than {MOST_HEADER // MB} MB; copy or download it "
                "again"
            )
        self.place += size
        return self.content[start : start + size]

    def number(self, form: str) -> Any:
        """The next number, in a form of `struct`."""
        return struct.unpack(f"<{form}", self.take(struct.calcsize(form)))[0]

    def string(self) -> bytes:
        """The next string."""
        return self.take(self.number("Q"))

    def name(self) -> str:
        """The next string, as text."""
        try:
            return self.string().decode()
        except UnicodeDecodeError:
            raise self.damaged("a name that is not UTF-8") from None

    def value_of_a_name(self) -> tuple[str, Any]:
        """The next name and its value."""
        return self.name(), self.value(self.number("I"))

    def value(self, kind: int) -> Any:
        """The next value: a number, bytes, an array of numbers or a list of bytes."""
        if kind in SCALARS:
            return self.number(SCALARS[kind])
        if kind == STRING:
            return self.string()
        inner = self.number("I") if kind == ARRAY else ARRAY
        if inner == STRING:
            return [self.string() for _ in range(self.number("Q"))]
        if inner not in SCALARS:
            raise self.damaged("a value of a type that is not read")
        dtype = np.dtype(f"<{SCALARS[inner]}")  # NumPy's letters are those of `struct`
        return np.frombuffer(self.take(self.number("Q") * dtype.itemsize), dtype)

    def tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        """The next tensor: its name, its shape, the kind of its numbers, and where they are behind the header."""
        name = self.name()
        dimensions = self.number("I")
        if not 1 <= dimensions <= MOST_DIMENSIONS:
            raise self.damaged(f"tensor {name} of {dimensions} dimensions")
        shape = tuple(self.number("Q") for _ in range(dimensions))[::-1]
        return name, shape, self.number("I"), self.number("Q")


def _placed(header: _Header, name: str, shape: tuple[int, ...], kind: int, start: int) -> GGUFTensor:
    """A tensor whose shape and kind go together."""
    try:
        from gguf.constants import GGML_QUANT_SIZES
    except ModuleNotFoundError:
        raise UserError(f"GGUF files need a package that is not here; type: pip install {GGUF_PACKAGE}") from None
    sizes = {int(known): size for known, size in GGML_QUANT_SIZES.items()}  # numbers of a block, and its bytes
    block, size = sizes.get(kind, (0, 0))
    if not block or min(shape) < 1 or shape[-1] % block:
        raise header.damaged(f"tensor {name} of shape {shape} in numbers of kind {kind}")
    return GGUFTensor(shape, kind, start, math.prod(shape) // block * size)


def _check_places(header: _Header, tensors: Mapping[str, GGUFTensor]) -> None:
    """Refuse tensors that are not in the file, or of which two share bytes: they would unpack to any size."""
    ordered = sorted(tensors.values(), key=lambda tensor: tensor.start)
    if any(before.start + before.size > after.start for before, after in pairwise(ordered)):
        raise header.damaged("tensors that overlap")
    end = max((tensor.start + tensor.size for tensor in ordered), default=0)
    length = header.path.stat().st_size
    if end > length:
        raise UserError(f"{header.path} is cut short: it has {length:,} bytes of {end:,}; copy or download it again")
