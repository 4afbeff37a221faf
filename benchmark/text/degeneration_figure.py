"""Figures of degeneration: score against it, a point for each seed; and language models that were taken back."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..figures.card import Grid, card_of_panels
from ..figures.curves import method_line
from ..runs.methods import look_up
from ..scores.labels import label, method_order
from .degeneration import FinishedArm
from .measures import ORIGINAL, ends, meters, others

PANEL_HEIGHT = 2.5  # inches
LOST = "neighbours_nouns"  # the meter that figures show: blind to rotations, and a share
SIZES = (4.5, 6.0, 8.0)  # of marks, from the lowest learning rate to the highest
SCORES = {
    f"train/{ORIGINAL}": "Games learned from",
    "train": "In other words",
    f"ood/{ORIGINAL}": "Unseen objects",
}


def degeneration_figure(every: Sequence[FinishedArm], taken_back: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write a PNG: a panel for each of `SCORES` over the neighbours lost, and two of what `rewind_rows` found."""
    ordered = sorted(every, key=lambda finished: method_order(finished.arm.method))
    handles = [
        method_line(method, label(method), [], []) for method in dict.fromkeys(one.arm.method for one in ordered)
    ]
    rates = sorted({one.arm.rate for one in ordered if one.arm.rate is not None})
    shown = [
        score
        for score in SCORES
        if any(not math.isnan(_score(one, run, score)) for one in every for run in one.group.runs)
    ]
    about = (
        "Per cent of a game's points at the end, over the share of nouns' ten nearest neighbours that were replaced. "
        "A point is a seed; larger marks: a higher learning rate of the language model "
        f"({', '.join(f'{rate:g}' for rate in rates)}). Dotted: mean of what reads no language model."
    )
    if taken_back:
        about += " Last panels: the same runs with their language model taken back towards what it was."
    task = ordered[0].group.config.task
    grid = Grid(len(shown) + 2 * bool(taken_back), min(3, len(shown)), PANEL_HEIGHT, pads=(0.04, 0.05), space=0.04)
    with card_of_panels(path, f"{task}: score against degeneration", about, handles, grid) as panels:
        for axes, score in zip(panels, shown, strict=False):
            _draw_scores(axes, ordered, rates, score)
        for axes, name in zip(panels[len(shown) :], ("orig", LOST), strict=False):
            _draw_rewinds(axes, taken_back, rates, name)


def _draw_scores(axes: Axes, every: Sequence[FinishedArm], rates: Sequence[float], score: str) -> None:
    for finished in every:
        look = look_up(finished.arm.method)
        points = [(_lost(finished, run), 100.0 * _score(finished, run, score)) for run in finished.group.runs]
        if not finished.group.config.lm_hash:
            mean = sum(y for _, y in points) / len(points)
            axes.axhline(mean, color=look.colour, linewidth=1.4, linestyle=":", zorder=1)
            continue
        (drawn,) = axes.plot(*zip(*points, strict=True), look.marker, color=look.colour, alpha=0.85)
        drawn.set(markersize=_size(finished.arm.rate, rates), markeredgecolor="white", markeredgewidth=0.6)
    axes.set_title(SCORES[score])
    axes.set_xlabel("neighbours lost, %")
    axes.set_ylabel("% of points")
    axes.set_ylim(-3, 103)
    axes.margins(x=0.06)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.grid(axis="y")


def _lost(finished: FinishedArm, run: Any) -> float:
    """Per cent of neighbours that training replaced: 0 where the language model stands still, NaN if it is unknown."""
    return 100.0 * (1.0 - meters(run).get(LOST, math.nan)) if finished.arm.trains else 0.0


def _score(finished: FinishedArm, run: Any, score: str) -> float:
    """The share of points; NaN where the task has no such games."""
    found = ends(run)
    return found.get(score, math.nan) if "/" in score else others(found, score)


def _size(rate: float | None, rates: Sequence[float]) -> float:
    """The size of a mark: of what has no rate, the middle one."""
    if rate is None or len(rates) < 2:
        return SIZES[1]
    return SIZES[0] + (SIZES[-1] - SIZES[0]) * sorted(rates).index(rate) / (len(rates) - 1)


def _draw_rewinds(axes: Axes, rows: Sequence[Mapping[str, Any]], rates: Sequence[float], name: str) -> None:
    """A line for each arm: per cent of points, or of neighbours lost, over alpha."""
    for method, rate in dict.fromkeys((row["method"], row["encoder_learning_rate"]) for row in rows):
        own = [row for row in rows if (row["method"], row["encoder_learning_rate"]) == (method, rate)]
        values = [100.0 * (1.0 - row[name] if name == LOST else row[name]) for row in own]
        line = method_line(method, "", [row["alpha"] for row in own], values)
        line.set(markersize=0.8 * _size(rate, rates), linewidth=1.3)
        axes.add_line(line)
    axes.set_title("Taken back: words" if name == LOST else "Taken back: score")
    axes.set_xlabel("alpha: share that is kept")
    axes.set_ylabel("neighbours lost, %" if name == LOST else "% of points")
    axes.set_ylim(-3, 103)
    axes.set_xlim(-0.04, 1.04)
    axes.grid(axis="y")
