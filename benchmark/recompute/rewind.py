"""The columns of taken_back.csv: language models that were taken back, from every episode at each alpha (docs/text.md).

A curve counts where it is the run's: at alpha 1 episodes and meters are those of its last evaluation, at alpha 0 meters
are those of its first.

Shapes: P alphas, K parts that were learned from, E episodes of each.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from ...datasets.errors import UserError
from ...datasets.json_files import parse_json
from ...datasets.trajectories import Array
from ..runs.layout import ENCODER_REWIND, ENCODER_REWIND_EPISODES
from .rows import Row
from .runs import Run
from .stages import PLACE, Columns, exact_columns, numbers, read_columns, read_meters
from .statistics import UNKNOWN
from .text import CHANGES, LEARNED, LEVELS, PLAIN, Value, difference, ends

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
        for name, score in (("orig", _plain), ("others", _others)):
            made |= ends(name, [score(point) for point in points])
            pairs = zip(points, curves, strict=True) if points[0][ALPHA] < 1.0 else ()
            made |= difference(f"{name}_on_trained", [score(point) - score(curve[-1]) for point, curve in pairs])
        for name in (*CHANGES, *LEVELS):
            made |= ends(name, [point.get(name, UNKNOWN) for point in points])
        found.append(made)
    return found


def _plain(point: Mapping[str, float]) -> float:
    return point[f"{LEARNED}/{PLAIN}"]


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
    cells = read_columns(ENCODER_REWIND, run.files[ENCODER_REWIND])
    metered = read_meters(run.files["meters.csv"], steps)
    alphas = numbers(cells, ALPHA).tolist()
    if alphas != sorted(set(alphas)) or alphas[0] != 0.0 or alphas[-1] != 1.0:
        raise ValueError(f"the alphas of {ENCODER_REWIND} do not rise from 0 to 1")
    names = [name for name in metered if name != "step"]
    if list(cells) != [ALPHA, *names]:
        raise ValueError(f"{ENCODER_REWIND} has other meters than meters.csv")
    for alpha, end in ((0, 0), (1, -1)):
        for name in names:
            ours = cells[name][end]
            theirs = metered[name][end]
            if not math.isclose(float(ours), float(theirs), rel_tol=RELATIVE, abs_tol=ABSOLUTE):
                where = f"in meters.csv at step {metered['step'][end]}"
                raise ValueError(f"{name} at alpha {alpha} is {ours}, {where} {theirs}")
    if float(cells["weight_change"][0]) != 0.0:
        raise ValueError("weight_change at alpha 0 is not 0")
    columns = [numbers(cells, name).tolist() for name in cells]
    return [dict(zip(cells, values, strict=True)) for values in zip(*columns, strict=True)]


def _shares(run: Run, steps: Sequence[int], alphas: Sequence[float]) -> list[dict[str, float]]:
    """The mean share of points in each part that was learned from; a `ValueError` unless they end as the run did."""
    config = parse_json(run.files["config.json"].decode("utf-8"))
    every = range(config["view_episodes"])
    learned = {part: name for part, name in enumerate(config["parts"]) if name.startswith(f"{LEARNED}/")}
    at = product(alphas, [run.steps], learned, every)
    taken_back = exact_columns(ENCODER_REWIND_EPISODES, run.files[ENCODER_REWIND_EPISODES], (ALPHA, *PLACE), at)
    at_end = product(steps[-run.last :], range(len(config["parts"])), every)
    played = _outcomes(exact_columns("stages.csv", run.files["stages.csv"], PLACE, at_end))
    ended = played.reshape(run.last, len(config["parts"]), len(every), -1)[-1, list(learned)]  # (K, E, O)
    reached = _outcomes(taken_back).reshape(len(alphas), *ended.shape)[-1]
    for place, episode in np.argwhere((reached != ended).any(axis=2)):
        part = list(learned.values())[place]
        raise ValueError(f"episode {episode} of {part} at alpha 1 is another than in stages.csv")
    shares = numbers(taken_back, "return").reshape(len(alphas), len(learned), -1).mean(axis=2)  # (P, K)
    return [dict(zip(learned.values(), own, strict=True)) for own in shares.tolist()]


def _outcomes(columns: Columns) -> Array:
    """The outcome (N, O) of each episode."""
    return np.stack([numbers(columns, name) for name in OUTCOME], axis=1)
