"""Marks and texts that stand in cells of the report's tables."""

import numpy as np
from markupsafe import Markup

from . import svg
from .contents import Row
from .marks import MINUS, SPACE, signed

SIGNS = {"better": "+", "unclear": "~", "worse": MINUS}


def whiskers(row: Row, low: float, high: float) -> Markup:
    """The row's score and interval on a line from `low` to `high`: decoration beside the same numbers."""
    middle = 9.0
    x = svg.Scale(low, high, 6.0, 90.0)
    value, first, last = row.interval
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
    mean, low, high = map(signed, row.interval)
    score = f"{mean} [{low},{SPACE}{high}]" if row.values["seeds"] > 1 else mean
    below = row.values["seeds_below_gap"]
    return f"{score}, {below} of {row.values['seeds']} seeds far below" if below else score
