"""The ablation's figure, after the paper's: one panel a variant, its learning curve over LaMo's and DT's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ...datasets.counts import count
from ..figures.card import Grid, card_of_panels
from ..figures.spread import about_curves, draw_seeds
from ..runs.methods import METHODS
from .ablation import BASE

BACKGROUND = (BASE, "dt")  # in every panel, where they were run
VARIANT_COLOUR = "#B3261E"
COLUMNS = 3  # panels side by side
PANEL_HEIGHT = 1.75  # inches


def ablation_figure(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write a PNG of one setting's rows, from `ablation.compare`: a panel for each variant but LaMo and DT.

    Lines are means over seeds, small dots single seeds.
    """
    known = {row["variant"]: row for row in rows}
    shown = [row for row in rows if row["variant"] not in BACKGROUND]
    behind = [known[name] for name in BACKGROUND if name in known]
    first = rows[0]
    seeds = [row["seeds"] for row in rows]
    about = (
        f"{first['dataset']} ({first['source']} data), {100 * first['fraction']:g} % of it: "
        f"{count(first['episodes'], 'episode')}. {about_curves(seeds)} Titles: the last evaluations' score less LaMo's"
        f"{', with its 95 % interval; sees: the true difference that 80 % of such experiments see' * (max(seeds) > 1)}."
    )
    handles = [_handle(_colour(row["variant"]), row["title"]) for row in behind] + [_handle(VARIANT_COLOUR, "variant")]
    grid = Grid(len(shown), COLUMNS, PANEL_HEIGHT, pads=(0.03, 0.05), space=0.03, shared=True)
    with card_of_panels(path, "LaMo, one part changed at a time", about, handles, grid) as all_axes:
        for place, (axes, row) in enumerate(zip(all_axes, shown, strict=True)):
            _panel(axes, row, behind)
            axes.set_ylabel("score" if place % COLUMNS == 0 else "")
            lowest = place + COLUMNS >= len(shown)
            axes.set_xlabel("training step" if lowest else "")
            axes.tick_params(labelbottom=lowest)


def _panel(axes: Axes, row: dict[str, Any], background: list[dict[str, Any]]) -> None:
    for other in background:
        _curve(axes, other, _colour(other["variant"]))
    _curve(axes, row, VARIANT_COLOUR)
    difference = f"{row['minus_lamo']:+.1f}"
    if row["seeds"] > 1:
        difference += f" [{row['minus_lamo_low']:.1f}, {row['minus_lamo_high']:.1f}]"
    if row["detectable"] is not None:
        difference += f", sees {row['detectable']:.1f}"
    axes.set_title(f"{row['title']}\n" + difference.replace("-", "\N{MINUS SIGN}"), fontsize=8.0)
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.grid(axis="y")
    axes.margins(x=0.03)


def _curve(axes: Axes, row: dict[str, Any], colour: str) -> None:
    steps = row["curve_steps"]  # (V,)
    curves = row["curves"]  # (N, V)
    draw_seeds(axes, steps, curves, colour)
    axes.plot(steps, curves.mean(axis=0), color=colour, linewidth=1.7, marker="o", markersize=3.0)


def _colour(name: str) -> str:
    return METHODS["lamo" if name == BASE else name].colour


def _handle(colour: str, label: str) -> Line2D:
    return Line2D([], [], color=colour, linewidth=1.9, label=label)
