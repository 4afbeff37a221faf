"""Measures of a finished run, from its folder: what it forgot, and what came of it.

Shapes: V evaluations, the first of them before any training.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...datasets.environments.nethack_lite import FACTS
from ...datasets.errors import UserError
from ...datasets.trajectories import Array
from ..runs.records import check_content, content_of, read_metrics
from ..runs.stages import means_by_stage
from ..scores.measured import UNBOUNDED
from ..scores.run import FinishedRun
from .config import finetune_config

LAST = 3  # evaluations whose mean is a success at the end
# The least and the most that a measure can be: shares of episodes, and differences of shares.
AT_LEAST_0 = (0.0, math.inf)
BOUNDS = {
    **dict.fromkeys(("far_before", "far_least", "close_end", "far_end", "full_end", "area"), (0.0, 1.0)),
    **dict.fromkeys(("forgetting", "area_gain"), (-1.0, 1.0)),
    "recovery_step": AT_LEAST_0,
}
BACK = 0.05  # FAR is recovered where it is so little below what it was before; of points, such a share of it


def bounds_of(name: str, *, scored: bool) -> tuple[float, float]:
    """The least and the most that a measure can be. Of points, a policy may have more than the expert."""
    least, most = BOUNDS.get(name, UNBOUNDED)
    if not scored:
        return least, most
    return AT_LEAST_0 if least == 0.0 else UNBOUNDED


@dataclass(frozen=True)
class Curves:
    """Shares of successful episodes over training; of NetHack, mean scores as shares of AutoAscend's."""

    steps: Array  # (V,) environment steps so far
    close: Array  # (V,) in the stages before FAR
    far: Array  # (V,) in the stages that pi* knew and that lie behind others, begun there
    full: Array  # (V,) in all stages, one after the other
    stages: Array  # (V, K) in each of the K stages, begun there


@dataclass(frozen=True)
class Measures:
    """Measures of one run; shares of episodes where nothing else is said."""

    far_before: float  # FAR before training
    far_least: float  # at the worst evaluation afterwards
    forgetting: float  # how far it fell: `far_before` less `far_least`
    recovery_step: float  # environment steps until FAR is back after its worst; 0 if it never fell; NaN: never back
    close_end: float  # mean of the last evaluations
    far_end: float
    full_end: float
    area: float  # mean of FULL over all evaluations, the area under its curve
    environment_steps: float
    gradient_examples: float  # steps that a gradient was computed of, each time it was
    cpu_seconds: float  # of training


def curves(run: FinishedRun) -> Curves:
    """The run's curves; a `UserError` if a file of it is damaged."""
    config = finetune_config(run.config)
    content = content_of(run.folder, "stages.csv")
    check_content("stages.csv", content, run.done)
    task = config.staged_task
    steps, success = means_by_stage(content, "return" if task.scored else "success")
    if task.scored:
        success = task.normalise(success) / 100.0
    full = run.result.curve_scores / 100.0
    if not np.array_equal(steps, run.result.curve_steps) or success.shape[1] != len(task.stages):
        raise UserError(f"run {run.id}: stages.csv and episodes.csv are of other evaluations, or of other stages")
    far = list(task.far)
    close = [stage for stage in range(len(task.stages)) if stage not in far]
    return Curves(_environment_steps(run, steps), success[:, close].mean(1), success[:, far].mean(1), full, success)


def measure(run: FinishedRun) -> Measures:
    """All measures of a run."""
    config = finetune_config(run.config)
    found = curves(run)
    last = read_metrics(run.folder, run.config.steps)[-1]
    least = int(found.far[1:].argmin()) + 1
    return Measures(
        far_before=float(found.far[0]),
        far_least=float(found.far[least]),
        forgetting=float(found.far[0] - found.far[least]),
        recovery_step=recovery_step(found.steps, found.far, scored=config.staged_task.scored),
        close_end=float(found.close[-LAST:].mean()),
        far_end=float(found.far[-LAST:].mean()),
        full_end=float(found.full[-LAST:].mean()),
        area=float(found.full.mean()),
        environment_steps=float(last.get("environment_steps", 0)),
        gradient_examples=float(last.get("gradient_examples", 0)),
        cpu_seconds=float(last.get("cpu_seconds", math.nan)),
    )


def facts_at_end(run: FinishedRun) -> dict[str, float]:
    """Means of the last evaluations of what games came to, by "STAGE_FACT"; nothing of tasks that have no such facts.

    Of NetHack: score in points, turns, dungeon level and experience level, begun at either place.
    """
    names = [f"{stage}_{fact}" for stage in finetune_config(run.config).staged_task.stages for fact in FACTS]
    known = [row for row in _rows(run) if names[0] in row][-LAST:]
    return {name: float(np.mean([row[name] for row in known])) for name in names} if known else {}


def recovery_step(steps: Array, far: Array, *, scored: bool) -> float:
    """Environment steps at the first evaluation, from the worst one on, where FAR (V,) is back; NaN if it never is."""
    enough = far[0] - BACK * (far[0] if scored else 1.0)
    least = int(far[1:].argmin()) + 1
    if far[least] >= enough:
        return 0.0
    back = np.flatnonzero(far[least:] >= enough)
    return float(steps[least + back[0]]) if len(back) else math.nan


def forward_transfer(area: Sequence[float], scratch: Sequence[float]) -> Array:
    """The share (area - scratch) / (1 - scratch) of each pair: 0 where pi* is of no use, 1 where FULL is always 1.

    arXiv 2402.02868, Appendix B.3; NaN where learning from scratch leaves nothing to gain.
    """
    gained = np.asarray(area)
    base = np.asarray(scratch)
    return np.where(base < 1.0, (gained - base) / np.where(base < 1.0, 1.0 - base, 1.0), np.nan)


def _environment_steps(run: FinishedRun, steps: Array) -> Array:
    """Environment steps (V,) up to each evaluation, whose training steps are (V,)."""
    known = {0: 0.0} | {row["step"]: row.get("environment_steps", 0.0) for row in _rows(run)}
    missing = [int(step) for step in steps if int(step) not in known]
    if missing:
        raise UserError(
            f"run {run.id}: metrics.jsonl has nothing of step {missing[0]}, at which there is an evaluation"
        )
    return np.array([known[int(step)] for step in steps], float)


def _rows(run: FinishedRun) -> list[dict[str, float]]:
    return read_metrics(run.folder, run.config.steps)
