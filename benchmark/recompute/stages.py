"""Read `stages.csv` and what is like it: every row that the run must have written, once, and no other.

Shapes: V evaluations, K stages or parts, E episodes of each in an evaluation.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from ...datasets.counts import count
from ...datasets.trajectories import Array
from ..runs.layout import FORMER_METERS

PLACE = ("step", "stage", "episode")  # the columns that tell an episode from others

Columns = Mapping[str, Sequence[str]]
Key = tuple[float, ...]


@dataclass(frozen=True)
class Stages:
    """The episodes that began at a stage, or of a part."""

    success: Array  # (V, K, E) 1 or 0
    returns: Array  # (V, K, E)
    lengths: Array  # (V, K, E) steps


def read_stages(content: bytes, steps: Sequence[int], stages: int, episodes: int) -> Stages:
    """The episodes 0 to E - 1 of every stage in the evaluations at V steps; a `ValueError` for any other."""
    wanted = product(steps, range(stages), range(episodes))
    columns = exact_columns("stages.csv", content, PLACE, wanted)
    shape = (len(steps), stages, episodes)
    return Stages(*(numbers(columns, name).reshape(shape) for name in ("success", "return", "length")))


def read_meters(content: bytes, steps: Sequence[int]) -> Columns:
    """The columns of a `meters.csv` with a row for each of the steps, by the names that meters have today."""
    columns = exact_columns("meters.csv", content, ("step",), [(step,) for step in steps])
    return {FORMER_METERS.get(name, name): cells for name, cells in columns.items()}


def read_columns(name: str, content: bytes) -> Columns:
    """The cells of a CSV file by the name of their column; a `ValueError` for none, or a line of another length."""
    header, *lines = csv.reader(io.StringIO(content.decode("utf-8"))) if content else [[]]
    for number, line in enumerate(lines, 2):
        if len(line) != len(header):
            raise ValueError(f"line {number} of {name} has {count(len(line), 'cell')}; expected {len(header)}")
    cells = zip(*lines, strict=True) if lines else [()] * len(header)
    return dict(zip(header, cells, strict=True))


def exact_columns(name: str, content: bytes, places: Sequence[str], wanted: Iterable[Key]) -> Columns:
    """The columns of a CSV file whose columns `places` are what is wanted, with its rows in that order.

    A `ValueError` for a row that is missing, stands there twice, or is none of these.
    """
    columns = read_columns(name, content)
    if absent := set(places) - columns.keys():
        raise ValueError(f"{name} has no column {min(absent)}")
    keys: list[Key] = list(zip(*(map(float, columns[place]) for place in places), strict=True))
    expected = list(wanted)
    if keys == expected:
        return columns
    numbered = {key: number for number, key in enumerate(keys)}
    if len(numbered) < len(keys):
        twice = next(key for number, key in enumerate(keys) if numbered[key] != number)
        raise ValueError(f"{name} has two rows of {_described(places, twice)}")
    for key in expected:
        if key not in numbered:
            raise ValueError(f"{name} has no row of {_described(places, key)}")
    if more := numbered.keys() - set(expected):
        raise ValueError(f"{name} has a row of {_described(places, min(more))}, which the run has not")
    return {each: [cells[numbered[key]] for key in expected] for each, cells in columns.items()}


def numbers(columns: Columns, name: str) -> Array:
    """The numbers of a column; a `ValueError` for one that is not finite."""
    values = np.array([float(cell) for cell in columns[name]])
    if not np.isfinite(values).all():
        raise ValueError(f"{name} is no finite number")
    return values


def _described(places: Sequence[str], key: Key) -> str:
    return ", ".join(f"{place} {value:g}" for place, value in zip(places, key, strict=True))
