"""Measures in rows of a track's own leaderboard: three columns each, and how tables show them.

A measure is the mean over seeds in the column of its name, with its 95 % interval in NAME_low and NAME_high.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .aggregates import Estimate, estimate, mean
from .power import Spread
from .statistics import known

UNKNOWN = Estimate(math.nan, math.nan, math.nan)
UNBOUNDED = (-math.inf, math.inf)


def columns(name: str, values: Iterable[float], bounds: tuple[float, float] = UNBOUNDED) -> dict[str, float | None]:
    """The columns of a measure with these values, one a seed; its interval is cut to `bounds`.

    An end that a value lies beyond cuts nothing: in some games points can be lost. Values that are not finite are left
    out. None stands for what is unknown.
    """
    finite = np.array([value for value in values if math.isfinite(value)])
    found = estimate({"": finite}, mean) if len(finite) else UNKNOWN
    least, most = bounds
    if len(finite) and finite.min() < least:
        least = -math.inf
    if len(finite) and finite.max() > most:
        most = math.inf
    low, high = np.clip((found.low, found.high), least, most)
    return estimate_columns(name, Estimate(found.value, float(low), float(high)))


def difference_columns(name: str, values: Iterable[float]) -> dict[str, float | None]:
    """The columns of a difference over paired seeds; NAME_detectable is what so many would have seen (`power.py`)."""
    finite = [value for value in values if math.isfinite(value)]
    deviation = float(np.std(finite, ddof=1)) if len(finite) > 1 else math.nan
    return columns(name, finite) | {f"{name}_detectable": known(Spread((deviation,), (len(finite),)).detectable)}


def estimate_columns(name: str, found: Estimate) -> dict[str, float | None]:
    """The columns of an estimate; None stands for what is unknown."""
    return {name: known(found.value), f"{name}_low": known(found.low), f"{name}_high": known(found.high)}


def about_intervals(note: str, rows: Sequence[Mapping[str, Any]], **parts: str) -> str:
    """A note below a table of rows, which says of intervals and stars only what the rows have.

    `note` has {interval} behind what it says of `area`, {star} behind what it says of `area_gain`, and the `parts`.
    """
    known_of = {name: any(row[f"{name}_low"] is not None for row in rows) for name in ("area", "area_gain")}
    interval = ", with its 95 % interval" if known_of["area"] else ""
    star = " *: its interval lies above or below 0." if known_of["area_gain"] else ""
    return note.format(interval=interval, star=star, **parts)


def percent(share: float | None, digits: int = 0) -> str:
    """A share in per cent, to so many digits behind the point; empty for None."""
    return "" if share is None else f"{round(100 * share, digits) + 0.0:.{digits}f}"  # 0.0: never -0


def whole(number: float | None) -> str:
    """A number to the whole; empty for None."""
    return "" if number is None else f"{number:.0f}"


def with_interval(row: Mapping[str, Any], name: str, digits: int = 0) -> str:
    """A measure that is a share, in per cent, and its interval if it has one; empty if it is unknown."""
    low = row[f"{name}_low"]
    high = row[f"{name}_high"]
    interval = "" if low is None or high is None else f" [{percent(low, digits)}, {percent(high, digits)}]"
    return percent(row[name], digits) + interval


def difference(row: Mapping[str, Any], name: str, digits: int = 0) -> str:
    """The same of a difference, with a star if its interval does not hold 0."""
    low = row[f"{name}_low"]
    high = row[f"{name}_high"]
    apart = low is not None and (low > 0 or high < 0)
    return with_interval(row, name, digits) + (" *" if apart else "")
