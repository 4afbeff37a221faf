"""Forgetting as a function of severity: one option of a task at a time makes remembering harder, all else stays.

Fine-tuning beside a method that retains, on the tasks that take no simulator (arXiv 2402.02868, Figure 11: M and c of
AppleRetrieval; ours: K of GridRelay).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter, ScalarFormatter

from ...datasets.errors import choose
from ..figures.card import Grid, card_of_panels
from ..figures.curves import method_line
from ..figures.spread import about_spread, draw_intervals
from ..runs.methods import look_up
from ..runs.store import run_folder
from ..runs.tracks import Wanted
from ..scores.collect import read_finished
from ..scores.labels import label, method_order
from ..scores.measured import columns
from .config import FinetuneConfig
from .measures import BOUNDS, Measures, measure
from .resolve import methods_for, resolve

METHODS = ("finetune", "finetune-bc")
MEASURED = ("far_before", "far_least", "forgetting", "full_end", "area")
PANEL_HEIGHT = 2.5  # inches
BESIDE = 1.08  # the factor between the bars of two methods


@dataclass(frozen=True)
class Knob:
    """An option of a task, and the values that it is given."""

    name: str  # on the command line
    task: str
    option: str
    values: tuple[float, ...]
    title: str  # of its panel
    axis: str  # what its values are


KNOBS = {
    knob.name: knob
    for knob in (
        Knob("distance", "apple-retrieval", "distance", (5, 10, 20, 30), "AppleRetrieval: M", "steps to the apple"),
        Knob("signal", "apple-retrieval", "signal", (0.1, 0.2, 0.5, 1.0), "AppleRetrieval: c", "size of the signal"),
        Knob("goals", "grid-relay", "goals", (1, 2, 4, 8), "GridRelay: K", "goals of the room"),
    )
}


@dataclass(frozen=True)
class Point:
    """A method with an option set to a value, and the runs that measure it."""

    knob: Knob
    value: float
    method: str
    runs: tuple[FinetuneConfig, ...]


def points(
    knobs: Sequence[str], methods: Sequence[str], seeds: Sequence[int], steps: int = 0, plan: bool = False
) -> list[Point]:
    """Every value of every knob with every method; none named means all. A `UserError` for unknown names."""
    found = []
    for name in knobs or KNOBS:
        knob = KNOBS[choose("knob", name, list(KNOBS))]
        for method in methods or METHODS:
            choose(f"method of {knob.task}", method, methods_for(knob.task))
            for value in knob.values:
                settings = {f"environment.{knob.option}": value}
                wanted = Wanted(knob.task, (method,), tuple(seeds), steps=steps, settings=settings, plan=plan)
                found.append(Point(knob, value, method, tuple(resolve(wanted))))
    return found


@dataclass(frozen=True)
class Measured:
    """A point, and the measures of its runs."""

    point: Point
    measures: tuple[Measures, ...]


def measured(every: Sequence[Point], root: Path) -> list[Measured]:
    """The points with the measures of their runs in `root`; a `UserError` for a run that is not finished."""
    return [
        Measured(point, tuple(measure(read_finished(run_folder(root, run))) for run in point.runs)) for point in every
    ]


def severity_rows(every: Sequence[Measured]) -> list[dict[str, Any]]:
    """A row for each point: means over seeds with 95 % intervals, shares of episodes."""
    return [_row(each.point, each.measures) for each in every]


def _row(point: Point, measures: Sequence[Measures]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "task": point.knob.task,
        "option": point.knob.option,
        "value": point.value,
        "method": point.method,
        "seeds": len(measures),
    }
    for name in MEASURED:
        row |= columns(name, [getattr(one, name) for one in measures], BOUNDS[name])
    return row


def severity_figure(every: Sequence[Measured], path: Path) -> None:
    """Write a PNG of forgetting over each option's values: a line a method, dots for seeds, 95 % intervals as bars."""
    methods = sorted({each.point.method for each in every}, key=method_order)
    handles = [method_line(method, label(method), [], []) for method in methods]
    knobs = [knob for knob in KNOBS.values() if any(each.point.knob == knob for each in every)]
    about = (
        "How far FAR fell at its worst, in points of success, below what it was before. One option is changed, all "
        f"else stays as it is. {about_spread('Lines', [len(each.measures) for each in every])}"
    )
    grid = Grid(len(knobs), len(knobs), PANEL_HEIGHT, pads=(0.04, 0.05), space=0.06)
    with card_of_panels(path, "Forgetting over severity", about, handles, grid) as all_axes:
        for place, (axes, knob) in enumerate(zip(all_axes, knobs, strict=True)):
            for number, method in enumerate(methods):
                own = [each for each in every if each.point.knob == knob and each.point.method == method]
                shift = BESIDE ** (number - (len(methods) - 1) / 2)
                _draw(axes, method, sorted(own, key=lambda each: each.point.value), shift)
            axes.set_title(knob.title)
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(FixedLocator(knob.values))
            axes.xaxis.set_major_formatter(ScalarFormatter())
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.tick_params(axis="x", which="minor", length=0)
            axes.set_xlabel(knob.axis)
            axes.set_ylabel("points of FAR forgotten" if place == 0 else "")
            axes.set_ylim(-6, 106)
            axes.grid(axis="y")


def _draw(axes: Axes, method: str, every: Sequence[Measured], shift: float) -> None:
    """A method's line in a panel, its seeds and its intervals; values are multiplied by `shift`, to be seen apart."""
    x = shift * np.array([each.point.value for each in every])
    forgotten = 100.0 * np.array([[one.forgetting for one in each.measures] for each in every]).T  # (N, values)
    draw_intervals(axes, x, forgotten, look_up(method).colour, (-100.0, 100.0))
    axes.add_line(method_line(method, label(method), x, forgotten.mean(0)))
    axes.update_datalim([(value, 0.0) for value in x])
    axes.autoscale_view(scaley=False)
