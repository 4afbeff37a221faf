"""Inline SVG: scales, axes, marks and labels as strings, with every text escaped.

Nothing has a colour of its own: classes name what an element is, and the page's style paints it for light and dark.
Lengths are in units of the drawing, which a phone shows at about one pixel each.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from matplotlib.markers import MarkerStyle
from matplotlib.ticker import MaxNLocator

from ..figures.card import readable
from ..runs.methods import METHODS, look_up

WIDTH = 340  # a panel: the width of a phone, less its margins
LINE_HEIGHT = 13.0  # of labels
LETTER = 6.2  # widest average letter at the label's size
MARK = 8.0  # across a marker
DOT = 1.7  # radius of a single seed's
STROKE = 2.0
HARDLY = 0.05  # of an axis


@dataclass(frozen=True)
class Scale:
    """A map from values to places: `low` is drawn at `start`, `high` at `end`."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value."""
        low, high, at = np.log10([self.low, self.high, value]) if self.logarithmic else (self.low, self.high, value)
        return float(self.start + (at - low) / (high - low) * (self.end - self.start))


def linear_scale(values: Iterable[float], start: float, end: float, *, ticks: int = 5) -> tuple[Scale, list[float]]:
    """A scale that holds all finite values, and its ticks; it shows the zero where that is near.

    It ends on ticks, but where values pass a tick by less than `HARDLY` of the scale it ends with them.
    """
    finite = [value for value in values if np.isfinite(value)] or [0.0, 1.0]
    low = min(finite)
    high = max(finite)
    low = 0.0 if 0.0 < low < high / 2 else low
    if low == high:
        low = low - 1.0
        high = high + 1.0
    places = [float(tick) for tick in MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]
    hardly = HARDLY * (places[-1] - places[0])
    first = low if places[0] < low and places[1] - low < hardly else places[0]
    last = high if places[-1] > high and high - places[-2] < hardly else places[-1]
    return Scale(first, last, start, end), [place for place in places if first <= place <= last]


def log_scale(values: Sequence[float], start: float, end: float) -> tuple[Scale, list[float]]:
    """A logarithmic scale over values above 0, and a tick at each of them."""
    low = min(values)
    high = max(values)
    low, high = (low / 2, high * 2) if low == high else (low, high)
    return Scale(low, high, start, end, logarithmic=True), sorted(values)


def number(value: float) -> str:
    """A coordinate, to a tenth of a unit."""
    return f"{value:.1f}".removesuffix(".0")


def text(x: float, y: float, content: str, style: str, anchor: str = "start") -> Markup:
    """A line of text whose baseline is at `y`."""
    where = Markup('<text x="{}" y="{}" class="{}"').format(number(x), number(y), style)
    ending = "" if anchor == "start" else Markup(' text-anchor="{}"').format(anchor)
    return where + ending + Markup(">{}</text>").format(content)


def path(points: Iterable[tuple[float, float]], style: str, *, closed: bool = False, dashes: str = "") -> Markup:
    """A line through points, or with `closed` the area inside."""
    steps = "L".join(f"{number(x)} {number(y)}" for x, y in points)
    dashed = Markup(' stroke-dasharray="{}"').format(dashes) if dashes else ""
    return Markup('<path class="{}" d="M{}{}"{}/>').format(style, steps, "Z" if closed else "", dashed)


def mark(x: float, y: float, method: str, hint: str = "", size: float = 1.0) -> Markup:
    """A method's marker, `size` times as large as usual, with what a pointer resting on it is told."""
    title = Markup("<title>{}</title>").format(hint) if hint else ""
    place = Markup('x="{}" y="{}"') if size == 1.0 else Markup(f'transform="translate({{}} {{}}) scale({size:g})"')
    placed = place.format(number(x), number(y))
    return Markup('<use href="#{}" {}>{}</use>').format(marker_id(method), placed, title)


def dot(x: float, y: float) -> Markup:
    """A small dot for a single seed."""
    return Markup('<circle class="seed" cx="{}" cy="{}" r="{}"/>').format(number(x), number(y), number(DOT))


def marker_id(method: str) -> str:
    """The id of a method's marker among `marker_shapes`."""
    return f"mark-{ord(look_up(method).marker):x}"


def marker_shapes() -> Markup:
    """Every marker once, for `mark` to refer to: the shapes that the figures have."""
    kinds = sorted({*(method.marker for method in METHODS.values()), look_up("").marker})
    return Markup("").join(Markup('<path id="mark-{:x}" d="{}"/>').format(ord(kind), _outline(kind)) for kind in kinds)


def _outline(kind: str) -> str:
    style = MarkerStyle(kind)
    polygons: Any = style.get_path().transformed(style.get_transform()).to_polygons()
    if kind == "o":
        radius = number(MARK / 2)
        return f"M-{radius} 0a{radius} {radius} 0 1 0 {number(MARK)} 0a{radius} {radius} 0 1 0 -{number(MARK)} 0Z"
    return "M" + "L".join(f"{number(MARK * x)} {number(-MARK * y)}" for x, y in polygons[0][:-1]) + "Z"


def dashes_of(method: str) -> str:
    """The pattern of a method's line; empty for a solid one."""
    return " ".join(number(STROKE * length) for length in look_up(method).dashes)


def class_of(method: str) -> str:
    """The class that gives a method its colour; methods that have none share one."""
    return f"m-{method}" if method in METHODS else "m-other"


def series(method: str, marks: Iterable[Markup]) -> Markup:
    """All that is drawn for one method, under its colour: what the legend shows and hides as one."""
    opened = Markup('<g class="series {}" data-method="{}">').format(class_of(method), method)
    return opened + Markup("").join(marks) + Markup("</g>")


def spread(places: Sequence[float], low: float, high: float, gap: float = LINE_HEIGHT) -> list[float]:
    """Places for labels, as near to those wanted as it gets with `gap` between any two, within `low` and `high`."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    free = dict(zip(order, (places[index] for index in order), strict=True))
    previous = low - gap
    for index in order:
        previous = free[index] = max(free[index], previous + gap)
    limit = high + gap
    for index in reversed(order):
        limit = free[index] = min(free[index], limit - gap)
    return [free[index] for index in range(len(places))]


def label_width(labels: Iterable[str]) -> float:
    """Room for the longest label."""
    return LETTER * max((len(label) for label in labels), default=0)


def x_axis(
    scale: Scale, ticks: Sequence[float], labels: Sequence[str], bottom: float, title: str, edge: float = 0.0
) -> Markup:
    """A base line at `bottom` with labelled ticks, `edge` longer at both ends, and the axis' title under it."""
    base = path([(scale.start - edge, bottom), (scale.end + edge, bottom)], "axis")
    marks = [text(scale(tick), bottom + 15, label, "tick", "middle") for tick, label in zip(ticks, labels, strict=True)]
    middle = (scale.start + scale.end) / 2
    return base + Markup("").join(marks) + text(middle, bottom + 31, title, "tick", "middle")


def y_axis(
    scale: Scale,
    ticks: Sequence[float],
    left: float,
    right: float,
    title: str,
    written: Callable[[float], str] = readable,
) -> Markup:
    """Grid lines from `left` to `right` with their values as `written`, and the axis' title above them."""
    lines = [path([(left, scale(tick)), (right, scale(tick))], "grid") for tick in ticks]
    labels = [text(left - 6, scale(tick) + 4, written(tick), "tick", "end") for tick in ticks]
    return Markup("").join([*lines, *labels]) + text(0, min(scale.start, scale.end) - 10, title, "tick")


def drawing(identity: str, height: float, title: str, description: str, parts: Iterable[Markup]) -> Markup:
    """The whole picture with the name and the description that a screen reader gives it."""
    opened = Markup(
        '<svg viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img" aria-labelledby="{2}-t {2}-d">'
        '<title id="{2}-t">{3}</title><desc id="{2}-d">{4}</desc>'
    ).format(WIDTH, number(height), escape(identity), title, description)
    return opened + Markup("").join(parts) + Markup("</svg>")
