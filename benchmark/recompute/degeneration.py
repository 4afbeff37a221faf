"""The tables of `lamobench degeneration`: degeneration.csv, risen.csv and taken_back.csv (docs/text.md).

Shapes: W nouns of a run, P pairs of them.
"""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from ...datasets.errors import UserError
from ...datasets.trajectories import Array
from ..runs.layout import ENCODER_REWIND, PAIRS
from .rows import Row
from .runs import Run
from .statistics import UNKNOWN
from .text import CHANGES, LEARNED, LEVELS, PLAIN, TRACK, Value, beside_fixed, ends, measured_row

PERMUTATIONS = 999
LUCK = 0.05  # a p-value below which a run is not luck by itself
RISEN = 15
COLUMNS = ("read", "rewarded", "cosine_before", "cosine_after")
Matrices = Mapping[str, Array]  # (W, W) of each column of pairs.csv


def degeneration_rows(rows: Sequence[Row]) -> list[dict[str, Value]]:
    """A row of degeneration.csv for each row of the text track."""
    own = _own(rows)
    beside = beside_fixed(own)
    return [measured_row(row) | each | _place(row) | _mechanism(row) for row, each in zip(own, beside, strict=True)]


def risen_rows(rows: Sequence[Row]) -> list[dict[str, Value]]:
    """The rows of risen.csv: the pairs of nouns whose cosine rose most."""
    return [_place(row) | found for row in _own(rows) for found in _risen(list(_pairs(row)))]


def rewind_rows(rows: Sequence[Row]) -> list[dict[str, Value]]:
    """The rows of taken_back.csv: language models that were taken back."""
    return [_place(row) | found for row in _own(rows) for found in _taken_back(row)]


def _own(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.first.track == TRACK]


def _place(row: Row) -> dict[str, Value]:
    run = row.first
    trains = bool(row.runs[0].files.get(PAIRS))
    rate = run.policy.get("encoder_learning_rate") if trains else None
    return {"task": run.task, "method": run.method, "encoder_learning_rate": rate, "lm": run.lm, "seeds": len(row.runs)}


def _pairs(row: Row) -> Iterator[tuple[list[str], Matrices]]:
    for run in row.runs:
        if content := run.files.get(PAIRS):
            yield _matrices(run, content)


def _matrices(run: Run, content: bytes) -> tuple[list[str], Matrices]:
    """The nouns of a pairs.csv, and its columns as matrices."""
    try:
        lines = list(csv.DictReader(io.StringIO(content.decode("utf-8"))))
        nouns = list(dict.fromkeys(line["one"] for line in lines))
        found = {name: np.zeros((len(nouns), len(nouns))) for name in COLUMNS}
        for line in lines:
            pair = [nouns.index(line["one"]), nouns.index(line["other"])]
            for name, matrix in found.items():
                matrix[pair, pair[::-1]] = float(line[name])
        if not all(np.isfinite(matrix).all() for matrix in found.values()):
            raise ValueError("it holds numbers that are not finite")
    except (KeyError, ValueError) as error:
        raise UserError(f"{PAIRS} of run {run.id} can't be read ({type(error).__name__}: {error})") from None
    return nouns, found


def _mechanism(row: Row) -> dict[str, Value]:
    tests = [(_pull(found, reading=False), _pull(found, reading=True)) for _, found in _pairs(row)]
    made: dict[str, Value] = {}
    for place, name in enumerate(("pull", "pull_beyond_reading")):
        made |= ends(name, [test[place][0] for test in tests])
        made[f"{name}_significant"] = sum(test[place][1] < LUCK for test in tests) if tests else None
    return made


def _pull(found: Matrices, *, reading: bool) -> tuple[float, float]:
    """The partial correlation of rise and shared rewarded states, and its p-value over orders of the nouns."""
    places = list(combinations(range(len(found["read"])), 2))
    read, rewarded = (np.log1p(found[name]) for name in ("read", "rewarded"))
    fixed = [[1.0, read[a, a] + read[b, b], rewarded[a, a] + rewarded[b, b]] for a, b in places]
    design = np.array([[*row, read[at]] for row, at in zip(fixed, places, strict=True)] if reading else fixed)
    risen = _left([found["cosine_after"][at] - found["cosine_before"][at] for at in places], design)
    shared = np.zeros_like(read)
    for (a, b), value in zip(places, _left([rewarded[at] for at in places], design), strict=True):
        shared[a, b] = shared[b, a] = value
    value = _correlation(risen, np.array([shared[at] for at in places]))
    if math.isnan(value):
        return UNKNOWN, UNKNOWN
    rng = np.random.default_rng(0)
    first, second = np.array(places).T
    orders = [rng.permutation(len(shared)) for _ in range(PERMUTATIONS)]
    others = _left(np.stack([shared[order[first], order[second]] for order in orders], axis=1), design)
    found_again = [_correlation(risen, other) for other in others.T]
    above = sum(abs(other) >= abs(value) - 1e-12 for other in found_again)
    return value, (1 + above) / (1 + PERMUTATIONS)


def _left(values: Sequence[float] | Array, design: Array) -> Array:
    """The residuals of linear regressions of values (P, ...) on the columns of a design."""
    target = np.asarray(values, float)
    return np.asarray(target - design @ np.linalg.lstsq(design, target, rcond=None)[0])


def _correlation(first: Array, second: Array) -> float:
    """The correlation of residuals, whose mean is 0; NaN where one of them doesn't vary."""
    size = math.sqrt(float(first @ first) * float(second @ second))
    return float(first @ second) / size if size > 1e-12 else UNKNOWN


def _risen(seeds: Sequence[tuple[list[str], Matrices]]) -> list[dict[str, Value]]:
    if not seeds:
        return []
    nouns = [noun for noun in seeds[0][0] if all(noun in known for known, _ in seeds)]
    found = []
    for one, other in combinations(nouns, 2):
        cells = [_cells(known, own, one, other) for known, own in seeds]
        rises = [cell["cosine_after"] - cell["cosine_before"] for cell in cells]
        found.append((float(np.mean(rises)), one, other, rises, cells))
    found.sort(key=lambda pair: -pair[0])
    return [
        {"one": one, "other": other, **ends("rise", rises)}
        | {name: float(np.mean([cell[column] for cell in cells])) for name, column in _LEVELS.items()}
        for _, one, other, rises, cells in found[:RISEN]
    ]


def _cells(nouns: Sequence[str], own: Matrices, one: str, other: str) -> dict[str, float]:
    """The numbers of one pair."""
    at = nouns.index(one), nouns.index(other)
    return {name: float(matrix[at]) for name, matrix in own.items()}


_LEVELS = {"before": "cosine_before", "read": "read", "rewarded": "rewarded"}


def _taken_back(row: Row) -> list[dict[str, Value]]:
    files = [(run, run.files[ENCODER_REWIND]) for run in row.runs if ENCODER_REWIND in run.files]
    curves = [_curve(run, content) for run, content in files]
    if len({len(curve) for curve in curves}) > 1:
        raise UserError(f"{ENCODER_REWIND} of the runs of {row.first.method} have points at other alphas")
    found: list[dict[str, Value]] = []
    for points in zip(*curves, strict=True):
        made: dict[str, Value] = {"alpha": points[0]["alpha"]}
        made |= ends("orig", [point[f"{LEARNED}/{PLAIN}"] for point in points])
        made |= ends("others", [_others(point) for point in points])
        for name in (*CHANGES, *LEVELS):
            made |= ends(name, [point.get(name, UNKNOWN) for point in points])
        found.append(made)
    return found


def _curve(run: Run, content: bytes) -> list[dict[str, float]]:
    try:
        lines = csv.DictReader(io.StringIO(content.decode("utf-8")))
        found = [{name: float(value) for name, value in line.items()} for line in lines]
        if lacking := [name for name in ("alpha", f"{LEARNED}/{PLAIN}") for point in found if name not in point]:
            raise ValueError(f"it has no {lacking[0]}")
        return found
    except (TypeError, ValueError) as error:
        raise UserError(f"{ENCODER_REWIND} of run {run.id} can't be read ({error})") from None


def _others(point: Mapping[str, Any]) -> float:
    views = [value for name, value in point.items() if name.startswith(f"{LEARNED}/") and name != f"{LEARNED}/{PLAIN}"]
    return float(np.mean(views)) if views else UNKNOWN
