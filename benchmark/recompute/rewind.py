"""The columns of taken_back.csv: language models that were taken back, from every episode at each alpha (docs/text.md).

A curve counts where it is the run's: at alpha 1 episodes and meters are those of its last evaluation, at alpha 0 meters
are those of its first.

Shapes: P alphas, K parts that were learned from, E episodes of each.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from ...datasets.errors import UserError
from ...datasets.json_files import parse_json
from ..runs.layout import ENCODER_REWIND, ENCODER_REWIND_EPISODES
from .rows import Row
from .runs import Run
from .stages import PLACE, Cells, column, exact_rows
from .statistics import UNKNOWN
from .text import CHANGES, LEARNED, LEVELS, PLAIN, Value, ends

ALPHA = "alpha"
OUTCOME = ("seed", "success", "return", "length")
RELATIVE = 1e-3  # between meters of the same weights: sums in another order
ABSOLUTE = 1e-5


def taken_back(row: Row) -> list[dict[str, Value]]:
    """The columns at each alpha, means over the runs that were taken back; a `UserError` for a curve of another run."""
    both = {ENCODER_REWIND, ENCODER_REWIND_EPISODES}
    curves = [_curve(run, row) for run in row.runs if both <= run.files.keys()]
    if len({tuple(point[ALPHA] for point in curve) for curve in curves}) > 1:
        raise UserError(f"{ENCODER_REWIND} of the runs of {row.first.method} have points at other alphas")
    found: list[dict[str, Value]] = []
    for points in zip(*curves, strict=True):
        made: dict[str, Value] = {"seeds": len(points), ALPHA: points[0][ALPHA]}
        made |= ends("orig", [point[f"{LEARNED}/{PLAIN}"] for point in points])
        made |= ends("others", [_others(point) for point in points])
        for name in (*CHANGES, *LEVELS):
            made |= ends(name, [point.get(name, UNKNOWN) for point in points])
        found.append(made)
    return found


def _others(point: Mapping[str, float]) -> float:
    views = [value for name, value in point.items() if name.startswith(f"{LEARNED}/") and name != f"{LEARNED}/{PLAIN}"]
    return float(np.mean(views)) if views else UNKNOWN


def _curve(run: Run, row: Row) -> list[dict[str, float]]:
    """The shares of points and the meters of one run, by name, at each alpha."""
    try:
        meters = _meters(run, row.ranked[row.runs.index(run)].steps)
        points = _shares(run, row.ranked[row.runs.index(run)].steps, [point[ALPHA] for point in meters])
        return [{**shares, **own} for shares, own in zip(points, meters, strict=True)]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"the curve of run {run.id} can't be read ({type(error).__name__}: {error})") from None


def _meters(run: Run, steps: Sequence[int]) -> list[dict[str, float]]:
    """Alpha and meters; a `ValueError` unless they begin and end as the meters of the run."""
    rows = list(csv.DictReader(io.StringIO(run.files[ENCODER_REWIND].decode("utf-8"))))
    metered = exact_rows("meters.csv", run.files["meters.csv"], ("step",), [(step,) for step in steps])
    alphas = column(rows, ALPHA).tolist()
    if alphas != sorted(set(alphas)) or alphas[0] != 0.0 or alphas[-1] != 1.0:
        raise ValueError(f"the alphas of {ENCODER_REWIND} do not rise from 0 to 1")
    names = [name for name in metered[0] if name != "step"]
    if list(rows[0]) != [ALPHA, *names]:
        raise ValueError(f"{ENCODER_REWIND} has other meters than meters.csv")
    for alpha, ours, theirs in ((0, rows[0], metered[0]), (1, rows[-1], metered[-1])):
        for name in names:
            if not math.isclose(float(ours[name]), float(theirs[name]), rel_tol=RELATIVE, abs_tol=ABSOLUTE):
                where = f"in meters.csv at step {theirs['step']}"
                raise ValueError(f"{name} at alpha {alpha} is {ours[name]}, {where} {theirs[name]}")
    if float(rows[0]["weight_change"]) != 0.0:
        raise ValueError("weight_change at alpha 0 is not 0")
    columns = {name: column(rows, name).tolist() for name in (ALPHA, *names)}
    return [{name: values[place] for name, values in columns.items()} for place in range(len(rows))]


def _shares(run: Run, steps: Sequence[int], alphas: Sequence[float]) -> list[dict[str, float]]:
    """The mean share of points in each part that was learned from; a `ValueError` unless they end as the run did."""
    config = parse_json(run.files["config.json"].decode("utf-8"))
    every = range(config["view_episodes"])
    learned = {part: name for part, name in enumerate(config["parts"]) if name.startswith(f"{LEARNED}/")}
    at = product(alphas, [run.steps], learned, every)
    rows = exact_rows(ENCODER_REWIND_EPISODES, run.files[ENCODER_REWIND_EPISODES], (ALPHA, *PLACE), at)
    at_end = product(steps[-run.last :], range(len(config["parts"])), every)
    played = exact_rows("stages.csv", run.files["stages.csv"], PLACE, at_end)
    ended = [row for row in played if float(row["step"]) == run.steps and int(row["stage"]) in learned]
    for ours, theirs in zip(rows[-len(ended) :], ended, strict=True):
        if _outcome(ours) != _outcome(theirs):
            part = learned[int(theirs["stage"])]
            raise ValueError(f"episode {theirs['episode']} of {part} at alpha 1 is another than in stages.csv")
    shares = column(rows, "return").reshape(len(alphas), len(learned), -1).mean(axis=2)  # (P, K)
    return [dict(zip(learned.values(), own, strict=True)) for own in shares.tolist()]


def _outcome(row: Cells) -> list[float]:
    return [float(row[name]) for name in OUTCOME]
