"""Marks for the spread of seeds, in every figure: a point for each of a few, a band from six on.

Student's 95 % interval of three normal seeds is on average 2.6 times as wide as the seeds are apart, of four 1.4 times,
of five as wide, of six 0.8 times. Bands of wide intervals fill a panel, so these are drawn as bars.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from ...datasets.counts import count_range
from ...datasets.trajectories import Array

FEWEST_IN_A_BAND = 6  # seeds
BAND = 0.13  # opacity


def has_band(seeds: Sequence[int]) -> bool:
    """Tell whether a figure of rows with so many seeds each has bands; where one row has few, none has."""
    return min(seeds) >= FEWEST_IN_A_BAND


def draw_seeds(axes: Axes, x: Array, values: Array, colour: str, *, band: bool) -> None:
    """Draw the seeds' values (N, V) at x (V,): from the lowest to the highest as a band, or each as a dot."""
    if band:
        axes.fill_between(x, values.min(axis=0), values.max(axis=0), color=colour, alpha=BAND, linewidth=0)
        return
    draw_dots(axes, np.tile(x, len(values)), values.ravel(), colour)


def draw_dots(axes: Axes, x: Array, y: Array, colour: str) -> None:
    """Draw a small dot for each single seed, at x (M,) and y (M,)."""
    axes.scatter(x, y, s=6.0, color=colour, alpha=0.6, linewidth=0)


def about_curves(seeds: Sequence[int]) -> str:
    """Say what the lines and `draw_seeds` show of rows with so many seeds each."""
    means = about_means("Lines", seeds)
    if has_band(seeds):
        return f"{means} Bands: lowest to highest seed."
    return f"{means} Small dots: single seeds." if max(seeds) > 1 else means


def about_means(marks: str, seeds: Sequence[int]) -> str:
    """Say what marks stand for that are means over so many seeds each; of one seed, that it has no interval."""
    return f"{marks}: mean of {count_range(seeds, 'seed')}." if max(seeds) > 1 else f"{marks}: one seed, no interval."
