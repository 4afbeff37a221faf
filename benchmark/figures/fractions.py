"""Score over the share of the data, after LaMo's Figure 3: one panel a data set, one line a method, 95 % bands."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from ..runs.methods import look_up
from ..scores.labels import label, method_order
from ..scores.standings import Standing
from ..terminal import count_range
from .card import Grid, card_of_panels
from .curves import method_line, ranks_of

COLUMNS, PANEL_HEIGHT = 3, 2.0  # panels side by side; inches
ROOM = 0.5  # how far bands may stretch a panel beyond its lines, in heights of these

Key = tuple[str, str, str]  # data set, source, profile
Line = tuple[str, str]  # method, language model
Lines = dict[Line, list[Standing]]  # in order of fraction


def fraction_figure(standings: Sequence[Standing], path: Path) -> None:
    """Write a PNG of the mean score of `standings` of one data set each, over the fraction on a logarithmic axis.

    Bands are 95 % intervals, cut where they would dwarf the lines.
    """
    panels = _panels(standings)
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
            _draw(axes, methods, ranks)
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


def _draw(axes: Axes, methods: Lines, ranks: Mapping[Line, int]) -> None:
    fractions = sorted({standing.fraction for line in methods.values() for standing in line})
    for (method, lm), line in sorted(methods.items(), key=lambda item: method_order(item[0][0]), reverse=True):
        colour = look_up(method).colour
        x, means = [standing.fraction for standing in line], [standing.metrics["mean"] for standing in line]
        low, high = [mean.low for mean in means], [mean.high for mean in means]
        if len(line) > 1:
            axes.fill_between(x, low, high, color=colour, alpha=0.1, linewidth=0)
        else:
            axes.vlines(x, low, high, color=colour, linewidth=1.6, alpha=0.5)
        axes.add_line(method_line(method, "", x, [mean.value for mean in means], ranks[method, lm]))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(fractions))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(fractions, [f"{100 * fraction:g}" for fraction in fractions])
    beside = max((fractions[-1] / fractions[0]) ** 0.07, 1.05)
    axes.set_xlim(fractions[0] / beside, fractions[-1] * beside)
    axes.set_ylim(*_limits(methods))
    axes.grid(axis="y")


def _limits(methods: Lines) -> tuple[float, float]:
    """Heights that hold every line and, as far as `ROOM` allows, every band."""
    means = [standing.metrics["mean"] for line in methods.values() for standing in line]
    values = [mean.value for mean in means]
    reach = ROOM * max(max(values) - min(values), 5.0)
    low = min(value for mean in means for value in (mean.value, mean.low) if not math.isnan(value))
    high = max(value for mean in means for value in (mean.value, mean.high) if not math.isnan(value))
    low, high = max(low, min(values) - reach), min(high, max(values) + reach)
    low = 0.0 if 0.0 < low < high / 2 else low  # show the zero, unless that would squeeze what is to be seen
    beside = max(0.04 * (high - low), 0.5)
    return low - beside, high + beside


def _about(standings: Sequence[Standing], models: set[str]) -> str:
    seeds = count_range([standing.seeds for standing in standings], "seed")
    sources, profiles = (sorted({getattr(s, name) for s in standings}) for name in ("source", "profile"))
    model = f", {next(iter(models))}" if len(models) == 1 else ""
    return (
        f"{', '.join(sources).capitalize()} data, {', '.join(profiles)} profile{model}. Lines: mean of {seeds}. "
        "Bands: 95 % intervals, cut at a panel's edge. Score: normalised return, 0 to 100."
    )


def _title(key: Key, keys: Sequence[Key]) -> str:
    """The data set, and whatever else tells it from another panel of it."""
    alike = [other for other in keys if other[0] == key[0]]
    parts = [key[0]] + [key[place] for place in (1, 2) if len({other[place] for other in alike}) > 1]
    return ", ".join(parts)
