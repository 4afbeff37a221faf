"""The report's figures: each a drawing, a caption, and the same numbers as a table for whoever can't see it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from markupsafe import Markup

from ...datasets.trajectories import Array
from ..figures.card import readable
from ..figures.spread import has_band
from . import svg
from .contents import Row, Setting
from .marks import (
    BOTTOM,
    MINUS,
    SPACE,
    TOP,
    Curve,
    Interval,
    Place,
    band,
    bars,
    bars_at_a_few,
    curve_names,
    dots,
    drawn_curves,
    interval_mark,
    listed,
    percent,
    room_for_labels,
    side_by_side,
    signed,
    stepped_curve,
    thinned,
    thousands,
)

HEIGHT = 252  # of a panel with curves
LEFT = 32.0  # of the y axis
TABLE_STEPS = 12  # most rows of a curve's table
ROW_HEIGHT = 24.0  # of a method's line in `intervals`
ASIDE = 7.0  # from a bar to the next one beside it
PROFILE_ASIDE = 3.0  # in a performance profile


@dataclass(frozen=True)
class Chart:
    """A figure of the report."""

    title: str
    svg: Markup
    head: list[str]  # of the table
    rows: list[list[str]]
    note: str = ""  # under the title: what is drawn, where that is not all that the title says


@dataclass(frozen=True)
class Axes:
    """The axes of a figure of curves: their titles, and what is said of a place on them."""

    x: str  # title of the x axis
    y: str  # title of the y axis
    head: str  # of the table's first column
    place: Place  # what to call a place on the x axis
    digits: int = 1  # decimals of the values


def curves_chart(
    name: str,
    title: str,
    axes: Axes,
    curves: Sequence[Curve],
    ends: Sequence[float] = (),
    constants: Mapping[str, float] = MappingProxyType({}),
) -> Chart:
    """Values over a quantity that begins at 0, such as training steps, and a dot for each seed.

    The y axis holds `ends` and all of the curves. `constants` are lines across the figure, where it reaches them.
    """
    right = room_for_labels(curves)
    x, x_ticks = svg.linear_scale([0.0, *(v for c in curves for v in c.x.tolist())], LEFT, right, ticks=4)
    y, y_ticks = svg.linear_scale([*ends, *ends_of(curves)], BOTTOM, TOP)
    written = readable if axes.digits == 1 else lambda tick: f"{tick:g}".replace("-", MINUS)
    parts = [
        svg.y_axis(y, y_ticks, LEFT, right, axes.y, written),
        svg.x_axis(x, x_ticks, [thousands(tick) for tick in x_ticks], BOTTOM, axes.x),
        _constants({label: value for label, value in constants.items() if y.low <= value <= y.high}, y, right),
        drawn_curves(curves, x, y, right, axes.place, "lowest to highest seed", dots, axes.digits),
    ]
    about = f"Mean over seeds of {listed(curves)}. Across: {axes.x}. The numbers are in the table below it."
    drawn = svg.drawing(name, HEIGHT, f"{title}: {axes.y}", about, parts)
    places = sorted({at for curve in curves for at in curve.x.tolist()})
    shown = [places[at] for at in thinned(len(places), TABLE_STEPS)]
    rows = [[_number(at), *(_value_at(at, curve, axes.digits) for curve in curves)] for at in shown]
    return Chart(title, drawn, [axes.head, *(curve.label for curve in curves)], rows)


def over_fractions(setting: Setting) -> Chart:
    """Score over the share of the data, with 95 % intervals."""
    lines = [[row for row in cells if row] for _, cells in setting.cells(setting.drawn)]
    curves = [_over_fractions(rows) for rows in lines]
    name = f"share-{setting.anchor}"
    return curves_over_shares(name, "Score over share of the data", "score", curves, seeds_of(setting))


def curves_over_shares(name: str, title: str, quantity: str, curves: Sequence[Curve], seeds: Sequence[int]) -> Chart:
    """A value over the share of the data, which is what `x` of the curves holds, with 95 % intervals."""
    axes = Axes("share of the data, %", quantity, "method", percent)
    return curves_over_values(name, title, axes, curves, seeds, "shares of the data", lambda share: f"{100 * share:g}")


def curves_over_values(
    name: str,
    title: str,
    axes: Axes,
    curves: Sequence[Curve],
    seeds: Sequence[int],
    values_of: str,
    tick: Callable[[float], str] = "{:g}".format,
) -> Chart:
    """A quantity over a few values of another, which `values_of` names, all above 0, with 95 % intervals.

    They are bars, with the seeds' dots, where a row has fewer than six of `seeds`, else bands (`figures/spread.py`).
    """
    banded = has_band(seeds)
    right = room_for_labels(curves)
    values = sorted({value for curve in curves for value in curve.x.tolist()})
    step = 0.0 if banded or max(seeds) == 1 else min(ASIDE, 0.7 * (right - LEFT) / (len(values) * len(curves)))
    edge = 6.0 + step * len(curves) / 2
    x, ticks = svg.log_scale(values, LEFT + edge, right - edge)
    y, y_ticks = svg.linear_scale(ends_of(curves), BOTTOM, TOP)
    parts = [
        svg.y_axis(y, y_ticks, LEFT, right, axes.y),
        svg.x_axis(x, ticks, [tick(value) for value in ticks], BOTTOM, axes.x, edge),
        drawn_curves(side_by_side(curves, step), x, y, right, axes.place, "95 % interval", band if banded else bars),
    ]
    about = f"{listed(curves)} at {len(ticks)} {values_of}. The numbers are in the table below it."
    rows = [[curve.label, *(_cell_at(value, curve) for value in values)] for curve in curves]
    drawn = svg.drawing(name, HEIGHT, title, about, parts)
    return Chart(title, drawn, [axes.head, *map(axes.place, values)], rows)


def about_figures(setting: Setting) -> str:
    """A caption: what the figures of a setting show of its seeds."""
    seeds = seeds_of(setting)
    if max(seeds) == 1:
        return "Every line is a single seed, which has no interval."
    if len(setting.fractions) == 1:
        scores_shown = "Score: lines are 95 % intervals, small dots single seeds"
    elif has_band(seeds):
        scores_shown = "Score over share of the data: bands are 95 % intervals"
    else:
        scores_shown = "Score over share of the data: bars are 95 % intervals, small dots single seeds"
    return f"{scores_shown}. During training: lines are means over seeds, small dots single seeds."


def intervals(
    name: str,
    title: str,
    entries: Sequence[Interval],
    *,
    digits: int = 1,
    reference: float = np.nan,
    limits: Sequence[float] = (),
    boxed: bool = False,
) -> Chart:
    """A line for each method: its value and 95 % interval; with `reference`, a vertical line there.

    The axis holds `limits` and all of the intervals. With `boxed`, these are as wide as a line of text, else lines.
    """
    left = 8 + svg.label_width([entry.label for entry in entries])
    right = svg.WIDTH - 44.0
    ends = [*limits, *(v for e in entries for v in (e.value, e.low, e.high, *e.seeds.ravel()))]
    ends += [reference] if np.isfinite(reference) else []
    x, ticks = svg.linear_scale(ends, left, right, ticks=4)
    bottom = TOP + ROW_HEIGHT * len(entries)
    parts = [svg.path([(x(tick), TOP - 6), (x(tick), bottom)], "grid") for tick in ticks]
    if np.isfinite(reference):
        parts.append(svg.path([(x(reference), TOP - 6), (x(reference), bottom)], "axis"))
    parts.append(svg.x_axis(x, ticks, [f"{tick:g}".replace("-", MINUS) for tick in ticks], bottom, ""))
    for place, entry in enumerate(entries):
        parts.append(interval_mark(entry, x, TOP + ROW_HEIGHT * (place + 0.45), digits, boxed))
    repeated = any(np.isfinite(entry.low) for entry in entries)
    intervals_too = ", each with its 95 % interval" if repeated else ""
    about = f"{title}: {listed(entries)}{intervals_too}. The numbers are in the table below it."
    drawn = svg.drawing(name, bottom + 22, title, about, parts)
    rows = [
        [entry.label, *(signed(value, digits) for value in (entry.value, entry.low, entry.high))] for entry in entries
    ]
    return Chart(title, drawn, ["method", "value", "from", "to"], rows)


def scores(setting: Setting, fraction: float) -> Chart:
    """Every method's score with its interval at a share of the data."""
    entries = [
        Interval(row.label, row.method, *row.interval, row.group.scores)
        for row in setting.drawn
        if row.fraction == fraction
    ]
    name = f"scores-{setting.anchor}-{setting.fractions.index(fraction)}"
    title = f"Score with {percent(fraction)} of the data" if setting.on_data else "Score"
    return intervals(name, title, entries)


def profiles(name: str, title: str, curves: Sequence[Curve], seeds: Sequence[int]) -> Chart:
    """Performance profiles: the share of runs that score more than what the axis says, with 95 % intervals.

    They are bars at a few scores where a row has fewer than six of `seeds`, else bands (`figures/spread.py`).
    """
    right = room_for_labels(curves)
    x, x_ticks = svg.linear_scale([v for c in curves for v in c.x.tolist()], LEFT + 4, right, ticks=4)
    y, y_ticks = svg.linear_scale([0.0, 1.0], BOTTOM, TOP)
    spread = band if has_band(seeds) else bars_at_a_few
    lines = [stepped_curve(curve, x, y, spread) for curve in side_by_side(curves, PROFILE_ASIDE)]
    parts = [
        svg.y_axis(y, y_ticks, LEFT + 4, right, "share of runs above"),
        svg.x_axis(x, x_ticks, [thousands(tick) for tick in x_ticks], BOTTOM, "score"),
        *lines,
        curve_names(curves, x, y, right),
    ]
    about = f"Share of runs that score more than a threshold, over the threshold, of {listed(curves)}."
    drawn = svg.drawing(name, HEIGHT, title, about, parts)
    places = thinned(len(curves[0].x), TABLE_STEPS)
    rows = [[readable(curves[0].x[at]), *(f"{curve.y[at]:.2f}" for curve in curves)] for at in places]
    return Chart(title, drawn, ["score above", *(curve.label for curve in curves)], rows)


def seeds_of(setting: Setting) -> list[int]:
    """The number of seeds of each drawn row."""
    return [row.values["seeds"] for row in setting.drawn]


def _over_fractions(rows: list[Row]) -> Curve:
    shares = np.asarray([row.fraction for row in rows])
    value, low, high = np.asarray([row.interval for row in rows]).T
    return Curve(rows[0].label, rows[0].method, shares, value, low, high, _scores_of_seeds(rows))


def _scores_of_seeds(rows: list[Row]) -> Array:
    """Scores (N, V) of each seed, NaN where a row has fewer seeds than another."""
    most = max(len(row.runs) for row in rows)
    scores = np.full((most, len(rows)), np.nan)
    for place, row in enumerate(rows):
        scores[: len(row.runs), place] = row.group.scores
    return scores


def _cell_at(place: float, curve: Curve) -> str:
    (found,) = np.nonzero(curve.x == place)
    if not len(found):
        return ""
    value, low, high = (signed(float(values[found[0]])) for values in (curve.y, curve.low, curve.high))
    return f"{value} [{low},{SPACE}{high}]" if np.isfinite(curve.low[found[0]]) else value


def ends_of(curves: Sequence[Curve]) -> list[float]:
    """Every value that is drawn of the curves."""
    ends = [values for curve in curves for values in (curve.y, curve.low, curve.high, curve.seeds.ravel())]
    return [value for values in ends for value in values.tolist()]


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"


def _value_at(place: float, curve: Curve, digits: int) -> str:
    (found,) = np.nonzero(curve.x == place)
    if not len(found):
        return ""
    mean, low, high = (signed(float(values[found[0]]), digits) for values in (curve.y, curve.low, curve.high))
    return f"{mean} ({low} to {high})" if np.isfinite(curve.low[found[0]]) else mean


def _constants(values: Mapping[str, float], y: svg.Scale, right: float) -> Markup:
    """A line across the figure at each value, and its name at the right end above it; lines so near share a label."""
    lines = [svg.path([(LEFT, y(value)), (right, y(value))], "axis", dashes="2 3") for value in values.values()]
    labels: list[tuple[float, str]] = []
    for place, name in sorted((y(value) - 4, name) for name, value in values.items()):
        if labels and place - labels[-1][0] < svg.LINE_HEIGHT:
            labels[-1] = (labels[-1][0], f"{labels[-1][1]}, {name}")
        else:
            labels.append((place, name))
    return Markup("").join([*lines, *(svg.text(right, place, name, "tick", "end") for place, name in labels)])
