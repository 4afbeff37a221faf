"""Score over the share of the data, after LaMo's Figure 3: one panel a data set, one line a method, 95 % intervals."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from ...datasets.trajectories import Array
from ..runs.methods import look_up
from ..scores.labels import label, method_order
from ..scores.standings import Standing
from .card import Grid, card_of_panels
from .curves import method_line, ranks_of
from .spread import BAND, about_means, draw_dots, has_band

COLUMNS = 3
PANEL_HEIGHT = 2.0  # panels side by side; inches
ROOM = 0.5  # how far intervals may stretch a panel beyond its lines, in heights of these
ASIDE = 0.7  # of the way to the nearest share, over which bars of one share stand side by side

Key = tuple[str, str, str]  # data set, source, profile
Line = tuple[str, str]  # method, language model
Lines = dict[Line, list[Standing]]  # in order of fraction


def fraction_figure(standings: Sequence[Standing], path: Path) -> None:
    """Write a PNG of the mean score of `standings` of one data set each, over the fraction on a logarithmic axis.

    95 % intervals are bars with a dot for each seed where a row has fewer than six seeds, else bands (`spread.py`);
    they are cut where they would dwarf the lines. A single seed has none.
    """
    panels = _panels(standings)
    band = has_band([standing.seeds for standing in standings])
    models = {standing.lm for standing in standings if standing.lm}
    ranks = ranks_of({line: line[0] for line in _lines(standings)})
    handles = [
        method_line(method, label(method, lm if len(models) > 1 else ""), [], [], rank)
        for (method, lm), rank in ranks.items()
    ]
    columns = min(COLUMNS if len(panels) != 4 else 2, len(panels))
    grid = Grid(len(panels), columns, PANEL_HEIGHT, pads=(0.03, 0.05), space=0.04)
    about = _about(standings, models)
    with card_of_panels(path, "Score over the share of the data", about, handles, grid) as all_axes:
        for place, (axes, (key, methods)) in enumerate(zip(all_axes, panels.items(), strict=True)):
            _draw(axes, methods, ranks, band=band)
            axes.set_title(_title(key, list(panels)))
            axes.set_ylabel("score" if place % columns == 0 else "")
            axes.set_xlabel("% of the episodes" if place + columns >= len(panels) else "")


def _panels(standings: Sequence[Standing]) -> dict[Key, Lines]:
    panels: dict[Key, Lines] = {}
    for standing in sorted(standings, key=lambda s: (s.datasets, s.source, s.profile, s.fraction)):
        key = (*standing.datasets, standing.source, standing.profile)
        lines = panels.setdefault((key[0], key[1], key[2]), {})
        lines.setdefault((standing.method, standing.lm), []).append(standing)
    return panels


def _lines(standings: Sequence[Standing]) -> list[Line]:
    return sorted({(s.method, s.lm) for s in standings}, key=lambda line: (method_order(line[0]), line))


def _draw(axes: Axes, methods: Lines, ranks: Mapping[Line, int], *, band: bool) -> None:
    fractions = sorted({standing.fraction for line in methods.values() for standing in line})
    ordered = sorted(methods.items(), key=lambda item: method_order(item[0][0]), reverse=True)
    shifts = _shifts(len(ordered), fractions)
    for ((method, lm), line), shift in zip(ordered, [1.0] * len(ordered) if band else reversed(shifts), strict=True):
        x = np.asarray([standing.fraction * shift for standing in line])
        _draw_intervals(axes, line, x, look_up(method).colour, band=band)
        means = [standing.metrics["mean"].value for standing in line]
        axes.add_line(method_line(method, "", x, means, ranks[method, lm]))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(fractions))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(fractions, [f"{100 * fraction:g}" for fraction in fractions])
    beside = max((fractions[-1] / fractions[0]) ** 0.07, 1.05, shifts[-1] ** 1.5)
    axes.set_xlim(fractions[0] / beside, fractions[-1] * beside)
    axes.set_ylim(*_limits(methods))
    axes.grid(axis="y")


def _draw_intervals(axes: Axes, line: Sequence[Standing], x: Array, colour: str, *, band: bool) -> None:
    low = [standing.metrics["mean"].low for standing in line]
    high = [standing.metrics["mean"].high for standing in line]
    if band and len(line) > 1:
        axes.fill_between(x, low, high, color=colour, alpha=BAND, linewidth=0)
        return
    axes.vlines(x, low, high, color=colour, linewidth=1.6, alpha=0.5)
    for standing, at in zip(line, x, strict=True):
        (scores,) = standing.scores.values()
        if len(scores) > 1:
            draw_dots(axes, np.full(len(scores), at), scores, colour)


def _shifts(lines: int, fractions: Sequence[float]) -> Array:
    """Factors (lines,) of a share, at which the bars of several lines stand side by side on a logarithmic axis."""
    gaps = np.diff(np.log(fractions))
    reach = ASIDE / 2 * min(0.5, float(gaps.min()) if len(gaps) else 0.5)
    return np.exp(np.linspace(-reach, reach, lines)) if lines > 1 else np.ones(1)


def _limits(methods: Lines) -> tuple[float, float]:
    """Heights that hold every line and, as far as `ROOM` allows, every interval."""
    means = [standing.metrics["mean"] for line in methods.values() for standing in line]
    values = [mean.value for mean in means]
    reach = ROOM * max(max(values) - min(values), 5.0)
    low = min(value for mean in means for value in (mean.value, mean.low) if not math.isnan(value))
    high = max(value for mean in means for value in (mean.value, mean.high) if not math.isnan(value))
    low = max(low, min(values) - reach)
    high = min(high, max(values) + reach)
    low = 0.0 if 0.0 < low < high / 2 else low  # show the zero, unless that would squeeze what is to be seen
    beside = max(0.04 * (high - low), 0.5)
    return low - beside, high + beside


def _about(standings: Sequence[Standing], models: set[str]) -> str:
    means = about_means("Lines", [standing.seeds for standing in standings])
    sources, profiles = (sorted({getattr(s, name) for s in standings}) for name in ("source", "profile"))
    model = f", {next(iter(models))}" if len(models) == 1 else ""
    return (
        f"{', '.join(sources).capitalize()} data, {', '.join(profiles)} profile{model}. {means} "
        f"{_about_intervals(standings)}Score: normalised return, 0 to 100."
    )


def _about_intervals(standings: Sequence[Standing]) -> str:
    seeds = [standing.seeds for standing in standings]
    if max(seeds) == 1:
        return ""
    if has_band(seeds):
        return "Bands: 95 % intervals, cut at a panel's edge. "
    return "Bars: 95 % intervals, cut at a panel's edge. Small dots: single seeds. "


def _title(key: Key, keys: Sequence[Key]) -> str:
    """The data set, and whatever else tells it from another panel of it."""
    same = [other for other in keys if other[0] == key[0]]
    parts = [key[0]] + [key[place] for place in (1, 2) if len({other[place] for other in same}) > 1]
    return ", ".join(parts)
