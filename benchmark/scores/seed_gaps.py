"""Rows whose seeds fall in two groups, as where some collapsed: which they are, and an interval that knows of both.

The rule was fixed on simulated scores, before any run was looked at. `tests/benchmark/scores/collapse_coverage.py`
simulates how often it fires on scores of one peak, and what intervals cover in the rows that it marks and in others.

Shapes: G rows, N seeds, M evaluation episodes of each seed.
"""

import numpy as np
from scipy import special

from ...datasets.trajectories import Array

FEWEST_SEEDS = 3  # two have one gap, and nothing to measure it by
OTHER_GAPS = 3.0  # the gap, in units of the next widest: of one peak's few seeds none is as far from its neighbour
SHARE = 0.5  # the gap, in units of the mean of the seeds above it: a collapse costs half of the score or more
POINTS = 10.0  # the gap, in points: near a score of zero, half is nothing
ERRORS = 4.0  # the gap, in standard errors that its episodes leave in a seed's mean


def seeds_below_gap(scores: Array) -> int:
    """The number of seeds of `scores` (N, M) that lie far below all the others; 0 if none do, and below three seeds.

    They lie below the widest gap between neighbouring seeds' means, if it is at least `OTHER_GAPS` times as wide as
    the next widest, `SHARE` of the mean of the seeds above it, `POINTS`, and `ERRORS` standard errors of a seed's mean.
    With one episode a seed that error is unknown, and none is far below.
    """
    return int(seeds_below_gaps(scores[None])[0])


def seeds_below_gaps(scores: Array) -> Array:
    """Counts (G,): `seeds_below_gap` of each matrix of `scores` (G, N, M)."""
    rows, seeds, episodes = scores.shape
    if seeds < FEWEST_SEEDS or episodes < 2:
        return np.zeros(rows, np.int64)
    means = np.sort(scores.mean(axis=2), axis=1)
    gaps = np.diff(means, axis=1)
    below = gaps.argmax(axis=1) + 1
    next_widest, widest = np.sort(gaps, axis=1)[:, -2:].T
    is_above = np.arange(seeds) >= below[:, None]
    above = (means * is_above).sum(axis=1) / is_above.sum(axis=1)
    errors = np.sqrt(scores.var(axis=2, ddof=1).mean(axis=1) / episodes)
    least = np.max([OTHER_GAPS * next_widest, SHARE * above, np.full(rows, POINTS), ERRORS * errors], axis=0)
    return np.where(widest >= least, below, 0)


def interval_of_share(scores: Array, low_seeds: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of the mean of `scores` (N, M) if each seed is of one of two kinds: the `low_seeds` lowest, the others.

    The share of low seeds has Clopper's and Pearson's interval (1934, *Biometrika* 26:404); its ends are weighed
    with the means of both groups. What differs within a group is left out, so it is no interval of its own: beside
    the bootstrap's it says how far the mean may be off because too few or too many seeds were low ones.
    """
    means = np.sort(scores.mean(axis=1))
    low = float(means[:low_seeds].mean())
    high = float(means[low_seeds:].mean())
    seeds = len(means)
    least = float(special.betaincinv(low_seeds, seeds - low_seeds + 1, (1 - level) / 2))
    most = float(special.betaincinv(low_seeds + 1, seeds - low_seeds, (1 + level) / 2))
    return high - most * (high - low), high - least * (high - low)
