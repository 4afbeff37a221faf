"""The tables of `lamobench degeneration`: degeneration, courses, risen, taken_back and at_random.csv (docs/text.md).

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
from ..runs.layout import PAIRS
from .perturbed import draws_of, moved_at_random
from .rewind import taken_back
from .rows import Row
from .runs import Run
from .stages import numbers, read_meters
from .statistics import UNKNOWN
from .text import CHANGES, LEVELS, TRACK, Value, beside_others, difference, ends, measured_row

PERMUTATIONS = 999
LUCK = 0.05  # a p-value below which a run is not luck by itself
ROUNDING = 1e-6  # of cosines in pairs.csv
RISEN = 15
ALL_PAIRS = "all pairs"
RATE = "encoder_learning_rate"
SETTING = (
    *("task", "lm", "precision", "steps"),
    *("evaluate_every", "evaluation_episodes", "view_episodes", "headline_evaluations"),
)  # what rows that are compared have in common
COLUMNS = ("read", "rewarded", "cosine_before", "cosine_after")
Matrices = Mapping[str, Array]  # (W, W) of each column of pairs.csv


def degeneration_rows(rows: Sequence[Row]) -> list[dict[str, Value]]:
    """A row of degeneration.csv for each row of the text track."""
    return [measured_row(row) | each | _place(row) | _mechanism(row) for row, each in _beside(_own(rows))]


def _beside(own: Sequence[Row]) -> Iterator[tuple[Row, dict[str, Value]]]:
    """Each row, and its columns beside others of the same setting."""
    settings: dict[tuple[Any, ...], list[Row]] = {}
    for row in sorted(own, key=lambda row: (row.first.profile, row.variant), reverse=True):  # the last one counts
        settings.setdefault(tuple(row.first.settings.get(name) for name in SETTING), []).append(row)
    for alike in settings.values():
        yield from zip(alike, beside_others(alike), strict=True)


def course_rows(rows: Sequence[Row]) -> list[dict[str, Value]]:
    """The rows of courses.csv: the score and the meters at each evaluation."""
    return [_place(row) | found for row in _own(rows) for found in _course(row)]


def _course(row: Row) -> list[dict[str, Value]]:
    curves = [each.scores.mean(axis=1) / 100.0 for each in row.ranked]
    steps = row.ranked[0].steps
    metered = [_metered(run, steps) for run in row.runs]
    found: list[dict[str, Value]] = []
    for place, step in enumerate(steps):
        shares = ends("area", [float(curve[place]) for curve in curves])
        made: dict[str, Value] = {"step": step}
        made |= {name.replace("area", "score"): value for name, value in shares.items()}
        for name in (*CHANGES, *LEVELS):
            made |= ends(name, [float(own[name][place]) for own in metered if name in own])
        found.append(made)
    return found


def _metered(run: Run, steps: Sequence[int]) -> dict[str, Array]:
    """Each meter of a run at each of its evaluations; none where no language model was trained."""
    content = run.files.get("meters.csv", b"")
    try:
        cells = read_meters(content, steps) if content else {}
        return {name: numbers(cells, name) for name in cells}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"meters.csv of run {run.id} can't be read ({error})") from None


def risen_rows(rows: Sequence[Row]) -> list[dict[str, Value]]:
    """The rows of risen.csv: the pairs of nouns whose cosine rose most."""
    return [_place(row) | found for row in _own(rows) for found in _risen(list(_pairs(row).values()))]


def rewind_rows(rows: Sequence[Row]) -> list[dict[str, Value]]:
    """The rows of taken_back.csv: language models that were taken back."""
    return [_place(row) | found for row in _own(rows) for found in taken_back(row)]


def random_rows(rows: Sequence[Row]) -> list[dict[str, Value]]:
    """The rows of at_random.csv: language models that were moved as far at random."""
    return [_place(row) | found for row in _own(rows) if (found := moved_at_random(row))]


def _own(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.first.track == TRACK]


def _place(row: Row) -> dict[str, Value]:
    run = row.first
    rate = None if run.settings["adaptation"] == "fixed" else run.policy.get(RATE)
    own: dict[str, Value] = {"task": run.task, "method": run.method, RATE: rate, "lm": run.lm}
    return own | {"profile": run.profile, "variant": row.variant, "seeds": len(row.runs)}


def _pairs(row: Row) -> dict[int, tuple[list[str], Matrices]]:
    """The nouns and matrices of each run that has some, by its seed."""
    return {run.seed: _matrices(run, content) for run in row.runs if (content := run.files.get(PAIRS))}


def _matrices(run: Run, content: bytes) -> tuple[list[str], Matrices]:
    """The nouns of a pairs.csv, and its columns as matrices."""
    try:
        lines = list(csv.DictReader(io.StringIO(content.decode("utf-8"))))
        nouns = list(dict.fromkeys(line["one"] for line in lines))
        places = {noun: place for place, noun in enumerate(nouns)}
        found = {name: np.zeros((len(nouns), len(nouns))) for name in COLUMNS}
        for line in lines:
            pair = [places[line["one"]], places[line["other"]]]
            for name, matrix in found.items():
                matrix[pair, pair[::-1]] = float(line[name])
        if not all(np.isfinite(matrix).all() for matrix in found.values()):
            raise ValueError("it holds numbers that are not finite")
    except (KeyError, ValueError) as error:
        raise UserError(f"{PAIRS} of run {run.id} can't be read ({type(error).__name__}: {error})") from None
    return nouns, found


def _mechanism(row: Row) -> dict[str, Value]:
    by_seed = {
        seed: (_pull(found, reading=False), _pull(found, reading=True)) for seed, (_, found) in _pairs(row).items()
    }
    tests = list(by_seed.values())
    moved = draws_of(row)
    made: dict[str, Value] = {}
    for place, name in enumerate(("pull", "pull_beyond_reading")):
        known = [test[place] for test in tests if not math.isnan(test[place][0])]
        made |= ends(name, [value for value, _ in known])
        sure = [math.copysign(1.0, value) for value, luck in known if luck < LUCK]
        for what, number in (("together", sure.count(1.0)), ("apart", sure.count(-1.0)), ("seeds", len(known))):
            made[f"{name}_{what}"] = number if tests else None
        both = [seed for seed in by_seed if name in moved.get(seed, {})]
        made |= difference(
            f"{name}_on_random", [by_seed[seed][place][0] - float(np.mean(moved[seed][name])) for seed in both]
        )
    return made


def _pull(found: Matrices, *, reading: bool) -> tuple[float, float]:
    """The partial correlation of rise and shared rewarded states, and its p-value over orders of the nouns."""
    first, second = np.triu_indices(len(found["read"]), 1)
    if not len(first):
        return UNKNOWN, UNKNOWN
    design = _fixed(found, first, second)
    if reading:
        design = np.column_stack([design, np.log1p(found["read"])[first, second]])
    rises = found["cosine_after"] - found["cosine_before"]
    risen, left = _left(np.column_stack([rises[first, second], np.log1p(found["rewarded"])[first, second]]), design).T
    value = _correlation(risen, left)
    if math.isnan(value) or float(np.sqrt(np.mean(risen**2))) < ROUNDING:
        return UNKNOWN, UNKNOWN
    shared = np.zeros_like(rises)
    shared[first, second] = shared[second, first] = left
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(shared)) for _ in range(PERMUTATIONS)]
    others = _left(np.column_stack([shared[order[first], order[second]] for order in orders]), design)
    found_again = [_correlation(risen, other) for other in others.T.copy()]
    above = sum(abs(other) >= abs(value) - 1e-12 for other in found_again)
    return value, (1 + above) / (1 + PERMUTATIONS)


def _fixed(found: Matrices, first: Array, second: Array) -> Array:
    """The values (P, ...) that are held fixed: the nouns of pairs, how frequent they are, the cosine before."""
    nouns = np.arange(len(found["read"]))
    held = [*np.logical_or(nouns[:, None] == first, nouns[:, None] == second).astype(float)]
    for name in ("read", "rewarded"):
        counts = found[name].diagonal()
        for scaled in (counts / max(float(counts.max()), 1.0), np.log1p(counts)):
            held.append(scaled[first] * scaled[second])
    before = found["cosine_before"][first, second]
    return np.column_stack([*held, before, before * before])


def _left(values: Array, design: Array) -> Array:
    """The residuals of linear regressions of values (P, ...) on the columns of a design."""
    return np.asarray(values - design @ np.linalg.lstsq(design, values, rcond=None)[0])


def _correlation(first: Array, second: Array) -> float:
    """The correlation of residuals, whose mean is 0; NaN where one of them doesn't vary."""
    size = math.sqrt(float(first @ first) * float(second @ second))
    return float(first @ second) / size if size > 1e-12 else UNKNOWN


def _risen(seeds: Sequence[tuple[list[str], Matrices]]) -> list[dict[str, Value]]:
    """The pairs that rose most, and the mean of all; seeds that choose the pairs can give them no interval."""
    nouns = [noun for noun in seeds[0][0] if all(noun in known for known, _ in seeds)] if seeds else []
    found: list[tuple[float, dict[str, Value]]] = []
    total: dict[str, list[float]] = {}
    for one, other in combinations(nouns, 2):
        cells = [_cells(known, own, one, other) for known, own in seeds]
        means = {name: float(np.mean([cell[source] for cell in cells])) for name, source in _LEVELS.items()}
        means["rise"] = float(np.mean([cell["cosine_after"] - cell["cosine_before"] for cell in cells]))
        means["unrewarded"] = sum(cell["rewarded"] == 0 for cell in cells) / len(cells)
        for name, value in means.items():
            total.setdefault(name, []).append(value)
        found.append((round(means["rise"], 9), {"one": one, "other": other, **means}))
    found.sort(key=lambda pair: -pair[0])
    chosen = [pair for rise, pair in found[:RISEN] if rise > 0]
    average: dict[str, Value] = {name: float(np.mean(values)) for name, values in total.items()}
    return [*chosen, {"one": ALL_PAIRS, "other": "", **average}] if found else []


def _cells(nouns: Sequence[str], own: Matrices, one: str, other: str) -> dict[str, float]:
    """The numbers of one pair."""
    at = nouns.index(one), nouns.index(other)
    return {name: float(matrix[at]) for name, matrix in own.items()}


_LEVELS = {"before": "cosine_before", "read": "read", "rewarded": "rewarded"}
