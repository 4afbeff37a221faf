"""The report's figures: each a drawing, a caption, and the same numbers as a table for whoever can't see it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from ..figures.card import readable
from ..terminal import plural
from . import svg
from .contents import Row, Setting
from .marks import (
    BOTTOM,
    MINUS,
    TOP,
    Curve,
    Interval,
    curve_names,
    drawn_curves,
    interval_mark,
    listed,
    percent,
    room_for_labels,
    signed,
    stepped_curve,
    thinned,
    thousands,
)

HEIGHT = 252  # of a panel with curves
LEFT = 32.0  # of the y axis
TABLE_STEPS = 12  # most rows of a curve's table
ROW_HEIGHT = 24.0  # of a method's line in `intervals`

SIGNS = {"better": "+", "unclear": "~", "worse": MINUS}


@dataclass(frozen=True)
class Chart:
    """A figure of the report."""

    title: str
    svg: Markup
    head: list[str]  # of the table
    rows: list[list[str]]


def learning_curve(setting: Setting, fraction: float) -> Chart:
    """Score over training steps at a share of the data: means over seeds, and bands from the lowest to the highest."""
    curves = [_learned(row) for row in setting.drawn if row.fraction == fraction]
    every = [_learned(row) for row in setting.drawn]
    right = room_for_labels(curves)
    x, x_ticks = svg.linear_scale([0.0, *(v for c in curves for v in c.x.tolist())], LEFT, right, ticks=4)
    y, y_ticks = svg.linear_scale(_ends(every), BOTTOM, TOP)
    episodes = setting.at(fraction)[0].values["episodes_in_subset"]
    title = f"Training on {percent(fraction)} ({episodes:,} {plural(episodes, 'episode')})"
    parts = [
        svg.y_axis(y, y_ticks, LEFT, right, "score"),
        svg.x_axis(x, x_ticks, [thousands(tick) for tick in x_ticks], BOTTOM, "training step"),
        drawn_curves(curves, x, y, right, lambda step: f"step {step:,.0f}", "lowest to highest seed"),
    ]
    about = f"Mean over seeds of {listed(curves)} over training steps. The numbers are in the table below it."
    name = f"curve-{setting.anchor}-{setting.fractions.index(fraction)}"
    drawn = svg.drawing(name, HEIGHT, f"{setting.dataset}, {title[0].lower()}{title[1:]}: score", about, parts)
    steps = sorted({int(step) for curve in curves for step in curve.x})
    steps = [steps[place] for place in thinned(len(steps), TABLE_STEPS)]
    return Chart(title, drawn, ["step", *(curve.label for curve in curves)], [_at_step(step, curves) for step in steps])


def over_fractions(setting: Setting) -> Chart:
    """Score over the share of the data, with bands of 95 % intervals."""
    lines = [[row for row in cells if row] for _, cells in setting.cells(setting.drawn)]
    curves = [_over_fractions(rows) for rows in lines]
    return curves_over_shares(f"share-{setting.anchor}", "Score over share of the data", "score", curves)


def curves_over_shares(name: str, title: str, what: str, curves: Sequence[Curve]) -> Chart:
    """A value over the share of the data, which is what `x` of the curves holds, with bands of 95 % intervals."""
    right = room_for_labels(curves)
    shares = sorted({share for curve in curves for share in curve.x.tolist()})
    x, ticks = svg.share_scale(shares, LEFT + 8, right - 4)
    y, y_ticks = svg.linear_scale(_ends(curves), BOTTOM, TOP)
    parts = [
        svg.y_axis(y, y_ticks, LEFT, right, what),
        svg.x_axis(x, ticks, [f"{100 * tick:g}" for tick in ticks], BOTTOM, "share of the data, %"),
        drawn_curves(curves, x, y, right, percent, "95 % interval"),
    ]
    about = f"{listed(curves)} at {len(ticks)} shares of the data. The numbers are in the table below it."
    rows = [[curve.label, *(_cell_at(share, curve) for share in shares)] for curve in curves]
    drawn = svg.drawing(name, HEIGHT, title, about, parts)
    return Chart(title, drawn, ["method", *map(percent, shares)], rows)


def intervals(
    name: str,
    title: str,
    entries: Sequence[Interval],
    *,
    digits: int = 1,
    reference: float = np.nan,
    bars: bool = False,
) -> Chart:
    """A line for each method: its value and 95 % interval; with `reference`, a vertical line there.

    With `bars`, intervals are bars as wide as a line of text, else lines.
    """
    left = 8 + svg.label_width([entry.label for entry in entries])
    right = svg.WIDTH - 44.0
    ends = [v for e in entries for v in (e.value, e.low, e.high)] + ([reference] if np.isfinite(reference) else [])
    x, ticks = svg.linear_scale(ends, left, right, ticks=4)
    bottom = TOP + ROW_HEIGHT * len(entries)
    parts = [svg.path([(x(tick), TOP - 6), (x(tick), bottom)], "grid") for tick in ticks]
    if np.isfinite(reference):
        parts.append(svg.path([(x(reference), TOP - 6), (x(reference), bottom)], "axis"))
    parts.append(svg.x_axis(x, ticks, [f"{tick:g}".replace("-", MINUS) for tick in ticks], bottom, ""))
    for place, entry in enumerate(entries):
        parts.append(interval_mark(entry, x, TOP + ROW_HEIGHT * (place + 0.45), digits, bars))
    about = f"{title}: {listed(entries)}, each with its 95 % interval. The numbers are in the table below it."
    drawn = svg.drawing(name, bottom + 22, title, about, parts)
    rows = [
        [entry.label, *(signed(value, digits) for value in (entry.value, entry.low, entry.high))] for entry in entries
    ]
    return Chart(title, drawn, ["method", "value", "from", "to"], rows)


def scores(setting: Setting, fraction: float) -> Chart:
    """Every method's score with its interval at a share of the data."""
    entries = [
        Interval(row.label, row.method, *(float(row.values[key]) for key in ("score_mean", "ci_low", "ci_high")))
        for row in setting.drawn
        if row.fraction == fraction
    ]
    name = f"scores-{setting.anchor}-{setting.fractions.index(fraction)}"
    return intervals(name, f"Score with {percent(fraction)} of the data", entries)


def profiles(name: str, title: str, curves: Sequence[Curve]) -> Chart:
    """Performance profiles: the share of runs that score more than what the axis says."""
    right = room_for_labels(curves)
    x, x_ticks = svg.linear_scale([v for c in curves for v in c.x.tolist()], LEFT + 4, right, ticks=4)
    y, y_ticks = svg.linear_scale([0.0, 1.0], BOTTOM, TOP)
    lines = [stepped_curve(curve, x, y) for curve in curves]
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


def whiskers(row: Row, low: float, high: float) -> Markup:
    """The row's score and interval on a line from `low` to `high`: decoration beside the same numbers."""
    width, middle = 120.0, 9.0
    x = svg.Scale(low, high, 6.0, width - 6.0)
    values = [float(row.values[key]) for key in ("score_mean", "ci_low", "ci_high")]
    parts = [svg.path([(x(low), middle), (x(high), middle)], "grid")]
    if low < 0 < high:
        parts.append(svg.path([(x(0), 3), (x(0), 15)], "axis"))
    line = [svg.path([(x(values[1]), middle), (x(values[2]), middle)], "line")] if np.isfinite(values[1]) else []
    parts.append(svg.series(row.method, [*line, svg.mark(x(values[0]), middle, row.method)]))
    opened = Markup('<svg viewBox="0 0 120 18" width="120" height="18" aria-hidden="true">')
    return opened + Markup("").join(parts) + Markup("</svg>")


def tally_bar(better: int, unclear: int, worse: int) -> Markup:
    """Shares of settings side by side, told apart by shade and sign: decoration beside the same numbers."""
    total, width = better + unclear + worse, 160.0
    parts, start = [], 0.0
    for style, count in (("better", better), ("unclear", unclear), ("worse", worse)):
        end = start + width * count / total
        if count:
            parts.append(svg.path([(start, 2), (end, 2), (end, 16), (start, 16)], style, closed=True))
            parts.append(svg.text((start + end) / 2, 13, SIGNS[style], f"sign {style}-sign", "middle"))
        start = end
    opened = Markup('<svg viewBox="0 0 160 18" width="160" height="18" aria-hidden="true">')
    return opened + Markup("").join(parts) + Markup("</svg>")


def legend_key(method: str) -> Markup:
    """A sample of a method's line and marker."""
    line = svg.path([(1, 8), (29, 8)], "line", dashes=svg.dashes_of(method))
    opened = Markup('<svg viewBox="0 0 30 16" width="30" height="16" class="key {}" aria-hidden="true">')
    return opened.format(svg.class_of(method)) + line + svg.mark(15, 8, method) + Markup("</svg>")


def cell_text(row: Row | None) -> str:
    """A score with its interval, and how many seeds lie far below the others; nothing for no row."""
    if row is None:
        return ""
    mean, low, high = (signed(float(row.values[key])) for key in ("score_mean", "ci_low", "ci_high"))
    score = f"{mean} [{low}, {high}]" if row.values["seeds"] > 1 else mean
    below = row.values["seeds_below_gap"]
    return f"{score}, {below} of {row.values['seeds']} seeds far below" if below else score


def _learned(row: Row) -> Curve:
    scores = row.group.curves  # (N, V)
    steps = np.asarray(row.runs[0].result.curve_steps, float)
    return Curve(row.label, row.method, steps, scores.mean(axis=0), scores.min(axis=0), scores.max(axis=0))


def _over_fractions(rows: list[Row]) -> Curve:
    x, y, low, high = (
        np.asarray([float(row.values[key]) for row in rows]) for key in ("fraction", "score_mean", "ci_low", "ci_high")
    )
    return Curve(rows[0].label, rows[0].method, x, y, low, high)


def _at_step(step: int, curves: Sequence[Curve]) -> list[str]:
    return [f"{step:,}", *(_value_at(step, curve) for curve in curves)]


def _cell_at(share: float, curve: Curve) -> str:
    (found,) = np.nonzero(curve.x == share)
    if not len(found):
        return ""
    value, low, high = (signed(float(values[found[0]])) for values in (curve.y, curve.low, curve.high))
    return f"{value} [{low}, {high}]" if np.isfinite(curve.low[found[0]]) else value


def _ends(curves: Sequence[Curve]) -> list[float]:
    return [value for curve in curves for values in (curve.y, curve.low, curve.high) for value in values.tolist()]


def _value_at(step: int, curve: Curve) -> str:
    (found,) = np.nonzero(curve.x == step)
    if not len(found):
        return ""
    mean, low, high = (signed(float(values[found[0]])) for values in (curve.y, curve.low, curve.high))
    return f"{mean} ({low} to {high})"
