"""Statistics of a method's few seeds and their evaluation episodes: means, interquartile means, intervals.

Shapes: N seeds, M evaluation episodes of each seed, R bootstrap resamples. Scores are `(N, M)` arrays, one row a seed.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from ...datasets.trajectories import Array
from .seed_gaps import interval_of_share, seeds_below_gap

RESAMPLES = 2000
AT_A_TIME = 64  # matrices of one shape that are resampled together: what a processor's cache holds


@dataclass(frozen=True)
class Summary:
    """One leaderboard row's statistics, in the unit of the scores."""

    seeds: int
    mean: float
    std: float  # over the seeds' means; NaN with one seed
    iqm: float  # over the seeds' means
    ci_low: float  # 95 % interval of the mean; NaN with one seed
    ci_high: float
    seeds_below_gap: int = 0  # seeds far below the others (`seed_gaps.py`); not counted of differences

    def within(self, floor: float, ceiling: float) -> "Summary":
        """The same, its interval cut to `floor` and `ceiling`."""
        low, high = np.clip((self.ci_low, self.ci_high), floor, ceiling)
        return replace(self, ci_low=float(low), ci_high=float(high))


def summarise(scores: Array) -> Summary:
    """Mean, spread and 95 % interval of `scores` (N, M).

    The interval is that of `stratified_bootstrap`; where seeds lie far below the others it reaches as far as that and
    `interval_of_share` together.
    """
    return summarise_all([scores])[0]


def summarise_all(every: Sequence[Array]) -> list[Summary]:
    """`summarise` of each, in a fraction of the time where many have one shape."""
    return [_with_gap(summary, scores) for summary, scores in zip(_summaries(every), every, strict=True)]


def _with_gap(summary: Summary, scores: Array) -> Summary:
    below = seeds_below_gap(scores)
    if not below:
        return summary
    low, high = interval_of_share(scores, below)
    low = min(low, summary.ci_low)
    high = max(high, summary.ci_high)
    return replace(summary, ci_low=low, ci_high=high, seeds_below_gap=below)


def _summaries(every: Sequence[Array]) -> list[Summary]:
    alike: dict[tuple[int, ...], list[int]] = {}
    for place, scores in enumerate(every):
        alike.setdefault(_checked(scores).shape, []).append(place)
    intervals: dict[int, tuple[float, float]] = {}
    for places in alike.values():
        for some in (places[start : start + AT_A_TIME] for start in range(0, len(places), AT_A_TIME)):
            bounds = _bootstrap(np.stack([every[place] for place in some]), RESAMPLES, 0, 0.95)
            intervals |= {place: (float(low), float(high)) for place, (low, high) in zip(some, bounds, strict=True)}
    return [Summary(len(s), mean(s), std(s), iqm(s), *intervals[place]) for place, s in enumerate(every)]


def paired_difference(scores: Array, reference: Array) -> Summary:
    """`scores` less `reference`, both (N, M): the same seeds, subsets and starts, so that what they share cancels."""
    return paired_differences([(scores, reference)])[0]


def paired_differences(every: Sequence[tuple[Array, Array]]) -> list[Summary]:
    """`paired_difference` of each, in a fraction of the time where many have one shape.

    Their intervals are the bootstrap's: how far is far below is said in points of a score, not of a difference.
    """
    return _summaries([scores - reference for scores, reference in every])


def mean(scores: Array) -> float:
    """Mean over seeds and episodes of `scores` (N, M)."""
    return float(_checked(scores).mean())


def std(scores: Array) -> float:
    """Standard deviation over the N seeds' means (divisor N - 1) of `scores` (N, M); NaN with one seed."""
    return float(_checked(scores).mean(axis=1).std(ddof=1)) if len(scores) > 1 else math.nan


def iqm(scores: Array) -> float:
    """Interquartile mean over the N seeds' means of `scores` (N, M): floor(N / 4) seeds are cut at either end.

    The unit is the run, as in Agarwal et al. 2021 (arXiv 2108.13264, section 4.3), so below four seeds it is the mean.
    """
    seed_means = np.sort(_checked(scores).mean(axis=1))
    cut = len(seed_means) // 4
    return float(seed_means[cut : len(seed_means) - cut].mean())


def stratified_bootstrap(
    scores: Array, *, resamples: int = RESAMPLES, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of the mean of `scores` (N, M): seeds are resampled, then episodes within each drawn seed.

    What it covers: the score of another set of N seeds drawn the same way. A seed brings its own initial weights,
    batches and evaluation starts and, where seed s uses subset s, its own draw of the data, so the interval includes
    the luck of that draw. All draws are from one data set: what another recording would give stays outside. With one
    seed nothing is known of other seeds, and both ends are NaN.

    Resampling both levels as they are is wrong twice with few seeds: the spread of N seeds' means comes out too small
    by (N - 1) / N and without Student's tails, and the episodes' noise, which those means hold already, is counted
    twice. So the drawn seed means are rescaled until the variance of both levels together is (t / z)^2 S^2 / N, where
    S is the standard deviation of the seeds' means and t, z are quantiles of Student's t with N - 1 degrees of
    freedom and of the normal. The rescaling is the shrinkage of Davison and Hinkley 1997 (*Bootstrap Methods and
    their Application*, section 3.8) for two-level data, t / z the small-sample correction of Hesterberg 2015 (*The
    American Statistician* 69:371). The variance is never less than what the episodes' noise alone gives, which guards
    against seeds that agree by chance.

    With 3 seeds it is about 2.5 S either side of the mean: wide, because three seeds say little. docs/statistics.md has
    its simulated coverage, and says how little it covers where seeds collapse and none of the few did.
    """
    low, high = _bootstrap(_checked(scores)[None], resamples, seed, level)[0]
    return float(low), float(high)


def _bootstrap(scores: Array, resamples: int, seed: int, level: float) -> Array:
    """The intervals (G, 2) of G matrices of one shape, `scores` (G, N, M)."""
    groups, seeds, episodes = scores.shape
    if seeds == 1:
        return np.full((groups, 2), math.nan)
    drawn, counts = _draws(seeds, episodes, resamples, seed)
    seed_means = scores.mean(axis=2)  # (G, N)
    means = seed_means.mean(axis=1, keepdims=True)
    residuals = scores - seed_means[:, :, None]  # (G, N, M)
    between = (seed_means - means)[:, drawn].mean(axis=2)  # (G, R)
    within = np.zeros((resamples, groups))
    for place in range(seeds):
        sums = (counts[place] @ residuals.reshape(-1, episodes).T).reshape(resamples, groups, seeds)
        # (R, G, N): the score that each seed would have at this place
        within += sums[np.arange(resamples), :, drawn[:, place]] / (seeds * episodes)
    between_scales, within_scale = _scales(seed_means, residuals, level)
    deviations = between_scales[:, None] * between + within_scale * within.T
    return np.asarray(means + np.quantile(deviations, [(1 - level) / 2, (1 + level) / 2], axis=1).T)


@functools.lru_cache(maxsize=8)
def _draws(seeds: int, episodes: int, resamples: int, seed: int) -> tuple[Array, Array]:
    """The seeds drawn (R, N), and how often each episode is drawn at each of their places (N, R, M).

    They depend on the shape alone, so all rows of a leaderboard share them: ten thousand runs would wait for them.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.integers(seeds, size=(resamples, seeds))
    counts = np.empty((seeds, resamples, episodes))
    first = episodes * np.arange(resamples)[:, None]
    for place in range(seeds):
        cells = (first + rng.integers(episodes, size=(resamples, episodes))).ravel()
        counts[place] = np.bincount(cells, minlength=resamples * episodes).reshape(resamples, episodes)
    return drawn, counts


def _scales(seed_means: Array, residuals: Array, level: float) -> tuple[Array, float]:
    """Factors (G,) for the resampled seed means (G, N), and one for the episode residuals (G, N, M)."""
    _, seeds, episodes = residuals.shape
    between = seed_means.var(axis=1) / seeds  # (G,) the variance that resampling the seeds gives unscaled
    within = residuals.var(axis=(1, 2)) / (seeds * max(episodes - 1, 1))  # the episodes' noise in the mean, unbiased
    student = float(special.stdtrit(seeds - 1, (1 + level) / 2) / special.ndtri((1 + level) / 2))
    wanted = np.maximum(student**2 * seed_means.var(axis=1, ddof=1) / seeds - within, 0.0)
    between_scales = np.sqrt(np.divide(wanted, between, out=np.zeros_like(between), where=between > 0.0))
    return between_scales, math.sqrt(episodes / max(episodes - 1, 1))


def known(value: float) -> float | None:
    """None for NaN: what tables and JSON leave empty."""
    return None if math.isnan(value) else float(value)


def _checked(scores: Array) -> Array:
    if scores.ndim != 2 or scores.size == 0 or not np.isfinite(scores).all():
        raise ValueError(f"scores must be a finite (seeds, episodes) array, got shape {scores.shape}: {scores}")
    return scores
