"""Scores of several tasks in one number, with its interval: mean, IQM, median, optimality gap, and comparisons.

The statistics are those of Agarwal et al. 2021 (*Deep Reinforcement Learning at the Edge of the Statistical
Precipice*, arXiv 2108.13264), whose library is rliable; the intervals, unlike theirs, are corrected for few seeds.

Shapes: T tasks, N runs (seeds) of a task, R resamples. `Scores` maps a task to the scores (N,) of its runs; tasks may
differ in N, and weigh the same all the same.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from ...datasets.trajectories import Array

GAMMA = 100.0  # the score from which on the optimality gap counts nothing: 1 of rliable's scores, 100 of ours
RESAMPLES = 2000
VALUES_AT_A_TIME = 1 << 20  # of resampled runs in memory: few enough for a processor's cache to be of use
LEVEL = 0.95
_NORMAL = float(special.ndtri((1 + LEVEL) / 2))
METRICS = ("mean", "iqm", "median", "optimality_gap")

Scores = Mapping[str, Array]
Statistic = Callable[[Array, "Layout"], Array]  # of runs (..., sum of N) side by side, task after task: (...)


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
    """Sizes of the tasks whose runs stand side by side, task after task."""

    sizes: tuple[int, ...]  # N of each task

    @functools.cached_property
    def weights(self) -> Array:
        """Weights (sum of N,) of the runs: tasks weigh the same, so do the runs of a task; they sum to 1."""
        return np.repeat(1.0 / (len(self.sizes) * np.asarray(self.sizes)), self.sizes)

    @functools.cached_property
    def membership(self) -> Array:
        """The share (sum of N, T) of each run in its task's mean."""
        return np.repeat(np.eye(len(self.sizes)) / np.asarray(self.sizes)[:, None], self.sizes, axis=0)

    def task_means(self, runs: Array) -> Array:
        """Means (..., T) over each task's runs, of values (..., sum of N)."""
        return np.asarray(runs @ self.membership)


def aggregate(scores: Scores) -> dict[str, Estimate]:
    """`METRICS` of one method over tasks, or of one task; see the functions that compute them."""
    return aggregate_all([scores])[0]


def aggregate_all(every: Sequence[Scores], metrics: Sequence[str] = METRICS) -> list[dict[str, Estimate]]:
    """`aggregate` of each, in a fraction of the time where many have as many tasks and runs."""
    found: list[dict[str, Estimate]] = [{} for _ in every]
    for name in metrics:
        for place, estimated in enumerate(_estimate_all(every, STATISTICS[name])):
            found[place][name] = estimated
    return found


def mean(runs: Array, layout: Layout) -> Array:
    """The mean over tasks of their runs' means."""
    return np.asarray(runs @ layout.weights)


def iqm(runs: Array, layout: Layout) -> Array:
    """The mean of the middle half of all tasks' runs; whole runs are cut, so below four runs it is the mean."""
    if len(set(layout.sizes)) == 1:
        cut = runs.shape[-1] // 4
        return np.asarray(np.sort(runs, axis=-1)[..., cut : runs.shape[-1] - cut].mean(axis=-1))
    order = np.argsort(runs, axis=-1)
    weights = layout.weights[order]
    up_to = np.cumsum(weights, axis=-1)
    middle = (up_to > 0.25 + 1e-9) & (1.0 - up_to + weights > 0.25 + 1e-9)
    kept = np.where(middle, weights, 0.0)
    return np.asarray((kept * np.take_along_axis(runs, order, axis=-1)).sum(axis=-1) / kept.sum(axis=-1))


def median(runs: Array, layout: Layout) -> Array:
    """The median over tasks of their runs' means; of one task, the median of its runs."""
    return np.asarray(np.median(layout.task_means(runs) if len(layout.sizes) > 1 else runs, axis=-1))


def optimality_gap(runs: Array, layout: Layout) -> Array:
    """The mean distance by which runs stay below `GAMMA`: what lies above it makes good for nothing."""
    return np.asarray(np.maximum(GAMMA - runs, 0.0) @ layout.weights)


STATISTICS: dict[str, Statistic] = {"mean": mean, "iqm": iqm, "median": median, "optimality_gap": optimality_gap}


def paired_difference(scores: Scores, reference: Scores) -> Estimate:
    """The mean over tasks of `scores` less `reference`, run by run: both hold the same tasks and seeds in one order.

    Differences are resampled, so what both sides share (starts, subset) is no part of the interval.
    """
    _check_same_tasks(scores, reference)
    return estimate({task: runs - reference[task] for task, runs in scores.items()}, mean)


def probability_of_improvement(scores: Scores, reference: Scores) -> Estimate:
    """The probability that a run of `scores` beats one of `reference` on a random task; a tie counts one half.

    All pairs of runs of a task count, as in the Mann-Whitney U statistic, whether or not they share seeds.

    The interval is Newcombe's score interval (2006, *Statistics in Medicine* 25:559, method 5): all probabilities whose
    own standard error, by Hanley and McNeil 1982, does not rule the value out, with a correction for the steps in
    which it moves. Resampling fails here: where all of three runs beat all of three others it knows of no other
    outcome, [1, 1], though one time in ten that happens by chance. docs/statistics.md has its simulated coverage.

    Tasks that differ from one another make it wider than it need be, and so do seeds that both sides share.
    """
    _check_same_tasks(scores, reference)
    sizes = tuple(zip(_sizes(scores), _sizes(reference), strict=True))
    wins = [
        0.5 + 0.5 * float(np.sign(runs[:, None] - reference[task][None, :]).mean()) for task, runs in scores.items()
    ]
    value = float(np.mean(wins))
    step = 0.5 / sum(ours * theirs for ours, theirs in sizes)
    inside = _THETA[np.abs(value - _THETA) - step <= _NORMAL * _standard_error(sizes)]
    return Estimate(value, float(inside[0]), float(inside[-1]))


_THETA = np.linspace(0.0, 1.0, 10_001)


@functools.lru_cache(maxsize=64)
def _standard_error(sizes: tuple[tuple[int, int], ...]) -> Array:
    """The standard error of the mean over tasks of U / (m n), for m and n runs of each, at all of `_THETA`."""
    q1 = _THETA / (2 - _THETA)
    q2 = 2 * _THETA**2 / (1 + _THETA)
    others = q1 + q2 - 2 * _THETA**2  # times (m + n) / 2 - 1 for both sides: method 5; Hanley and McNeil: m - 1, n - 1
    variance = sum((_THETA * (1 - _THETA) + ((m + n) / 2 - 1) * others) / (m * n) for m, n in sizes)
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)) / len(sizes))


def performance_profile(scores: Scores, thresholds: Array) -> Profile:
    """The share of runs, tasks weighing the same, that score more than each of `thresholds` (K,).

    The bands are pointwise and Wilson's score interval for a share of as many runs. Resampling fails here too: where
    no run scores more it has nothing to draw from, and its band is [0, 0].
    """
    layout = Layout(_sizes(scores))
    runs = _side_by_side(scores)
    levels = np.asarray(thresholds, float)
    share = (runs[None, :] > levels[:, None]) @ layout.weights
    z2 = _NORMAL**2 * float((layout.weights**2).sum())  # over the number of runs, if tasks have equally many
    centre = (share + z2 / 2) / (1 + z2)
    reach = np.sqrt(z2 * share * (1 - share) + z2**2 / 4) / (1 + z2)
    return Profile(levels, share, np.maximum(centre - reach, 0.0), np.minimum(centre + reach, 1.0))


def estimate(scores: Scores, statistic: Statistic) -> Estimate:
    """A statistic of `scores` and its 95 % interval from a stratified bootstrap: of each task, as many runs as it has.

    The percentile interval of Agarwal et al. is too narrow for few seeds, so the resampled values are spread out
    around their mean, and that is laid on the value itself: by sqrt(N / (N - 1)), since N runs drawn from N vary less
    than N new ones, and by t / z, quantiles of Student's t and of the normal. The degrees of freedom are Welch's and
    Satterthwaite's, from the share of each task in the variance, which is that of a regression on the tasks' resampled
    means. Where runs of a single task are cut (IQM and median of four and more), resampling is no narrower, and only
    t / z applies.

    Unlike `statistics.stratified_bootstrap`, which is for the mean of one task, it has no second level: a run is its
    score, which holds the noise of its episodes already. That one also guards against seeds that agree by chance.

    docs/statistics.md has its simulated coverage.
    """
    return _estimate_all([scores], statistic)[0]


def _estimate_all(every: Sequence[Scores], statistic: Statistic) -> list[Estimate]:
    """`estimate` of each; those with as many tasks and runs share their draws."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for place, scores in enumerate(every):
        alike.setdefault(_sizes(scores), []).append(place)
    found: dict[int, Estimate] = {}
    for sizes, places in alike.items():
        chunk = max(1, VALUES_AT_A_TIME // (RESAMPLES * sum(sizes)))
        for some in (places[start : start + chunk] for start in range(0, len(places), chunk)):
            runs = np.stack([_side_by_side(every[place]) for place in some])
            found |= dict(zip(some, map(Estimate, *_estimates(runs, Layout(sizes), statistic)), strict=True))
    return [found[place] for place in range(len(every))]


def _estimates(runs: Array, layout: Layout, statistic: Statistic) -> list[list[float]]:
    """Values, lower and upper ends, (G,) each, for G times the same layout: runs (G, sum of N)."""
    values = statistic(runs, layout)
    if min(layout.sizes) < 2:
        return [values.tolist(), [math.nan] * len(runs), [math.nan] * len(runs)]
    resampled = runs[:, _draws(layout.sizes)]  # (G, R, sum of N)
    deviations = statistic(resampled, layout)
    deviations -= deviations.mean(axis=1, keepdims=True)
    cut = statistic in (iqm, median) and len(layout.sizes) == 1 and layout.sizes[0] >= 4
    reach = _factors(deviations, layout, resampled, unbiased=cut)
    low, high = values + reach * np.quantile(deviations, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    return [values.tolist(), low.tolist(), high.tolist()]


def _factors(deviations: Array, layout: Layout, resampled: Array, *, unbiased: bool) -> Array:
    """Factors (G,) by which the deviations (G, R) of a statistic of `resampled` runs are to be spread out."""
    sizes = np.asarray(layout.sizes)
    means = layout.task_means(resampled)
    means -= means.mean(axis=1, keepdims=True)
    variances = np.einsum("grt,grt->gt", means, means)
    covariances = np.einsum("gr,grt->gt", deviations, means)
    shares = np.divide(covariances**2, variances, out=np.zeros_like(variances), where=variances > 0.0)
    shares[shares.sum(axis=1) == 0.0] = 1.0  # nothing varies: any factor will do
    wanted = shares if unbiased else shares * sizes / (sizes - 1)
    freedom = wanted.sum(axis=1) ** 2 / (wanted**2 / (sizes - 1)).sum(axis=1)
    student = special.stdtrit(freedom, (1 + LEVEL) / 2) / _NORMAL
    return np.asarray(student * np.sqrt(wanted.sum(axis=1) / shares.sum(axis=1)))


@functools.lru_cache(maxsize=16)
def _draws(sizes: tuple[int, ...]) -> Array:
    """The runs (R, sum of N) that each resample draws, as many of each task as it has."""
    rng = np.random.default_rng(0)
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
