"""Pairs of nouns that a run read: how often together, and how near they were before and after; `pairs.csv` holds them.

Shapes: W nouns that were read.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...datasets.errors import UserError
from ...datasets.trajectories import Array
from ..runs.layout import PAIRS
from ..runs.records import check_content, content_of
from ..scores.run import FinishedRun

HEADER = ("one", "other", "read", "rewarded", "cosine_before", "cosine_after")
MOST_NOUNS = 1000
DIGITS = 6  # of a cosine


@dataclass(frozen=True)
class Pairs:
    """Symmetric matrices (W, W), a row and a column for each noun."""

    nouns: tuple[str, ...]  # W
    read: Array  # states with both nouns that training read; on the diagonal with the one
    rewarded: Array  # those of them in which a command was rewarded
    before: Array  # cosine of the nouns' vectors before training
    after: Array

    @property
    def rise(self) -> Array:
        """The cosines after training less those before, (W, W)."""
        return self.after - self.before


def pairs_csv(pairs: Pairs) -> str:
    """The content of `pairs.csv`: each pair once, and each noun with itself."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(_rows(pairs))
    return text.getvalue()


def _rows(pairs: Pairs) -> Iterator[tuple[str | int, ...]]:
    for first, second in zip(*np.triu_indices(len(pairs.nouns)), strict=True):
        cosines = (f"{matrix[first, second]:.{DIGITS}f}" for matrix in (pairs.before, pairs.after))
        counts = (int(matrix[first, second]) for matrix in (pairs.read, pairs.rewarded))
        yield pairs.nouns[first], pairs.nouns[second], *counts, *cosines


def read_pairs(run: FinishedRun) -> Pairs | None:
    """The pairs of a finished run; None where no language model was trained. A `UserError` if the file is damaged."""
    try:
        content = content_of(run.folder, PAIRS)
    except FileNotFoundError:
        return None
    check_content(PAIRS, content, run.done)
    return parse_pairs(content)


def parse_pairs(content: bytes) -> Pairs:
    """The inverse of `pairs_csv`; a `UserError` for anything else."""
    try:
        header, *rows = csv.reader(io.StringIO(content.decode("utf-8")))
        if tuple(header) != HEADER:
            raise ValueError(f"its first line is not '{','.join(HEADER)}'")
        nouns = tuple(dict.fromkeys(row[0] for row in rows))
        if len(nouns) > MOST_NOUNS or len(rows) != len(nouns) * (len(nouns) + 1) // 2:
            raise ValueError(f"it does not hold each pair of at most {MOST_NOUNS} nouns once")
        numbers = np.array([[float(cell) for cell in row[2:]] for row in rows])
        return Pairs(nouns, *_matrices(nouns, rows, numbers))
    except (ValueError, KeyError, IndexError) as error:
        raise UserError(f"{PAIRS} can't be read ({error})") from None


def _matrices(nouns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Array) -> list[Array]:
    """A matrix (W, W) of each of the four columns of `numbers`."""
    places = {noun: place for place, noun in enumerate(nouns)}
    first = [places[row[0]] for row in rows]
    second = [places[row[1]] for row in rows]
    if numbers.shape[1:] != (4,) or not np.isfinite(numbers).all() or (numbers[:, :2] < 0).any():
        raise ValueError("it holds rows that are not two counts and two cosines")
    found = [np.full((len(nouns), len(nouns)), np.nan) for _ in range(4)]
    for matrix, column in zip(found, numbers.T, strict=True):
        matrix[first, second] = column
        matrix[second, first] = column
    if np.isnan(found[0]).any():
        raise ValueError("a pair stands in it twice")
    return found
