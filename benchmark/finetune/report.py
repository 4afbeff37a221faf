"""The part of the report that is about fine-tuning alone: a `report.parts.Part`, whose docstrings say what it has."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from operator import attrgetter

import numpy as np

from ...datasets.environments.staged_tasks import StagedTask
from ...datasets.trajectories import Array
from ..report.charts import Axes, Chart, curves_chart, curves_over_values
from ..report.contents import Row, Setting
from ..report.marks import MINUS, Curve
from ..report.parts import Passage, Table
from ..report.training import curve_of
from ..scores.measured import columns
from .board import rows, shown
from .config import ENVIRONMENT, finetune_config
from .figure import PANELS
from .measures import BOUNDS, Curves, curves, measure
from .severity import KNOBS, Knob

__all__ = ["about", "charts", "passages", "table", "terms"]

PER_CENT = (0.0, 100.0)
AXES = Axes("round of training", "% of episodes that succeed", "round", lambda step: f"round {step:,.0f}")
SCORED_AXES = replace(AXES, y="% of the expert's score")
CAPTION = (
    "Per cent of episodes. FAR: before training, at its worst, at the end. CLOSE and FULL: at the end. Area: mean of "
    "FULL over all evaluations, with its 95 % interval. Gain: in area on plain fine-tuning, seed by seed; "
    "* its interval lies above or below 0. CPU s: processor seconds of a run's training. Coef.: of retention."
)
TERMS = {
    "pi*": "the policy that a run begins with; it knows some stages of the task already",
    "FAR": "success in the stages that pi* knew and that lie behind others, begun there: what can be forgotten",
    "CLOSE": "success in the stages before those, begun there: what has to be learned",
    "FULL": "success in all stages, one after the other; its mean over all evaluations is the score",
    "round": "a step of training: collect steps of the environment, then learn from them",
}


def about(setting: Setting) -> str:
    """The task's stages, in order."""
    task = _task(setting)
    kinds = ["FAR" if stage in task.far else "CLOSE" for stage in range(len(task.stages))]
    stages = ", ".join(f"{name} ({kind})" for name, kind in zip(task.stages, kinds, strict=True))
    return f"Its stages, one after the other: {stages}."


def charts(setting: Setting) -> list[Chart]:
    """FAR, CLOSE and FULL over training; of a task of more than two stages also each stage by itself.

    Where an option of the task was set to several values, what was forgotten over these, too.
    """
    found = {row.anchor: [curves(run) for run in row.runs] for row in setting.drawn}
    drawn = [_chart(setting, found, name, title, attrgetter(name)) for name, title in PANELS.items()]
    stages = _task(setting).stages
    if len(stages) > 2:
        for place, name in enumerate(stages):
            success = partial(_success_in, place)
            drawn.append(_chart(setting, found, f"stage-{place}", f"Stage {place + 1}: {name}", success))
    return drawn + [chart for knob in KNOBS.values() if knob.task == setting.task for chart in _severity(setting, knob)]


def table(setting: Setting) -> Table:
    """A line for each method and variant: what it forgot, and what came of it."""
    measured = {(row["method"], row["variant"]): shown(row) for row in rows([row.group for row in setting.rows])}
    _, *head = next(iter(measured.values()))
    titles = [f"{name[0].upper()}{name[1:]}" for name in head]
    lines = []
    for row in setting.rows:
        _, *cells = measured[row.method, row.variant].values()
        lines.append((row, [cell.replace("-", MINUS) for cell in cells]))
    caption = CAPTION.replace("of episodes", "of the expert's score") if _task(setting).scored else CAPTION
    return Table("What was forgotten, and what came of it", caption, titles, lines)


def passages(setting: Setting) -> list[Passage]:
    """None: nothing is made of words."""
    return []


def terms() -> Mapping[str, str]:
    """The track's words."""
    return TERMS


def _task(setting: Setting) -> StagedTask:
    """The task, with the options of the rows that are drawn."""
    return finetune_config(setting.drawn[0].runs[0].config).staged_task


def _success_in(stage: int, own: Curves) -> Array:
    return np.asarray(own.stages[:, stage])


def _chart(
    setting: Setting, found: Mapping[str, list[Curves]], name: str, title: str, share: Callable[[Curves], Array]
) -> Chart:
    lines = []
    for row in setting.drawn:
        rounds = np.asarray(row.runs[0].result.curve_steps, float)
        lines.append(curve_of(row, rounds, 100.0 * np.stack([share(own) for own in found[row.anchor]])))
    axes = SCORED_AXES if _task(setting).scored else AXES
    return curves_chart(f"{name}-{setting.anchor}", title, axes, lines, PER_CENT)


def _severity(setting: Setting, knob: Knob) -> list[Chart]:
    """Forgetting over the values of an option, for the methods that have several and differ in nothing else."""
    name = f"{ENVIRONMENT}.{knob.option}"
    lines: dict[str, list[Row]] = {}
    for row in setting.rows:
        if not row.runs[0].config.policy.get(name, 0):
            continue  # zero has no place on a logarithmic axis
        if {part.partition("=")[0] for part in filter(None, row.variant.split(", "))} <= {name}:
            lines.setdefault(row.method, []).append(row)
    several = [own for own in lines.values() if len(own) > 1]
    if not several:
        return []
    axes = Axes(knob.axis, "points of FAR forgotten", "method", lambda value: f"{knob.option} {value:g}")
    seeds = [len(row.runs) for own in several for row in own]
    over = [_over_values(name, own) for own in several]
    title = f"Forgetting over {knob.option}"
    return [curves_over_values(f"{knob.name}-{setting.anchor}", title, axes, over, seeds, f"values of {knob.option}")]


def _over_values(option: str, own: list[Row]) -> Curve:
    """A method's line: what it forgot, in points of FAR, over the values of an option."""
    own = sorted(own, key=lambda row: float(row.runs[0].config.policy[option]))
    forgotten = [[100.0 * measure(run).forgetting for run in row.runs] for row in own]
    low, high = (100.0 * bound for bound in BOUNDS["forgetting"])
    found = [columns("", values, (low, high)) for values in forgotten]
    mean, lower, upper = (np.array([row[end] for row in found], float) for end in ("", "_low", "_high"))
    seeds = np.full((max(map(len, forgotten)), len(own)), np.nan)
    for place, values in enumerate(forgotten):
        seeds[: len(values), place] = values
    options = np.array([row.runs[0].config.policy[option] for row in own], float)
    return Curve(own[0].label, own[0].method, options, mean, lower, upper, seeds)
