"""What stands in the report's figures: curves with bands and names, values with intervals, and their words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from ...datasets.trajectories import Array
from . import svg

TOP, BOTTOM = 26.0, 212.0  # between which curves are drawn
MOST_MARKS = 10  # on a curve
MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"

Place = Callable[[float], str]  # what to call a place on the x axis


@dataclass(frozen=True)
class Curve:
    """One method's line with its band; all arrays (V,)."""

    label: str
    method: str
    x: Array
    y: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class Interval:
    """One method's value with its 95 % interval, both ends NaN where there is none."""

    label: str
    method: str
    value: float
    low: float
    high: float


def room_for_labels(curves: Sequence[Curve]) -> float:
    """Where the curves end, so that their names have room beside them."""
    return svg.WIDTH - 18 - svg.label_width([curve.label for curve in curves])


def drawn_curves(curves: Sequence[Curve], x: svg.Scale, y: svg.Scale, right: float, place: Place, band: str) -> Markup:
    """All curves with their names; `place` and `band` say at a mark what it stands at, and what its spread is."""
    drawn = [_curve(curve, x, y, place, band) for curve in reversed(curves)]  # the first on top
    return Markup("").join(drawn) + curve_names(curves, x, y, right)


def _curve(curve: Curve, x: svg.Scale, y: svg.Scale, place: Place, band: str) -> Markup:
    known = np.isfinite(curve.low) & np.isfinite(curve.high)
    upper = [(x(a), y(b)) for a, b in zip(curve.x[known], curve.high[known], strict=True)]
    lower = [(x(a), y(b)) for a, b in zip(curve.x[known], curve.low[known], strict=True)]
    parts = [svg.path([*upper, *reversed(lower)], "band", closed=True)] if len(upper) > 1 else []
    if len(upper) == 1:
        parts.append(svg.path([upper[0], lower[0]], "line"))
    line = [(x(a), y(b)) for a, b in zip(curve.x, curve.y, strict=True)]
    parts.append(svg.path(line, "line", dashes=svg.dashes_of(curve.method)))
    for at in thinned(len(line), MOST_MARKS):
        spread = f" ({signed(curve.low[at])} to {signed(curve.high[at])}, {band})" if known[at] else ""
        parts.append(
            svg.mark(*line[at], curve.method, f"{curve.label}, {place(curve.x[at])}: {signed(curve.y[at])}{spread}")
        )
    return svg.series(curve.method, parts)


def stepped_curve(curve: Curve, x: svg.Scale, y: svg.Scale) -> Markup:
    """A curve of many points with its band, without marks."""
    upper = [(x(a), y(b)) for a, b in zip(curve.x, curve.high, strict=True) if np.isfinite(b)]
    lower = [(x(a), y(b)) for a, b in zip(curve.x, curve.low, strict=True) if np.isfinite(b)]
    band = [svg.path([*upper, *reversed(lower)], "band", closed=True)] if len(upper) > 1 else []
    line = [(x(a), y(b)) for a, b in zip(curve.x, curve.y, strict=True)]
    return svg.series(curve.method, [*band, svg.path(line, "line", dashes=svg.dashes_of(curve.method))])


def curve_names(curves: Sequence[Curve], x: svg.Scale, y: svg.Scale, right: float) -> Markup:
    """Each curve's name beside its end, moved up or down where two would meet and then led to it by a line."""
    ends = [(x(float(curve.x[-1])), y(float(curve.y[-1]))) for curve in curves]
    places = svg.spread([end[1] for end in ends], TOP - 4, BOTTOM + 6)
    labels = []
    for curve, (across, down), place in zip(curves, ends, places, strict=True):
        leader = svg.path([(across + 5, down), (right + 6, place)], "leader")
        sign = svg.mark(right + 11, place, curve.method)
        labels.append(svg.series(curve.method, [leader, sign, svg.text(right + 18, place + 4, curve.label, "label")]))
    return Markup("").join(labels)


def interval_mark(entry: Interval, x: svg.Scale, middle: float, digits: int, bars: bool) -> Markup:
    """A method's line of a figure: its name, value and interval."""
    parts = [svg.text(0, middle + 4, entry.label, "label")]
    if np.isfinite(entry.low):
        low, high = x(entry.low), x(entry.high)
        corners = [(low, middle - 6), (high, middle - 6), (high, middle + 6), (low, middle + 6)]
        line = svg.path([(low, middle), (high, middle)], "line")
        parts.append(svg.path(corners, "bar", closed=True) if bars else line)
    value, low_end, high_end = (signed(number, digits) for number in (entry.value, entry.low, entry.high))
    about = f"{entry.label}: {value}, from {low_end} to {high_end}"
    parts.append(svg.mark(x(entry.value), middle, entry.method, about))
    parts.append(svg.text(svg.WIDTH, middle + 4, value, "value", "end"))
    return svg.series(entry.method, parts)


def percent(share: float) -> str:
    """A share of the data in words."""
    return f"{100 * share:g} %"


def signed(value: float, digits: int = 1) -> str:
    """A number with a real minus sign; a dash where there is none."""
    return f"{value:.{digits}f}".replace("-", MINUS) if np.isfinite(value) else DASH


def thousands(value: float) -> str:
    """A tick: 20k for 20,000."""
    return f"{value / 1000:g}k" if abs(value) >= 10_000 else f"{value:g}".replace("-", MINUS)


def listed(entries: Sequence[Curve | Interval]) -> str:
    """The labels as a list in words."""
    names = [entry.label for entry in entries]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def thinned(count: int, most: int) -> list[int]:
    """At most `most` of the places 0 to count - 1, evenly spread, the ends among them."""
    return sorted({round(float(place)) for place in np.linspace(0, count - 1, min(count, most))})
