"""Statistics and their 95 % intervals, written as docs/statistics.md has them: draws in the same order, nothing shared.

Shapes: N seeds, M episodes of each, T tasks (data sets), R resamples. `Scores` has the scores (N,) of each task.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import special

from ...datasets.trajectories import Array

RESAMPLES = 2000
LEVEL = 0.95
TAILS = (0.5 - LEVEL / 2, 0.5 + LEVEL / 2)
NORMAL = float(special.ndtri(TAILS[1]))
TOP = 100.0  # the score that the optimality gap is measured from
CHANCES = np.linspace(0.0, 1.0, 10_001)  # that a probability of improvement is looked for among
UNKNOWN = math.nan

Interval = tuple[float, float]
Scores = Mapping[str, Array]


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; NaN where nothing is known."""

    value: float = UNKNOWN
    low: float = UNKNOWN
    high: float = UNKNOWN


def mean_of_seeds(scores: Array) -> Estimate:
    """The mean of `scores` (N, M) with the two-level bootstrap's interval, which knows nothing of collapsed seeds."""
    seeds, episodes = scores.shape
    centre = float(scores.mean())
    if seeds == 1:
        return Estimate(centre)
    rng = np.random.default_rng(0)
    drawn = rng.integers(seeds, size=(RESAMPLES, seeds))
    means = scores.mean(axis=1)
    residuals = scores - means[:, None]
    within = np.zeros(RESAMPLES)
    for place in range(seeds):
        cells = rng.integers(episodes, size=(RESAMPLES, episodes))
        within += residuals[drawn[:, place, None], cells].mean(axis=1) / seeds
    between = (means - means.mean())[drawn].mean(axis=1)
    deviations = _factor(means, residuals) * between + math.sqrt(episodes / max(episodes - 1, 1)) * within
    low, high = np.quantile(deviations, TAILS)
    return Estimate(centre, centre + float(low), centre + float(high))


def _factor(means: Array, residuals: Array) -> float:
    """The factor of resampled seed means (N,): with the episodes' noise they vary as Student's t says."""
    seeds, episodes = residuals.shape
    student = float(special.stdtrit(seeds - 1, TAILS[1])) / NORMAL
    noise = float((residuals**2).mean()) / (seeds * max(episodes - 1, 1))
    wanted = student**2 * float(means.var(ddof=1)) / seeds - noise
    resampled = float(means.var()) / seeds
    return math.sqrt(max(wanted, 0.0) / resampled) if resampled > 0.0 else 0.0


def leaderboard_mean(scores: Array) -> tuple[Estimate, int]:
    """`mean_of_seeds`, wider where seeds lie far below the others, and how many do."""
    found = mean_of_seeds(scores)
    below = seeds_far_below(scores)
    if not below:
        return found, 0
    means = np.sort(scores.mean(axis=1))
    lower = float(means[:below].mean())
    upper = float(means[below:].mean())
    seeds = len(means)
    ends = [  # Clopper's and Pearson's, of the share of low seeds
        special.betaincinv(below + 1, seeds - below, TAILS[1]),
        special.betaincinv(below, seeds - below + 1, TAILS[0]),
    ]
    low, high = (upper - float(share) * (upper - lower) for share in ends)
    return Estimate(found.value, min(low, found.low), max(high, found.high)), below


def seeds_far_below(scores: Array) -> int:
    """The number of seeds of `scores` (N, M) below a gap that is wide by all four measures of docs/statistics.md."""
    seeds, episodes = scores.shape
    if seeds < 3 or episodes < 2:
        return 0
    means = sorted(scores.mean(axis=1).tolist())
    gaps = [upper - lower for lower, upper in pairwise(means)]
    place = gaps.index(max(gaps))
    others = gaps[:place] + gaps[place + 1 :]
    error = math.sqrt(float(scores.var(axis=1, ddof=1).mean()) / episodes)
    least = max(3.0 * max(others), 0.5 * float(np.mean(means[place + 1 :])), 10.0, 4.0 * error)
    return place + 1 if gaps[place] >= least else 0


def middle(scores: Array) -> float:
    """The mean of scores (N,) without the lowest and the highest floor(N / 4)."""
    cut = len(scores) // 4
    return float(np.sort(scores)[cut : len(scores) - cut].mean())


def mean_over_tasks(tasks: list[Array]) -> Array:
    """The mean over tasks of the means of their runs (..., N) each: (...)."""
    return np.asarray(np.mean([runs.mean(axis=-1) for runs in tasks], axis=0))


def iqm_over_tasks(tasks: list[Array]) -> Array:
    """The mean of the middle half of all runs (..., N) of all tasks, which weigh the same."""
    runs = np.concatenate(tasks, axis=-1)
    if len({task.shape[-1] for task in tasks}) == 1:
        cut = runs.shape[-1] // 4
        return np.asarray(np.sort(runs, axis=-1)[..., cut : runs.shape[-1] - cut].mean(axis=-1))
    weights = np.concatenate([np.full(task.shape[-1], 1 / (len(tasks) * task.shape[-1])) for task in tasks])
    places = np.argsort(runs, axis=-1)
    weights = weights[places]
    below = np.cumsum(weights, axis=-1)
    kept = weights * ((below > 0.25 + 1e-9) & (1.0 - below + weights > 0.25 + 1e-9))  # whole runs are cut
    return np.asarray((kept * np.take_along_axis(runs, places, axis=-1)).sum(axis=-1) / kept.sum(axis=-1))


def median_over_tasks(tasks: list[Array]) -> Array:
    """The median over tasks of the means of their runs (..., N); of one task, the median of its runs."""
    if len(tasks) == 1:
        return np.asarray(np.median(tasks[0], axis=-1))
    return np.asarray(np.median([runs.mean(axis=-1) for runs in tasks], axis=0))


def gap_over_tasks(tasks: list[Array]) -> Array:
    """The mean of how far runs (..., N) of the tasks stay below 100."""
    return mean_over_tasks([np.maximum(TOP - runs, 0.0) for runs in tasks])


METRICS: dict[str, Callable[[list[Array]], Array]] = {
    "mean": mean_over_tasks,
    "iqm": iqm_over_tasks,
    "median": median_over_tasks,
    "optimality_gap": gap_over_tasks,
}


def over_tasks(scores: Scores, metric: str) -> Estimate:
    """One of `METRICS` with the stratified bootstrap's interval: of each task as many runs are drawn as it has."""
    tasks = list(scores.values())
    measure = METRICS[metric]
    value = float(measure(tasks))
    sizes = np.asarray([len(runs) for runs in tasks])
    if sizes.min() < 2:
        return Estimate(value)
    rng = np.random.default_rng(0)
    resampled = [runs[rng.integers(len(runs), size=(RESAMPLES, len(runs)))] for runs in tasks]
    deviations = measure(resampled)
    deviations = deviations - deviations.mean()
    shares = _shares(deviations, resampled)
    unbiased = metric in ("iqm", "median") and len(tasks) == 1 and sizes[0] >= 4
    wanted = shares if unbiased else shares * sizes / (sizes - 1)
    freedom = wanted.sum() ** 2 / (wanted**2 / (sizes - 1)).sum()  # Welch's and Satterthwaite's
    factor = float(special.stdtrit(freedom, TAILS[1])) / NORMAL * math.sqrt(wanted.sum() / shares.sum())
    low, high = np.quantile(deviations, TAILS)
    return Estimate(value, value + factor * float(low), value + factor * float(high))


def _shares(deviations: Array, resampled: list[Array]) -> Array:
    """The share (T,) of each task in the variance of the deviations (R,): a regression on its resampled means."""
    shares = np.zeros(len(resampled))
    for place, runs in enumerate(resampled):
        means = runs.mean(axis=1)
        means = means - means.mean()
        variance = float(means @ means)
        shares[place] = float(deviations @ means) ** 2 / variance if variance > 0.0 else 0.0
    return shares if shares.sum() > 0.0 else np.ones(len(resampled))


def improvement(ours: Scores, theirs: Scores) -> Estimate:
    """The probability that a run of ours beats one of theirs on a random task, with Newcombe's score interval."""
    wins = [
        np.mean([[1.0 if run > other else 0.5 if run == other else 0.0 for other in theirs[task]] for run in runs])
        for task, runs in ours.items()
    ]
    value = float(np.mean(wins))
    sizes = [(len(runs), len(theirs[task])) for task, runs in ours.items()]
    correction = 0.5 / sum(m * n for m, n in sizes)
    variance = np.zeros_like(CHANCES)
    for m, n in sizes:
        concordant = CHANCES / (2 - CHANCES) + 2 * CHANCES**2 / (1 + CHANCES) - 2 * CHANCES**2
        variance += (CHANCES * (1 - CHANCES) + ((m + n) / 2 - 1) * concordant) / (m * n)
    error = np.sqrt(np.maximum(variance, 0.0)) / len(sizes)
    possible = CHANCES[np.abs(value - CHANCES) - correction <= NORMAL * error]
    return Estimate(value, float(possible[0]), float(possible[-1]))


def detectable(differences: Scores, noise: float) -> float:
    """The true mean difference that 80 % of experiments with as many pairs of runs would see (docs/statistics.md).

    `differences` has those of the pairs (N,) of each task, and `noise` is the least that they are known to deviate. NaN
    where a task has one pair, or where all pairs differ alike.
    """
    pairs = np.asarray([len(values) for values in differences.values()])
    if pairs.min() < 2:
        return UNKNOWN
    deviations = np.asarray([max(float(values.std(ddof=1)), noise) for values in differences.values()])
    if deviations.max() <= 1e-9:
        return UNKNOWN
    variances = deviations**2 / pairs
    freedom = float(variances.sum() ** 2 / (variances**2 / (pairs - 1)).sum())
    errors = float(special.nctdtrinc(freedom, 0.2, special.stdtrit(freedom, TAILS[1])))
    return errors * math.sqrt(float(variances.sum())) / len(pairs)
