"""The report's figures: each a drawing, a caption, and the same numbers as a table for whoever can't see it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from markupsafe import Markup

from ...datasets.trajectories import Array
from ..figures.card import readable
from ..figures.spread import has_band
from ..scores.held_out import held_out_curves
from ..terminal import plural
from . import svg
from .contents import Row, Setting
from .held_out import DIGITS, predictor_errors
from .marks import (
    BOTTOM,
    MINUS,
    SPACE,
    TOP,
    Curve,
    Interval,
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

SIGNS = {"better": "+", "unclear": "~", "worse": MINUS}


@dataclass(frozen=True)
class Chart:
    """A figure of the report."""

    title: str
    svg: Markup
    head: list[str]  # of the table
    rows: list[list[str]]


def learning_curve(setting: Setting, fraction: float) -> Chart:
    """Score over training steps at a share of the data: means over seeds.

    Of fewer than six seeds each is a dot, of more a band reaches from the lowest to the highest (`figures/spread.py`).
    """
    curves = [_learned(row) for row in setting.drawn if row.fraction == fraction]
    every = [_learned(row) for row in setting.drawn]
    episodes = setting.at(fraction)[0].values["episodes_in_subset"]
    title = f"Training on {percent(fraction)} ({episodes:,} {plural(episodes, 'episode')})"
    return over_steps(setting, fraction, "curve", title, "score", curves, every)


def held_out_curve(setting: Setting, fraction: float) -> Chart | None:
    """Held-out action error over training steps, drawn as the score is; None where it was not measured.

    Lines without a mark are the errors of predictors that learn next to nothing, where the scale reaches them.
    """
    curves = [curve for row in setting.drawn if row.fraction == fraction and (curve := _held_out(row))]
    every = [curve for row in setting.drawn if (curve := _held_out(row))]
    title = f"Held-out action error with {percent(fraction)}"
    trivial = predictor_errors(setting, fraction)
    return over_steps(setting, fraction, "held-out", title, "error", curves, every, trivial, DIGITS) if curves else None


def over_steps(
    setting: Setting,
    fraction: float,
    kind: str,
    title: str,
    quantity: str,
    curves: Sequence[Curve],
    every: Sequence[Curve],
    constants: Mapping[str, float] = MappingProxyType({}),
    digits: int = 1,
) -> Chart:
    """A value over training steps, its numbers with `digits` decimals.

    The scale holds `every` curve of the setting; `constants` are lines across it.
    """
    right = room_for_labels(curves)
    x, x_ticks = svg.linear_scale([0.0, *(v for c in curves for v in c.x.tolist())], LEFT, right, ticks=4)
    y, y_ticks = svg.linear_scale(_ends(every), BOTTOM, TOP)
    spread = band if has_band(_seeds(setting)) else dots
    written = readable if digits == 1 else lambda tick: f"{tick:g}"
    parts = [
        svg.y_axis(y, y_ticks, LEFT, right, quantity, written),
        svg.x_axis(x, x_ticks, [thousands(tick) for tick in x_ticks], BOTTOM, "training step"),
        *(_constant(name, value, y, right) for name, value in constants.items() if y.low <= value <= y.high),
        drawn_curves(curves, x, y, right, lambda step: f"step {step:,.0f}", "lowest to highest seed", spread, digits),
    ]
    about = f"Mean over seeds of {listed(curves)} over training steps. The numbers are in the table below it."
    name = f"{kind}-{setting.anchor}-{setting.fractions.index(fraction)}"
    drawn = svg.drawing(name, HEIGHT, f"{setting.dataset}, {title[0].lower()}{title[1:]}: {quantity}", about, parts)
    steps = sorted({int(step) for curve in curves for step in curve.x})
    steps = [steps[place] for place in thinned(len(steps), TABLE_STEPS)]
    rows = [_at_step(step, curves, digits) for step in steps]
    return Chart(title, drawn, ["step", *(curve.label for curve in curves)], rows)


def over_fractions(setting: Setting) -> Chart:
    """Score over the share of the data, with 95 % intervals."""
    lines = [[row for row in cells if row] for _, cells in setting.cells(setting.drawn)]
    curves = [_over_fractions(rows) for rows in lines]
    name = f"share-{setting.anchor}"
    return curves_over_shares(name, "Score over share of the data", "score", curves, _seeds(setting))


def curves_over_shares(name: str, title: str, quantity: str, curves: Sequence[Curve], seeds: Sequence[int]) -> Chart:
    """A value over the share of the data, which is what `x` of the curves holds, with 95 % intervals.

    They are bars, with the seeds' dots, where a row has fewer than six of `seeds`, else bands (`figures/spread.py`).
    """
    banded = has_band(seeds)
    right = room_for_labels(curves)
    shares = sorted({share for curve in curves for share in curve.x.tolist()})
    step = 0.0 if banded or max(seeds) == 1 else min(ASIDE, 0.7 * (right - LEFT) / (len(shares) * len(curves)))
    edge = 6.0 + step * len(curves) / 2
    x, ticks = svg.share_scale(shares, LEFT + edge, right - edge)
    y, y_ticks = svg.linear_scale(_ends(curves), BOTTOM, TOP)
    parts = [
        svg.y_axis(y, y_ticks, LEFT, right, quantity),
        svg.x_axis(x, ticks, [f"{100 * tick:g}" for tick in ticks], BOTTOM, "share of the data, %", edge),
        drawn_curves(side_by_side(curves, step), x, y, right, percent, "95 % interval", band if banded else bars),
    ]
    about = f"{listed(curves)} at {len(ticks)} shares of the data. The numbers are in the table below it."
    rows = [[curve.label, *(_cell_at(share, curve) for share in shares)] for curve in curves]
    drawn = svg.drawing(name, HEIGHT, title, about, parts)
    return Chart(title, drawn, ["method", *map(percent, shares)], rows)


def about_figures(setting: Setting) -> str:
    """A caption: what the figures of a setting show of its seeds."""
    seeds = _seeds(setting)
    if max(seeds) == 1:
        return "Every line is a single seed, which has no interval."
    banded = has_band(seeds)
    if len(setting.fractions) > 1:
        scores_shown = f"Score over share of the data: {'bands' if banded else 'bars'} are 95 % intervals"
    else:
        scores_shown = "Score: lines are 95 % intervals"
    also = "" if banded and len(setting.fractions) > 1 else ", small dots single seeds"
    band_shown = "bands reach from the lowest seed to the highest, which is no interval"
    seeds_shown = band_shown if banded else "small dots single seeds"
    return f"{scores_shown}{also}. During training: lines are means over seeds, {seeds_shown}."


def intervals(
    name: str,
    title: str,
    entries: Sequence[Interval],
    *,
    digits: int = 1,
    reference: float = np.nan,
    boxed: bool = False,
) -> Chart:
    """A line for each method: its value and 95 % interval; with `reference`, a vertical line there.

    With `boxed`, intervals are as wide as a line of text, else lines.
    """
    left = 8 + svg.label_width([entry.label for entry in entries])
    right = svg.WIDTH - 44.0
    ends = [v for e in entries for v in (e.value, e.low, e.high, *e.seeds.ravel())]
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
        Interval(row.label, row.method, *_value_and_ends(row), row.group.scores)
        for row in setting.drawn
        if row.fraction == fraction
    ]
    name = f"scores-{setting.anchor}-{setting.fractions.index(fraction)}"
    return intervals(name, f"Score with {percent(fraction)} of the data", entries)


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


def whiskers(row: Row, low: float, high: float) -> Markup:
    """The row's score and interval on a line from `low` to `high`: decoration beside the same numbers."""
    middle = 9.0
    x = svg.Scale(low, high, 6.0, 90.0)
    value, first, last = _value_and_ends(row)
    parts = [svg.path([(x(low), middle), (x(high), middle)], "grid")]
    if low < 0 < high:
        parts.append(svg.path([(x(0), 3), (x(0), 15)], "axis"))
    line = [svg.path([(x(first), middle), (x(last), middle)], "line")] if np.isfinite(first) else []
    parts.append(svg.series(row.method, [*line, svg.mark(x(value), middle, row.method)]))
    opened = Markup('<svg viewBox="0 0 96 18" width="96" height="18" aria-hidden="true">')
    return opened + Markup("").join(parts) + Markup("</svg>")


def tally_bar(better: int, unclear: int, worse: int) -> Markup:
    """Shares of settings side by side, told apart by shade and sign: decoration beside the same numbers."""
    total = better + unclear + worse
    width = 160.0
    parts = []
    start = 0.0
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
    mean, low, high = map(signed, _value_and_ends(row))
    score = f"{mean} [{low},{SPACE}{high}]" if row.values["seeds"] > 1 else mean
    below = row.values["seeds_below_gap"]
    return f"{score}, {below} of {row.values['seeds']} seeds far below" if below else score


def _value_and_ends(row: Row) -> tuple[float, float, float]:
    """A row's mean score and the ends of its interval."""
    value, low, high = (float(row.values[key]) for key in ("score_mean", "ci_low", "ci_high"))
    return value, low, high


def _seeds(setting: Setting) -> list[int]:
    """The number of seeds of each drawn row."""
    return [row.values["seeds"] for row in setting.drawn]


def _learned(row: Row) -> Curve:
    seeds = row.group.curves  # (N, V)
    steps = np.asarray(row.runs[0].result.curve_steps, float)
    return Curve(row.label, row.method, steps, seeds.mean(axis=0), seeds.min(axis=0), seeds.max(axis=0), seeds)


def _held_out(row: Row) -> Curve | None:
    measured = held_out_curves(row.runs)
    if measured is None:
        return None
    steps, seeds = measured
    ends = (seeds.mean(axis=0), seeds.min(axis=0), seeds.max(axis=0))
    return Curve(row.label, row.method, steps.astype(float), *ends, seeds)


def _constant(name: str, value: float, y: svg.Scale, right: float) -> Markup:
    """A line across the drawing at a value, and its name at the right end above it."""
    line = svg.path([(LEFT, y(value)), (right, y(value))], "axis", dashes="2 3")
    return line + svg.text(right, y(value) - 4, name, "tick", "end")


def _over_fractions(rows: list[Row]) -> Curve:
    shares = np.asarray([row.fraction for row in rows])
    value, low, high = np.asarray([_value_and_ends(row) for row in rows]).T
    return Curve(rows[0].label, rows[0].method, shares, value, low, high, _scores_of_seeds(rows))


def _scores_of_seeds(rows: list[Row]) -> Array:
    """(N, V) scores of each seed, NaN where a row has fewer seeds than another."""
    most = max(len(row.runs) for row in rows)
    scores = np.full((most, len(rows)), np.nan)
    for place, row in enumerate(rows):
        scores[: len(row.runs), place] = row.group.scores
    return scores


def _at_step(step: int, curves: Sequence[Curve], digits: int) -> list[str]:
    return [f"{step:,}", *(_value_at(step, curve, digits) for curve in curves)]


def _cell_at(share: float, curve: Curve) -> str:
    (found,) = np.nonzero(curve.x == share)
    if not len(found):
        return ""
    value, low, high = (signed(float(values[found[0]])) for values in (curve.y, curve.low, curve.high))
    return f"{value} [{low},{SPACE}{high}]" if np.isfinite(curve.low[found[0]]) else value


def _ends(curves: Sequence[Curve]) -> list[float]:
    ends = [values for curve in curves for values in (curve.y, curve.low, curve.high, curve.seeds.ravel())]
    return [value for values in ends for value in values.tolist()]


def _value_at(step: int, curve: Curve, digits: int) -> str:
    (found,) = np.nonzero(curve.x == step)
    if not len(found):
        return ""
    mean, low, high = (signed(float(values[found[0]]), digits) for values in (curve.y, curve.low, curve.high))
    return f"{mean} ({low} to {high})"
