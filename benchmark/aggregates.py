"""Scores of several tasks in one number, with its interval: mean, IQM, median, optimality gap, and comparisons.

The statistics are those of Agarwal et al. 2021 (*Deep Reinforcement Learning at the Edge of the Statistical
Precipice*, arXiv 2108.13264), whose library is rliable; the intervals, unlike theirs, are corrected for few seeds.

Shapes: T tasks, N runs (seeds) of a task, R resamples. `Scores` maps a task to the scores (N,) of its runs; tasks may
differ in N, and weigh the same all the same.
"""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from ..datasets.trajectories import Array

GAMMA = 100.0  # the score from which on the optimality gap counts nothing: 1 of rliable's scores, 100 of ours
RESAMPLES = 2000
LEVEL = 0.95
METRICS = ("mean", "iqm", "median", "optimality_gap")

Scores = Mapping[str, Array]
Statistic = Callable[[Array, "Layout"], Array]  # of resampled runs (R, sum of N): one value each (R,)


@dataclass(frozen=True)
class Estimate:
    """A statistic and its 95 % interval, whose ends are NaN where a task has one run only."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Profile:
    """A performance profile: at each threshold (K,), the share of runs that score more, and its 95 % band."""

    thresholds: Array
    share: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class Layout:
    """Which of the runs that stand side by side, task after task, belong to which task."""

    sizes: tuple[int, ...]  # N of each task

    @functools.cached_property
    def weights(self) -> Array:
        """(sum of N,) of each run: tasks weigh the same, and so do the runs of a task; they sum to 1."""
        return np.repeat(1.0 / (len(self.sizes) * np.asarray(self.sizes)), self.sizes)

    def task_means(self, runs: Array) -> Array:
        """(R, T) means over the runs (R, sum of N) of each task."""
        starts = np.cumsum((0, *self.sizes[:-1]))
        return np.asarray(np.add.reduceat(runs, starts, axis=1) / np.asarray(self.sizes))


def aggregate(scores: Scores) -> dict[str, Estimate]:
    """`METRICS` of one method over tasks, or of one task; see the functions that compute them."""
    return {name: estimate(scores, STATISTICS[name]) for name in METRICS}


def mean(runs: Array, layout: Layout) -> Array:
    """The mean over tasks of their runs' means."""
    return np.asarray(runs @ layout.weights)


def iqm(runs: Array, layout: Layout) -> Array:
    """The mean of the middle half of all tasks' runs; whole runs are cut, so below four runs it is the mean."""
    order = np.argsort(runs, axis=1)
    weights = layout.weights[order]
    below = np.cumsum(weights, axis=1)
    kept = np.where((below > 0.25 + 1e-9) & (1.0 - below + weights > 0.25 + 1e-9), weights, 0.0)
    return np.asarray((kept * np.take_along_axis(runs, order, axis=1)).sum(axis=1) / kept.sum(axis=1))


def median(runs: Array, layout: Layout) -> Array:
    """The median over tasks of their runs' means; of one task, the median of its runs."""
    return np.asarray(np.median(layout.task_means(runs) if len(layout.sizes) > 1 else runs, axis=1))


def optimality_gap(runs: Array, layout: Layout) -> Array:
    """How far runs stay below `GAMMA`, on average: what lies above it makes good for nothing."""
    return np.asarray(np.maximum(GAMMA - runs, 0.0) @ layout.weights)


STATISTICS: dict[str, Statistic] = {"mean": mean, "iqm": iqm, "median": median, "optimality_gap": optimality_gap}


def paired_difference(scores: Scores, reference: Scores) -> Estimate:
    """The mean over tasks of `scores` less `reference`, run by run: both hold the same tasks and seeds in one order.

    Differences are resampled, so what both sides share (starts, subset) is no part of the interval.
    """
    _check_same_tasks(scores, reference)
    return estimate({task: runs - reference[task] for task, runs in scores.items()}, mean)


def probability_of_improvement(scores: Scores, reference: Scores) -> Estimate:
    """How probably a run of `scores` beats one of `reference` on a task drawn at random; a tie counts one half.

    All pairs of runs of a task count, as in the Mann-Whitney U statistic, whether or not they share seeds.
    """
    _check_same_tasks(scores, reference)
    first, second = Layout(_sizes(scores)), Layout(_sizes(reference))
    ours, theirs = _side_by_side(scores), _side_by_side(reference)
    value = float(_better(ours[None], first, theirs[None], second)[0])
    if min(*first.sizes, *second.sizes) < 2:
        return Estimate(value, math.nan, math.nan)
    drawn = _better(ours[_draws(first.sizes, 1)], first, theirs[_draws(second.sizes, 2)], second)
    sizes = tuple(min(pair) for pair in zip(first.sizes, second.sizes, strict=True))
    reach = _factor(drawn, Layout(sizes), np.tile(drawn[:, None], (1, len(sizes))))
    low, high = value + reach * _quantiles(drawn - drawn.mean())
    return Estimate(value, max(0.0, float(low)), min(1.0, float(high)))


def performance_profile(scores: Scores, thresholds: Array) -> Profile:
    """The share of runs, tasks weighing the same, that score more than each of `thresholds` (K,)."""
    found = [estimate({task: (runs > t).astype(float) for task, runs in scores.items()}, mean) for t in thresholds]
    low, high = (np.asarray([getattr(e, end) for e in found]) for end in ("low", "high"))
    share = np.asarray([e.value for e in found])
    return Profile(np.asarray(thresholds, float), share, np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0))


def estimate(scores: Scores, statistic: Statistic) -> Estimate:
    """A statistic of `scores` and its 95 % interval from a bootstrap in which tasks are strata and runs are drawn."""
    layout = Layout(_sizes(scores))
    runs = _side_by_side(scores)
    value = float(statistic(runs[None], layout)[0])
    if min(layout.sizes) < 2:
        return Estimate(value, math.nan, math.nan)
    resampled = runs[_draws(layout.sizes)]
    drawn = statistic(resampled, layout)
    low, high = value + _factor(drawn, layout, layout.task_means(resampled)) * _quantiles(drawn - drawn.mean())
    return Estimate(value, float(low), float(high))


def _factor(drawn: Array, layout: Layout, task_means: Array) -> float:
    """By how much a resampled statistic (R,) spreads too little around its mean."""
    centred = task_means - task_means.mean(axis=0)
    spread = np.maximum((centred**2).mean(axis=0), 1e-300)
    shares = ((drawn - drawn.mean()) @ centred / len(drawn)) ** 2 / spread  # (T,) of the variance
    if not shares.sum() > 0.0:
        return 1.0
    sizes = np.asarray(layout.sizes)
    unbiased = shares * sizes / (sizes - 1)
    freedom = unbiased.sum() ** 2 / (unbiased**2 / (sizes - 1)).sum()
    student = special.stdtrit(freedom, (1 + LEVEL) / 2) / special.ndtri((1 + LEVEL) / 2)
    return float(student * math.sqrt(unbiased.sum() / shares.sum()))


def _better(ours: Array, first: Layout, theirs: Array, second: Layout) -> Array:
    """(R,) mean over tasks of the share of pairs of runs that ours win; (R, sum of N) each."""
    total = np.zeros(len(ours))
    mine = np.split(ours, np.cumsum(first.sizes)[:-1], axis=1)
    other = np.split(theirs, np.cumsum(second.sizes)[:-1], axis=1)
    for x, y in zip(mine, other, strict=True):
        total += 0.5 + 0.5 * np.sign(x[:, :, None] - y[:, None, :]).mean(axis=(1, 2))
    return total / len(first.sizes)


def _quantiles(deviations: Array) -> Array:
    return np.asarray(np.quantile(deviations, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))


@functools.lru_cache(maxsize=8)
def _draws(sizes: tuple[int, ...], stream: int = 0) -> Array:
    """(R, sum of N) the runs that each resample draws, as many of each task as it has."""
    rng = np.random.default_rng(stream)
    starts = np.cumsum((0, *sizes[:-1]))
    parts = [start + rng.integers(n, size=(RESAMPLES, n)) for start, n in zip(starts, sizes, strict=True)]
    return np.concatenate(parts, axis=1)


def _sizes(scores: Scores) -> tuple[int, ...]:
    for task, runs in scores.items():
        if runs.ndim != 1 or runs.size == 0 or not np.isfinite(runs).all():
            raise ValueError(f"scores of {task} must be a finite (runs,) array, got shape {runs.shape}: {runs}")
    if not scores:
        raise ValueError("scores of one task or more are needed, got none")
    return tuple(len(runs) for runs in scores.values())


def _side_by_side(scores: Scores) -> Array:
    return np.concatenate([np.asarray(runs, float) for runs in scores.values()])


def _check_same_tasks(scores: Scores, reference: Scores) -> None:
    if list(scores) != list(reference):
        raise ValueError(f"tasks differ: {', '.join(scores)} and {', '.join(reference)}")
