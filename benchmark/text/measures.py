"""Measures of a finished run, from its folder: how fast it learned, what is left in other words, what it degraded.

Shapes: V evaluations, the first of them before any learning; K parts, splits in views.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...datasets.errors import UserError
from ...datasets.games.families import SPLITS
from ...datasets.trajectories import Array
from ..runs.meters import read_meters
from ..runs.records import check_content, content_of, read_metrics
from ..runs.stages import read_stages
from ..scores.measured import UNBOUNDED
from ..scores.run import FinishedRun
from .config import text_config

ORIGINAL = "orig"
# Columns of `meters.csv`, which `meters.Meters` measures, by what tables call them: those of each kind of texts ...
KINDS = ("glosses", "nouns")
OF_KINDS = {"cka": "CKA", "drift": "drift", "neighbours": "kept", "anisotropy": "anis."}
OTHERS = {  # ... and the others.
    "weight_change": "weights",
    "holders_train": "train",
    "holders_others": "others",
    "holders_ood": "ood",
    "wordnet": "WordNet",
    "cross_entropy": "nats",
}
METERS = (*(f"{name}_{kind}" for kind in KINDS for name in OF_KINDS), *OTHERS)
NOT_CHANGES = tuple(name for name in METERS if name.startswith(("anisotropy", "holders", "wordnet")))
SHARE = (0.0, 1.0)
AMOUNT = (0.0, math.inf)
CORRELATION = (-1.0, 1.0)  # and cosine
# What measures can be, to which their intervals are cut; a split in a view is a share of points.
BOUNDS = {
    "area": SHARE,
    "best": SHARE,
    "steps_to_80": AMOUNT,
    "moves": AMOUNT,
    "robustness": AMOUNT,
    "own_score": SHARE,
    **{f"{name}_{kind}": SHARE for kind in KINDS for name in ("cka", "neighbours")},
    **{f"drift_{kind}": (0.0, 2.0) for kind in KINDS},
    **{f"anisotropy_{kind}": CORRELATION for kind in KINDS},
    "weight_change": AMOUNT,
    **{name: SHARE for name in OTHERS if name.startswith("holders")},
    "wordnet": CORRELATION,
}
ENOUGH = 0.8  # of a run's best evaluation: where it counts as learned


@dataclass(frozen=True)
class Measures:
    """One run's row of numbers; shares of points where nothing else is said."""

    area: float  # mean over all evaluations on the games that it learns from: the area under the learning curve
    best: float  # the highest of them
    steps_to_80: float  # steps until an evaluation reaches 80 % of the best; NaN where the best is 0
    moves: float  # of an episode at the end, on those games
    robustness: float  # mean over their other views, as a share of what they give as they are; NaN where that is 0
    own_score: float  # the games' own, from 0 to 1, in the last evaluations; NaN where they have none
    cpu_seconds: float  # of learning


def bounds_of(name: str) -> tuple[float, float]:
    """The least and the most that a measure can be, at the end of training and before."""
    return BOUNDS.get(name.removesuffix("_before"), UNBOUNDED)


def ends(run: FinishedRun) -> dict[str, float]:
    """The mean share of points in each part, over all episodes of the last evaluations."""
    found = _parts(run)
    return {part: float(rows[:, 5].mean()) for part, rows in found.items()}


def meters(run: FinishedRun) -> dict[str, float]:
    """The run's meters at the end, means over its last evaluations, and before training those that are no changes.

    Empty for a run that trained no language model, or was made before there were meters. A `UserError` if the file is
    damaged.
    """
    known = metered(run)
    ends = {name: float(values[-run.config.headline_evaluations :].mean()) for name, values in known.items()}
    return ends | {f"{name}_before": float(known[name][0]) for name in NOT_CHANGES if name in known}


def metered(run: FinishedRun) -> dict[str, Array]:
    """Each meter's values (V,) at the run's evaluations, as `meters` has them; empty and `UserError` likewise."""
    try:
        content = content_of(run.folder, "meters.csv")
    except FileNotFoundError:
        return {}
    check_content("meters.csv", content, run.done)
    steps, found = read_meters(content)
    if not np.array_equal(steps, run.result.curve_steps):
        raise UserError(f"run {run.id}: meters.csv is of other evaluations than episodes.csv")
    return {name: found[name] for name in METERS if name in found}


def measure(run: FinishedRun) -> Measures:
    """All of a run's numbers; a `UserError` if a file of it is damaged."""
    curve = run.result.curve_scores / 100.0
    own = {part: rows for part, rows in _parts(run).items() if part.startswith(f"{SPLITS[0]}/")}
    metrics = read_metrics(run.folder, run.config.steps)
    paid = [row["own_score"] for row in metrics if "own_score" in row][-run.config.headline_evaluations :]
    return Measures(
        area=float(curve.mean()),
        best=float(curve.max()),
        steps_to_80=steps_to_enough(run.result.curve_steps, curve),
        moves=float(own[f"{SPLITS[0]}/{ORIGINAL}"][:, 6].mean()),
        robustness=robustness({part: float(rows[:, 5].mean()) for part, rows in own.items()}, SPLITS[0]),
        own_score=float(np.mean(paid)) if paid else math.nan,
        cpu_seconds=float(metrics[-1].get("cpu_seconds", 0.0)),
    )


def steps_to_enough(steps: Array, curve: Array) -> float:
    """The first of the evaluations' steps (V,) at which the curve (V,) reaches `ENOUGH` of its best."""
    best = float(curve.max())
    return float(steps[int(np.argmax(curve >= ENOUGH * best))]) if best > 0 else math.nan


def robustness(parts: Mapping[str, float], split: str) -> float:
    """The mean over a split's views but the original, divided by the original; NaN where there is nothing to divide."""
    original = parts.get(f"{split}/{ORIGINAL}", 0.0)
    return others(parts, split) / original if original > 0 else math.nan


def others(parts: Mapping[str, float], split: str) -> float:
    """The mean over a split's views but the original; NaN where there are none."""
    shares = [share for part, share in parts.items() if part.startswith(f"{split}/") and part != f"{split}/{ORIGINAL}"]
    return float(np.mean(shares)) if shares else math.nan


def _parts(run: FinishedRun) -> dict[str, Array]:
    """The rows of `stages.csv` of each part; a `UserError` unless all evaluations have as many of each."""
    config = text_config(run.config)
    content = content_of(run.folder, "stages.csv")
    check_content("stages.csv", content, run.done)
    table = read_stages(content)
    wanted = config.view_episodes * config.headline_evaluations
    found = {part: table[table[:, 1] == number] for number, part in enumerate(config.parts)}
    if len(table) != wanted * len(found) or any(len(rows) != wanted for rows in found.values()):
        raise UserError(
            f"run {run.id}: stages.csv must hold {wanted} episodes of each of {len(found)} splits in views; it does not"
        )
    return found
