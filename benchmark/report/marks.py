"""Marks of the report's figures: curves with their spread and names, values with intervals, and their words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from markupsafe import Markup

from ...datasets.trajectories import Array
from . import svg

TOP = 26.0
BOTTOM = 212.0  # between which curves are drawn
MOST_MARKS = 10  # on a curve
FEW_BARS = 5  # on a curve of many points
SEEDS_BELOW = 7.0  # dots of seeds under a method's value
MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"
SPACE = "\N{NO-BREAK SPACE}"  # between the ends of an interval

Place = Callable[[float], str]  # what to call a place on the x axis


NO_SEEDS = np.empty((0, 0))


@dataclass(frozen=True)
class Curve:
    """One method's line and how far its seeds lie apart; all arrays but `seeds` (V,)."""

    label: str
    method: str
    x: Array
    y: Array
    low: Array
    high: Array
    seeds: Array = field(default_factory=lambda: NO_SEEDS)  # (N, V), or none where they are not to be drawn
    shift: float = 0.0  # to the right, so that bars of several methods stand side by side


@dataclass(frozen=True)
class Interval:
    """One method's value with its 95 % interval, both ends NaN where there is none."""

    label: str
    method: str
    value: float
    low: float
    high: float
    seeds: Array = field(default_factory=lambda: NO_SEEDS)  # (N,), or none where they are not to be drawn


Spread = Callable[[Curve, svg.Scale, svg.Scale], list[Markup]]


def room_for_labels(curves: Sequence[Curve]) -> float:
    """The place where curves end, so that their names have room beside them."""
    return svg.WIDTH - 18 - svg.label_width([curve.label for curve in curves])


def drawn_curves(
    curves: Sequence[Curve],
    x: svg.Scale,
    y: svg.Scale,
    right: float,
    place: Place,
    spread_name: str,
    spread: Spread,
    digits: int = 1,
) -> Markup:
    """All curves with their names and what `spread` draws of their seeds.

    `place` says at a mark where it stands, and `spread_name` names what reaches from `low` to `high`; numbers have
    `digits` decimals.
    """
    drawn = [_curve(curve, x, y, place, spread_name, spread, digits) for curve in reversed(curves)]  # the first on top
    return Markup("").join(drawn) + curve_names(curves, x, y, right)


def _curve(
    curve: Curve, x: svg.Scale, y: svg.Scale, place: Place, spread_name: str, spread: Spread, digits: int
) -> Markup:
    known = np.isfinite(curve.low) & np.isfinite(curve.high)
    line = [(x(a) + curve.shift, y(b)) for a, b in zip(curve.x, curve.y, strict=True)]
    parts = [*spread(curve, x, y), svg.path(line, "line", dashes=svg.dashes_of(curve.method))]
    for at in thinned(len(line), MOST_MARKS):
        value, low, high = (signed(float(values[at]), digits) for values in (curve.y, curve.low, curve.high))
        reach = f" ({low} to {high}, {spread_name})" if known[at] else ""
        parts.append(svg.mark(*line[at], curve.method, f"{curve.label}, {place(curve.x[at])}: {value}{reach}"))
    return svg.series(curve.method, parts)


def band(curve: Curve, x: svg.Scale, y: svg.Scale) -> list[Markup]:
    """The area between the lower and the upper ends; a bar where there is one of them."""
    upper = [(x(a), y(b)) for a, b in zip(curve.x, curve.high, strict=True) if np.isfinite(b)]
    lower = [(x(a), y(b)) for a, b in zip(curve.x, curve.low, strict=True) if np.isfinite(b)]
    if len(upper) < 2:
        return bars(curve, x, y)
    return [svg.path([*upper, *reversed(lower)], "band", closed=True)]


def bars(curve: Curve, x: svg.Scale, y: svg.Scale) -> list[Markup]:
    """A bar from each lower to its upper end, and a dot for each seed."""
    ends = zip(curve.x, curve.low, curve.high, strict=True)
    drawn = [
        svg.path([(x(at) + curve.shift, y(low)), (x(at) + curve.shift, y(high))], "whisker")
        for at, low, high in ends
        if np.isfinite(low)
    ]
    return drawn + dots(curve, x, y)


def bars_at_a_few(curve: Curve, x: svg.Scale, y: svg.Scale) -> list[Markup]:
    """Bars at `FEW_BARS` of a curve's points, none at its ends."""
    places = thinned(len(curve.x), FEW_BARS + 2)[1:-1]
    return bars(replace(curve, x=curve.x[places], low=curve.low[places], high=curve.high[places]), x, y)


def side_by_side(curves: Sequence[Curve], step: float) -> list[Curve]:
    """The curves, moved aside so that what is drawn of them at one place is `step` apart."""
    middle = (len(curves) - 1) / 2
    return [replace(curve, shift=step * (place - middle)) for place, curve in enumerate(curves)]


def dots(curve: Curve, x: svg.Scale, y: svg.Scale) -> list[Markup]:
    """A dot for each seed, where the curve has marks; none of a single seed, which is the curve itself."""
    if len(curve.seeds) < 2:
        return []
    places = thinned(len(curve.x), MOST_MARKS)
    return [
        svg.dot(x(curve.x[at]) + curve.shift, y(seed[at]))
        for seed in curve.seeds
        for at in places
        if np.isfinite(seed[at])
    ]


def stepped_curve(curve: Curve, x: svg.Scale, y: svg.Scale, spread: Spread) -> Markup:
    """A curve of many points with what `spread` draws, without marks; the line itself is not moved aside."""
    line = [(x(a), y(b)) for a, b in zip(curve.x, curve.y, strict=True)]
    return svg.series(curve.method, [*spread(curve, x, y), svg.path(line, "line", dashes=svg.dashes_of(curve.method))])


def curve_names(curves: Sequence[Curve], x: svg.Scale, y: svg.Scale, right: float) -> Markup:
    """Each curve's name beside its end, moved up or down where two would meet and then led to it by a line."""
    ends = [(x(float(curve.x[-1])) + curve.shift, y(float(curve.y[-1]))) for curve in curves]
    places = svg.spread([end[1] for end in ends], TOP - 4, BOTTOM + 6)
    labels = []
    for curve, (across, down), place in zip(curves, ends, places, strict=True):
        leader = svg.path([(across + 5, down), (right + 6, place)], "leader")
        sign = svg.mark(right + 11, place, curve.method)
        labels.append(svg.series(curve.method, [leader, sign, svg.text(right + 18, place + 4, curve.label, "label")]))
    return Markup("").join(labels)


def interval_mark(entry: Interval, x: svg.Scale, middle: float, digits: int, boxed: bool) -> Markup:
    """A method's line of a figure: its name, value, interval as a line or, with `boxed`, as a box, and seeds."""
    parts = [svg.text(0, middle + 4, entry.label, "label")]
    if np.isfinite(entry.low):
        low = x(entry.low)
        high = x(entry.high)
        corners = [(low, middle - 6), (high, middle - 6), (high, middle + 6), (low, middle + 6)]
        line = svg.path([(low, middle), (high, middle)], "line")
        parts.append(svg.path(corners, "bar", closed=True) if boxed else line)
    if len(entry.seeds) > 1:
        parts += [svg.dot(x(float(seed)), middle + SEEDS_BELOW) for seed in entry.seeds]
    value = signed(entry.value, digits)
    about = f"{entry.label}: {value}"
    if np.isfinite(entry.low):
        about += f", from {signed(entry.low, digits)} to {signed(entry.high, digits)}"
    parts.append(svg.mark(x(entry.value), middle, entry.method, about))
    parts.append(svg.text(svg.WIDTH, middle + 4, value, "value", "end"))
    return svg.series(entry.method, parts)


def percent(share: float) -> str:
    """A share of the data in words."""
    return f"{100 * share:g} %"


def signed(value: float, digits: int = 1) -> str:
    """A number with a real minus sign; none before a zero, and a dash where there is no number."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", MINUS) if np.isfinite(value) else DASH


def thousands(value: float) -> str:
    """A tick: 20k for 20,000."""
    return f"{value / 1000:g}k" if abs(value) >= 10_000 else f"{value:g}".replace("-", MINUS)


def listed(entries: Sequence[Curve | Interval]) -> str:
    """The labels as a list in words."""
    names = [entry.label for entry in entries]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def thinned(count: int, limit: int) -> list[int]:
    """Places from 0 to count - 1, evenly spread, the ends among them: `limit` of them or fewer."""
    return sorted({round(float(place)) for place in np.linspace(0, count - 1, min(count, limit))})
