"""Read `stages.csv` and what is like it: every row that the run must have written, once, and no other.

Shapes: V evaluations, K stages or parts, E episodes of each in an evaluation.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from ...datasets.trajectories import Array

PLACE = ("step", "stage", "episode")  # the columns that tell an episode from others

Cells = Mapping[str, str]
Key = tuple[float, ...]


@dataclass(frozen=True)
class Stages:
    """The episodes that began at a stage, or of a part."""

    success: Array  # (V, K, E) 1 or 0
    returns: Array  # (V, K, E)
    lengths: Array  # (V, K, E) steps


def read_stages(content: bytes, steps: Sequence[int], stages: int, episodes: int) -> Stages:
    """The episodes 0 to E - 1 of every stage in the evaluations at V steps; a `ValueError` for any other."""
    wanted = list(product(steps, range(stages), range(episodes)))
    rows = exact_rows("stages.csv", content, PLACE, wanted)
    shape = (len(steps), stages, episodes)
    return Stages(*(column(rows, name).reshape(shape) for name in ("success", "return", "length")))


def exact_rows(name: str, content: bytes, places: Sequence[str], wanted: Iterable[Key]) -> list[Cells]:
    """The rows of a CSV file whose columns `places` are what is wanted, in that order.

    A `ValueError` for a row that is missing, stands there twice, or is none of these.
    """
    rows: dict[Key, Cells] = {}
    for row in csv.DictReader(io.StringIO(content.decode("utf-8"))):
        key = tuple(float(row[place]) for place in places)
        if key in rows:
            raise ValueError(f"{name} has two rows of {_described(places, key)}")
        rows[key] = row
    found = []
    for key in wanted:
        if key not in rows:
            raise ValueError(f"{name} has no row of {_described(places, key)}")
        found.append(rows.pop(key))
    if rows:
        raise ValueError(f"{name} has a row of {_described(places, min(rows))}, which the run has not")
    return found


def column(rows: Sequence[Cells], name: str) -> Array:
    """The numbers of a column; a `ValueError` for one that is not finite."""
    values = np.array([float(row[name]) for row in rows])
    if not np.isfinite(values).all():
        raise ValueError(f"{name} is no finite number")
    return values


def _described(places: Sequence[str], key: Key) -> str:
    return ", ".join(f"{place} {value:g}" for place, value in zip(places, key, strict=True))
