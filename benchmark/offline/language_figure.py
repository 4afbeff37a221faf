"""The language study's figure: how much more held-out error each arm has than the pre-trained model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ...datasets.counts import count_range
from ..figures.card import INK, MUTED, Grid, card_of_panels
from ..runs.methods import look_up
from .language_study import REFERENCE, Curves, find_part

COLUMNS = 3  # panels side by side
ARM_HEIGHT = 0.34  # inches
APART = 0.17  # of two budgets of an arm, as a share of its height
FAINT = 0.45  # opacity of the first budget
MOST = 60.0  # per cent above the pre-trained arm: what lies beyond is a number at the edge

Row = Mapping[str, Any]  # of language.csv


def language_figure(curves: Mapping[str, Curves], path: Path) -> None:
    """Write a PNG of the curves of each language model: a panel for each model and data set that there is of it.

    Marks are differences in per cent of the pre-trained arm's error, with their 95 % intervals over seeds; faint ones
    are of the first evaluation, the others of the last.
    """
    panels = [(lm, data) for lm, own in curves.items() for data in dict.fromkeys(data for data, _ in own)]
    seeds = count_range([row["seeds"] for own in curves.values() for rows in own.values() for row in rows], "seed")
    about = (
        "Held-out action error above that of the pre-trained model, in per cent of it: to the right of 0 pre-training "
        f"helps. Lines: 95 % interval over {seeds}, paired; a triangle where one "
        "goes on beyond the edge. Faint: after the first budget; full: after the last."
    )
    columns = min(COLUMNS, len(panels))
    most = max(len(find_part(lm).arms) for lm, _ in panels) - 1
    grid = Grid(len(panels), columns, 0.9 + most * ARM_HEIGHT, pads=(0.03, 0.06), space=0.03)
    with card_of_panels(path, "Does pre-training on language help?", about, [], grid) as all_axes:
        for place, (axes, (lm, data)) in enumerate(zip(all_axes, panels, strict=True)):
            _panel(axes, lm, data, curves[lm], named=place % columns == 0)
            axes.set_xlabel("excess error (%)")


def _panel(axes: Axes, lm: str, data: str, curves: Curves, *, named: bool) -> None:
    """Draw every arm but the pre-trained one, from top to bottom; `named`: their titles stand beside them."""
    arms = find_part(lm).arms[1:]
    reference = curves[data, REFERENCE]
    for at, offset, opacity in ((0, -APART, FAINT), (-1, APART, 1.0)):
        scale = 100.0 / reference[at]["held_out_error"]
        for place, arm in enumerate(arms):
            _mark(axes, place + offset, curves[data, arm.name][at], scale, look_up(arm.method).colour, opacity)
    axes.axvline(0.0, color=MUTED, linewidth=1.0, zorder=1)
    steps = f"{reference[0]['step']} and {reference[-1]['step']} steps"
    head = [lm if named else "", data, f"{100 * reference[0]['fraction']:g} %, {steps}"]
    axes.set_title("\n".join(head), fontsize=7.5)
    axes.set_yticks(range(len(arms)), [arm.title if named else "" for arm in arms])
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0, labelcolor=INK, labelsize=8.0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.grid(axis="x")
    axes.margins(x=0.08)


def _mark(axes: Axes, y: float, row: Row, scale: float, colour: str, opacity: float) -> None:
    """Draw one difference, and its interval where more than one seed gives one."""
    centre = scale * row["held_out_error_less"]
    if centre > MOST:
        axes.scatter([MOST], [y], s=22, marker=">", color=colour, alpha=opacity, linewidth=0, zorder=3)
        axes.annotate(
            f"{centre:.0f} %",
            (MOST, y),
            xytext=(-5, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            color=MUTED,
            fontsize=7.0,
        )
        return
    if row["held_out_error_less_low"] is not None:
        low = scale * row["held_out_error_less_low"]
        high = scale * row["held_out_error_less_high"]
        axes.plot([low, min(high, MOST)], [y, y], color=colour, alpha=opacity, linewidth=2.0, solid_capstyle="round")
        if high > MOST:
            axes.scatter([MOST], [y], s=22, marker=">", color=colour, alpha=opacity, linewidth=0, zorder=3)
    axes.scatter([centre], [y], s=26, color=colour, alpha=opacity, edgecolor="white", linewidth=0.8, zorder=3)
