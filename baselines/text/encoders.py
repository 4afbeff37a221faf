"""Turn texts into vectors: a text is cut into pieces, and each piece has a vector.

Pieces are what an encoder sees as one: a whole text, a sentence, a word. An agent's recurrent networks read the vectors
of a text one after the other. Shapes: P pieces, D width.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
BITS = 512  # of BLAKE2b's longest digest


class Encoder(Protocol):
    """The contract of an encoder; one whose weights are trained is an `nn.Module` as well."""

    @property
    def width(self) -> int:
        """D."""

    @property
    def frozen(self) -> int:
        """Number of its weights that nothing trains."""

    def cut(self, text: str) -> Sequence[str]:
        """The pieces of a text, in order; none of an empty one."""

    def encode(self, pieces: Sequence[str]) -> Tensor:
        """The vectors (P, D) of pieces, none of them empty."""


class HashEncoder:
    """A vector that says which text it is, and nothing of what it means: the control without semantics.

    Each bit of a text's BLAKE2b digest is a 1 or a -1, so texts are as far apart as chance has it, in every process
    alike. Yao et al. 2021 (arXiv 2103.13552) draw a normal vector instead, seeded by Python's hash.
    """

    width = BITS
    frozen = 0

    def cut(self, text: str) -> Sequence[str]:
        """The whole text: two that differ in a letter have nothing in common."""
        return (text,) if text else ()

    def encode(self, pieces: Sequence[str]) -> Tensor:
        """Vectors (P, 512) of 1 and -1."""
        digests = b"".join(hashlib.blake2b(piece.encode(), digest_size=BITS // 8).digest() for piece in pieces)
        bits = np.unpackbits(np.frombuffer(digests, np.uint8)).reshape(len(pieces), BITS)
        return torch.from_numpy(2.0 * bits.astype(np.float32) - 1.0)


class WordVectors:
    """A vector for each word, from a table; a word that the table lacks has that of `unknown`."""

    WORD = re.compile(r"[a-z0-9]+|[^\sa-z0-9]")

    def __init__(self, table: np.ndarray, rows: dict[str, int], unknown: str = "unk") -> None:
        """`table`: (words, D) float32, its row of each word in `rows`."""
        self.table = table
        self.rows = rows
        self.unknown = rows[unknown]
        self.width = int(table.shape[1])
        self.frozen = int(table.size)

    def cut(self, text: str) -> Sequence[str]:
        """Words and punctuation, in lower case."""
        return self.WORD.findall(text.lower())

    def encode(self, pieces: Sequence[str]) -> Tensor:
        """Vectors (P, D) of words."""
        numbers = [self.rows.get(word, self.unknown) for word in pieces]
        return torch.from_numpy(np.ascontiguousarray(self.table[numbers], np.float32))


def sentences(text: str) -> list[str]:
    """The sentences of a text, without the spaces between them."""
    return [part for piece in SENTENCE_END.split(text) if (part := piece.strip())]


def fitting(text: str, fits: Callable[[str], bool]) -> list[str]:
    """The text in parts that fit, cut between words; a word that fits nowhere is a part all the same."""
    words = text.split()
    if len(words) < 2 or fits(text):
        return [text]
    middle = len(words) // 2
    return [part for half in (words[:middle], words[middle:]) for part in fitting(" ".join(half), fits)]
