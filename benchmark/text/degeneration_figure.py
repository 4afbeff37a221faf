"""Figures of degeneration: score against it, a point for each seed; and language models that were taken back."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ...datasets.trajectories import Array
from ..figures.card import Grid, card_of_panels
from ..figures.curves import method_line, ranks_of
from ..figures.spread import draw_intervals
from ..runs.methods import look_up
from ..scores.labels import label
from .board import STILL
from .degeneration import FinishedArm
from .degeneration_tables import curves_of
from .measures import ORIGINAL, ends, meters, others
from .rewind import ALPHA

PANEL_HEIGHT = 2.5  # inches
COLUMNS = 3
LEARNED = f"train/{ORIGINAL}"
LOST = "neighbours_nouns"  # the meter that figures show: blind to rotations, and a share
SIZES = (4.5, 8.0)  # of marks, at the lowest learning rate and at the highest
ASIDE = 0.12  # of alpha, between the first and the last of the arms that stand side by side
PER_CENT = (0.0, 100.0)
SCORES = {
    LEARNED: "Games learned from",
    "train": "In other words",
    f"ood/{ORIGINAL}": "Unseen objects",
}
ABOUT = (
    "Per cent of a game's points at the end, over the share of nouns' ten nearest neighbours that were replaced. "
    "A point is a seed{rates}. Dotted: mean of what reads no language model."
)
ABOUT_REWINDS = (
    " Below, by learning rate: the same runs with their language model taken back, at alpha 0 to what it was. Means "
    "over seeds{bars}.{fixed}"
)
ABOUT_FIXED = " Dotted there: what can be learned on vectors that stand still, at the height of alpha 0."

Line = tuple[str, str]  # a method, and what tells arms of it from others but the rate
Rewound = tuple[FinishedArm, list[Mapping[str, Array]]]  # an arm, and the curve of each run that was taken back


def degeneration_figure(every: Sequence[FinishedArm], path: Path) -> None:
    """Write a PNG: a panel for each of `SCORES` over the neighbours lost, and two a rate of what was taken back."""
    ranks = ranks_of({_line(arm): arm.method for arm in every})
    rates = sorted({arm.rate for arm in every if arm.rate is not None})
    shown = [
        score for score in SCORES if any(not math.isnan(_score(run, score)) for arm in every for run in arm.group.runs)
    ]
    rewound = [(arm, curves) for arm in every if (curves := curves_of(arm))]
    taken = [rate for rate in rates if any(arm.rate == rate for arm, _ in rewound)]
    rows = [(score or "", None) for score in _padded(shown)]
    rows += [(name if rate is not None else "", rate) for name in (LEARNED, LOST) for rate in _padded(taken)]
    still = [arm for arm in every if arm.method == STILL]
    grid = Grid(len(rows), COLUMNS, PANEL_HEIGHT, pads=(0.04, 0.05), space=0.04)
    title = f"{every[0].config.task}: score against degeneration"
    with card_of_panels(path, title, _about(every, rates, rewound), _handles(ranks), grid) as panels:
        for axes, (name, rate) in zip(panels, rows, strict=True):
            if rate is None and name in shown:
                _draw_scores(axes, every, ranks, rates, name)
            elif rate is None:
                axes.set_axis_off()
            else:
                _draw_rewinds(axes, [own for own in rewound if own[0].rate == rate], ranks, rate, name)
                _draw_fixed(axes, still if name == LEARNED else [])


def _padded(panels: Sequence[Any]) -> list[Any]:
    """The contents of panels, with None to the end of a row."""
    return [*panels, *[None] * (-len(panels) % COLUMNS)]


def _line(arm: FinishedArm) -> Line:
    return arm.method, arm.detail


def _handles(ranks: dict[Line, int]) -> list[Line2D]:
    return [method_line(method, label(method, detail), [], [], rank) for (method, detail), rank in ranks.items()]


def _about(every: Sequence[FinishedArm], rates: Sequence[float], rewound: Sequence[Rewound]) -> str:
    larger = f"; larger marks: a higher learning rate of the language model ({', '.join(f'{r:g}' for r in rates)})"
    about = ABOUT.format(rates=larger if len(rates) > 1 else "")
    if rewound:
        several = any(len(curves) > 1 for _, curves in rewound)
        fixed = ABOUT_FIXED if any(arm.method == STILL for arm in every) else ""
        about += ABOUT_REWINDS.format(bars=" with 95 % intervals and the seeds as dots" if several else "", fixed=fixed)
    return about


def _draw_scores(
    axes: Axes, every: Sequence[FinishedArm], ranks: dict[Line, int], rates: Sequence[float], score: str
) -> None:
    for arm in every:
        look = look_up(arm.method)
        points = [(_lost(arm, run), 100.0 * _score(run, score)) for run in arm.group.runs]
        if not arm.config.lm_hash:
            mean = sum(y for _, y in points) / len(points)
            axes.axhline(mean, color=look.colour, linewidth=1.4, linestyle=":", zorder=1)
            continue
        mark = method_line(arm.method, "", [x for x, _ in points], [y for _, y in points], ranks[_line(arm)])
        mark.set(linestyle="none", markersize=_size(arm.rate, rates), alpha=0.85)
        axes.add_line(mark)
    axes.set_title(SCORES[score])
    axes.set_xlabel("neighbours lost, %")
    axes.set_ylabel("% of points")
    axes.set_ylim(-3, 103)
    axes.margins(x=0.06)
    axes.autoscale_view(scaley=False)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.grid(axis="y")


def _lost(arm: FinishedArm, run: Any) -> float:
    """Per cent of neighbours that training replaced: 0 where the language model stands still, NaN if it is unknown."""
    return 100.0 * (1.0 - meters(run).get(LOST, math.nan)) if arm.trains else 0.0


def _score(run: Any, score: str) -> float:
    """The share of points; NaN where the task has no such games."""
    found = ends(run)
    return found.get(score, math.nan) if "/" in score else others(found, score)


def _size(rate: float | None, rates: Sequence[float]) -> float:
    """The size of a mark: of what has no rate, the middle one."""
    if rate is None or len(rates) < 2:
        return sum(SIZES) / 2
    return SIZES[0] + (SIZES[1] - SIZES[0]) * sorted(rates).index(rate) / (len(rates) - 1)


def _draw_rewinds(axes: Axes, rewound: Sequence[Rewound], ranks: dict[Line, int], rate: float, name: str) -> None:
    """A line for each arm at a rate: per cent of points, or of neighbours lost, over alpha; arms stand side by side."""
    shifts = np.linspace(-ASIDE / 2, ASIDE / 2, len(rewound)) if len(rewound) > 1 else np.zeros(1)
    for (arm, curves), shift in zip(rewound, shifts, strict=True):
        places = curves[0][ALPHA] + shift
        values = np.stack([_per_cent(curve[name], name) for curve in curves])  # (N, P)
        draw_intervals(axes, places, values, look_up(arm.method).colour, PER_CENT)
        line = method_line(arm.method, "", places, values.mean(0), ranks[_line(arm)])
        line.set(linewidth=1.2)
        axes.add_line(line)
    axes.set_title(f"Taken back, rate {rate:g}")
    axes.set_xlabel("alpha: share that is kept")
    axes.set_ylabel("neighbours lost, %" if name == LOST else "% of points")
    axes.set_ylim(-3, 103)
    axes.set_xlim(-0.04 - ASIDE / 2, 1.04 + ASIDE / 2)
    axes.grid(axis="y")


def _per_cent(values: Array, name: str) -> Array:
    return np.asarray(100.0 * (1.0 - values if name == LOST else values))


def _draw_fixed(axes: Axes, still: Sequence[FinishedArm]) -> None:
    """Draw what can be learned where the language model was never moved, to be compared with alpha 0."""
    for arm in still:
        mean = 100.0 * sum(ends(run)[LEARNED] for run in arm.group.runs) / len(arm.group.runs)
        axes.axhline(mean, color=look_up(arm.method).colour, linewidth=1.6, linestyle=":", zorder=1)
