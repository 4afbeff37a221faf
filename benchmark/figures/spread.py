"""Marks for the spread of seeds, in every figure: dots for the seeds, bars or bands for intervals.

Student's 95 % interval of three normal seeds is on average 2.6 times as wide as the seeds are apart, of four 1.4 times,
of five as wide, of six 0.8 times. Bands of wide intervals fill a panel, so these are drawn as bars.

Curves over training have no intervals. Their seeds are dots, however many there are: bands from the lowest seed to the
highest fill panels too.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from ...datasets.counts import count_range
from ...datasets.trajectories import Array
from ..scores.measured import columns

FEWEST_IN_A_BAND = 6  # seeds
BAND = 0.13  # opacity


def has_band(seeds: Sequence[int]) -> bool:
    """Tell whether intervals of rows with so many seeds each are bands; where one row has few seeds, none is."""
    return min(seeds) >= FEWEST_IN_A_BAND


def draw_seeds(axes: Axes, x: Array, values: Array, colour: str) -> None:
    """Draw a dot for each of the seeds' values (N, V) at x (V,); none of a single seed, which is the line itself."""
    if len(values) > 1:
        draw_dots(axes, np.tile(x, len(values)), values.ravel(), colour)


def draw_dots(axes: Axes, x: Array, y: Array, colour: str) -> None:
    """Draw a small dot for each single seed, at x (M,) and y (M,)."""
    axes.scatter(x, y, s=6.0, color=colour, alpha=0.6, linewidth=0)


def draw_intervals(axes: Axes, x: Array, values: Array, colour: str, bounds: tuple[float, float]) -> None:
    """Draw a bar for the 95 % interval of the mean over seeds of values (N, V) at each x (V,), and the seeds' dots.

    Bars are cut to `bounds`. A single seed has neither.
    """
    if len(values) > 1:
        found = [columns("", own, bounds) for own in values.T.tolist()]
        low, high = (np.array([each[end] for each in found], float) for end in ("_low", "_high"))  # None: NaN
        axes.vlines(x, low, high, color=colour, linewidth=1.6, alpha=0.5)
        draw_seeds(axes, x, values, colour)


def about_curves(seeds: Sequence[int]) -> str:
    """Say what the lines and `draw_seeds` show of rows with so many seeds each."""
    means = about_means("Lines", seeds)
    return f"{means} Small dots: single seeds." if max(seeds) > 1 else means


def about_spread(marks: str, seeds: Sequence[int]) -> str:
    """Say what marks and `draw_intervals` show of rows with so many seeds each."""
    means = about_means(marks, seeds)
    return f"{means} Small dots: single seeds. Bars: 95 % intervals." if max(seeds) > 1 else means


def about_means(marks: str, seeds: Sequence[int]) -> str:
    """Say what marks stand for that are means over so many seeds each; of one seed, that it has no interval."""
    return f"{marks}: mean of {count_range(seeds, 'seed')}." if max(seeds) > 1 else f"{marks}: one seed, no interval."
