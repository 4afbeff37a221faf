"""Forgetting as a function of severity: one option of a task at a time makes remembering harder, all else stays.

Fine-tuning beside a method that retains, on the tasks that take no simulator (arXiv 2402.02868, Figure 11: M and c of
AppleRetrieval; ours: K of GridRelay).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.ticker import FixedLocator, NullFormatter, ScalarFormatter

from ...datasets.counts import count_range
from ...datasets.errors import choose
from ..figures.card import Grid, card_of_panels
from ..figures.curves import method_line
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


def severity_rows(every: Sequence[Point], root: Path) -> list[dict[str, Any]]:
    """Rows of points whose runs are finished: means over seeds with 95 % intervals, shares of episodes."""
    return [_row(point, [measure(read_finished(run_folder(root, run))) for run in point.runs]) for point in every]


def _row(point: Point, measured: Sequence[Measures]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "task": point.knob.task,
        "option": point.knob.option,
        "value": point.value,
        "method": point.method,
        "seeds": len(measured),
    }
    for name in MEASURED:
        row |= columns(name, [getattr(one, name) for one in measured], BOUNDS[name])
    return row


def severity_figure(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write a PNG of forgetting over each option's values, a line a method, with 95 % intervals."""
    methods = sorted({row["method"] for row in rows}, key=method_order)
    handles = [method_line(method, label(method), [], []) for method in methods]
    knobs = [knob for knob in KNOBS.values() if any(_is_of(row, knob) for row in rows)]
    about = (
        "How far FAR fell at its worst, in points of success, below what it was before. Mean of "
        f"{count_range([row['seeds'] for row in rows], 'seed')} with 95 % intervals; one option is changed, all else "
        "stays as it is."
    )
    grid = Grid(len(knobs), len(knobs), PANEL_HEIGHT, pads=(0.04, 0.05), space=0.06)
    with card_of_panels(path, "Forgetting over severity", about, handles, grid) as all_axes:
        for place, (axes, knob) in enumerate(zip(all_axes, knobs, strict=True)):
            for method in methods:
                own = [row for row in rows if _is_of(row, knob) and row["method"] == method]
                _draw(axes, method, sorted(own, key=lambda row: float(row["value"])))
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


def _is_of(row: Mapping[str, Any], knob: Knob) -> bool:
    return bool(row["task"] == knob.task and row["option"] == knob.option)


def _draw(axes: Any, method: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """A method's line in a panel, and its intervals."""
    values = [row["value"] for row in rows]
    axes.add_line(method_line(method, label(method), values, [100.0 * row["forgetting"] for row in rows]))
    axes.update_datalim([(value, 0.0) for value in values])
    axes.autoscale_view(scaley=False)
    for row in rows:
        if row["forgetting_low"] is not None:
            ends = [100.0 * row["forgetting_low"], 100.0 * row["forgetting_high"]]
            axes.plot([row["value"]] * 2, ends, color=look_up(method).colour, linewidth=1.2, alpha=0.6)
