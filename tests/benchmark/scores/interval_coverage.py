"""Measure how often the 95 % intervals hold the true value, in simulated experiments: `make coverage`.

Each function gives two percentages: of the suite's interval, and of the plain percentile bootstrap, which is what
rliable computes (of two levels: seeds, then episodes). T tasks, N runs of each, or N seeds with M episodes.

And how often the intervals of differences leave out zero where the true difference is the detectable one.
"""

import math
from collections.abc import Callable, Iterator
from itertools import chain, product
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from lamobench.benchmark.scores import aggregates, statistics
from lamobench.benchmark.scores.aggregates import METRICS, STATISTICS, Layout
from lamobench.benchmark.scores.power import Spread
from lamobench.datasets.storage import write_rows
from lamobench.datasets.trajectories import Array
from lamobench.tests.benchmark.scores import collapse_coverage

TRIALS = 1000
EPISODES = 40
QUANTILES = (0.025, 0.975)
OUTPUT = Path("results/coverage.csv")
SECOND_OUTPUT = Path("results/second_intervals.csv")
OF_TWO_PEAKS = ("error", "marked", "ours_marked", "ours_unmarked", "at_best", "one_kind", "ours_one_kind")
COLUMNS = ("what", "tasks", "seeds", "ours", "plain", *OF_TWO_PEAKS)

Pair = tuple[float, float]  # in %: of ours, of the plain bootstrap


def of_aggregate(metric: str, tasks: int, seeds: int, trials: int = TRIALS, skewed: bool = False) -> Pair:
    """Coverage of `aggregates.METRICS`, whose true value is what such experiments have on average.

    Runs are normal on tasks with means from 20 to 100 and standard deviations from 2 to 15; `skewed`: exponential,
    with the same means and spreads.
    """
    draw = np.random.default_rng(100 * tasks + seeds)
    means = draw.uniform(20.0, 100.0, (tasks, 1))
    spreads = draw.uniform(2.0, 15.0, (tasks, 1))

    def experiments(count: int, seed: int) -> Array:
        rng = np.random.default_rng(seed)
        size = (count, tasks, seeds)
        return np.asarray(means + spreads * (rng.exponential(size=size) - 1.0 if skewed else rng.normal(size=size)))

    statistic = STATISTICS[metric]
    layout = Layout((seeds,) * tasks)
    true = float(statistic(experiments(20_000, 2).reshape(20_000, -1), layout).mean())
    drawn = experiments(trials, 1)
    found = [one[metric] for one in aggregates.aggregate_all([_named(one) for one in drawn], [metric])]
    plain = [_percentiles(statistic(one.reshape(-1)[aggregates._draws(layout.sizes)], layout)) for one in drawn]
    return _covered([(one.low, one.high) for one in found], true), _covered(plain, true)


def of_improvement(effect: float, tasks: int, seeds: int, trials: int = TRIALS) -> Pair:
    """Coverage of the probability of improvement between normal runs that differ by `effect` standard deviations."""
    rng = np.random.default_rng(0)
    true = float(stats.norm.cdf(effect / math.sqrt(2.0)))
    ours = []
    plain = []
    for _ in range(trials):
        better, other = (rng.normal(centre, 1.0, (tasks, seeds)) for centre in (effect, 0.0))
        found = aggregates.probability_of_improvement(_named(better), _named(other))
        ours.append((found.low, found.high))
        drawn = [_resampled(side, rng) for side in (better, other)]  # (R, T, N) each
        wins = 0.5 + 0.5 * np.sign(drawn[0][..., :, None] - drawn[1][..., None, :])
        plain.append(_percentiles(wins.mean(axis=(1, 2, 3))))
    return _covered(ours, true), _covered(plain, true)


def of_profile(tasks: int, seeds: int, trials: int = TRIALS) -> Pair:
    """Coverage of a performance profile's band, on average over thresholds; normal runs on tasks that lie apart."""
    rng = np.random.default_rng(0)
    thresholds = np.linspace(30.0, 70.0, 5)
    centres = np.linspace(40.0, 60.0, tasks)[:, None]
    true = 1.0 - stats.norm.cdf((thresholds[None, :] - centres) / 10.0).mean(axis=0)
    covered = np.zeros((2, len(thresholds)))
    for _ in range(trials):
        runs = rng.normal(centres, 10.0, (tasks, seeds))
        found = aggregates.performance_profile(_named(runs), thresholds)
        shares = (_resampled(runs, rng)[..., None] > thresholds).mean(axis=(1, 2))  # (R, thresholds)
        low, high = np.quantile(shares, QUANTILES, axis=0)
        covered += [(found.low <= true) & (true <= found.high), (low <= true) & (true <= high)]
    ours, plain = 100.0 * covered.mean(axis=1) / trials
    return float(ours), float(plain)


def of_two_levels(spread: float, seeds: int, trials: int = 4 * TRIALS) -> Pair:
    """Coverage of one data set's mean: normal seeds, whose spread is in units of what episodes alone give a mean."""
    rng = np.random.default_rng(0)
    noise = math.sqrt(EPISODES) * rng.standard_normal((trials, seeds, EPISODES))
    every = spread * rng.standard_normal((trials, seeds, 1)) + noise
    found = statistics.summarise_all(list(every))
    plain = [_percentiles(_two_levels(scores, rng)) for scores in every[:TRIALS]]
    return _covered([(one.ci_low, one.ci_high) for one in found], 0.0), _covered(plain, 0.0)


def of_detectable(spread: float, seeds: int, trials: int = 2 * TRIALS) -> Pair:
    """Count how often a difference of one data set is seen whose size is `Spread.detectable` of the true spread.

    Differences as in `of_two_levels`, whose seeds' means have a variance of `spread` squared, and 1 of the episodes.
    """
    rng = np.random.default_rng(0)
    effect = Spread((math.hypot(spread, 1.0),), (seeds,)).detectable
    noise = math.sqrt(EPISODES) * rng.standard_normal((trials, seeds, EPISODES))
    every = effect + spread * rng.standard_normal((trials, seeds, 1)) + noise
    found = statistics.paired_differences([(scores, np.zeros_like(scores)) for scores in every])
    plain = [_percentiles(_two_levels(scores, rng)) for scores in every[:TRIALS]]
    return 100.0 - _covered([(one.ci_low, one.ci_high) for one in found], 0.0), 100.0 - _covered(plain, 0.0)


def of_detectable_over_tasks(tasks: int, seeds: int, trials: int = 2 * TRIALS) -> Pair:
    """The same of a mean over data sets, whose differences have standard deviations from 2 to 15."""
    rng = np.random.default_rng(0)
    layout = Layout((seeds,) * tasks)
    deviations = rng.uniform(2.0, 15.0, tasks)
    effect = Spread(tuple(deviations), layout.sizes).detectable
    drawn = effect + deviations[:, None] * rng.standard_normal((trials, tasks, seeds))
    found = [one["mean"] for one in aggregates.aggregate_all([_named(one) for one in drawn], ["mean"])]
    resampled = (one.reshape(-1)[aggregates._draws(layout.sizes)] for one in drawn)
    plain = [_percentiles(aggregates.mean(one, layout)) for one in resampled]
    return 100.0 - _covered([(one.low, one.high) for one in found], 0.0), 100.0 - _covered(plain, 0.0)


def _two_levels(scores: Array, rng: np.random.Generator, resamples: int = 500) -> Array:
    rows = rng.integers(len(scores), size=(resamples, len(scores), 1))
    columns = rng.integers(scores.shape[1], size=(resamples, *scores.shape))
    return np.asarray(scores[rows, columns].mean(axis=(1, 2)))


def _resampled(runs: Array, rng: np.random.Generator, resamples: int = 500) -> Array:
    """Matrices (R, T, N) from runs (T, N)."""
    drawn = rng.integers(runs.shape[1], size=(resamples, *runs.shape))
    return np.asarray(np.take_along_axis(runs[None], drawn, axis=2))


def _percentiles(values: Array) -> Pair:
    low, high = np.quantile(values, QUANTILES)
    return float(low), float(high)


def _covered(intervals: list[Pair], true: float) -> float:
    return 100.0 * float(np.mean([low <= true <= high for low, high in intervals]))


def _named(runs: Array) -> Any:
    return dict(enumerate(runs))


def rows() -> Iterator[dict[str, Any]]:
    """The tables of docs/statistics.md: what, of how many tasks and seeds, and both percentages."""
    cases: list[tuple[str, int, int, Callable[[], Pair]]] = []
    for tasks, seeds in product((1, 5), (3, 4, 5, 10)):
        for metric in METRICS:
            cases.append((metric, tasks, seeds, lambda m=metric, t=tasks, n=seeds: of_aggregate(m, t, n)))
    for tasks, seeds in ((1, 3), (1, 5), (5, 3)):
        skewed = "mean, exponential runs"
        cases.append((skewed, tasks, seeds, lambda t=tasks, n=seeds: of_aggregate("mean", t, n, skewed=True)))
    for tasks, seeds in product((1, 5), (3, 5, 10)):
        for effect in (0.0, 1.0, 2.0):
            name = f"probability of improvement, effect {effect:g}"
            cases.append((name, tasks, seeds, lambda e=effect, t=tasks, n=seeds: of_improvement(e, t, n)))
    for tasks, seeds in product((1, 5), (3, 5, 10)):
        cases.append(("performance profile", tasks, seeds, lambda t=tasks, n=seeds: of_profile(t, n)))
    for seeds, spread in product((3, 5, 10), (0.0, 1.0, 2.0, 5.0)):
        name = f"mean over episodes, spread of seeds {spread:g}"
        cases.append((name, 1, seeds, lambda s=spread, n=seeds: of_two_levels(s, n)))
    for seeds, spread in product((2, 3, 5, 10), (0.0, 1.0, 2.0, 5.0)):
        name = f"detectable difference seen, spread of seeds {spread:g}"
        cases.append((name, 1, seeds, lambda s=spread, n=seeds: of_detectable(s, n)))
    for tasks, seeds in product((2, 5), (3, 5, 10)):
        name = "detectable difference seen"
        cases.append((name, tasks, seeds, lambda t=tasks, n=seeds: of_detectable_over_tasks(t, n)))
    for what, tasks, seeds, measure in cases:
        ours, plain = measure()
        yield {"what": what, "tasks": tasks, "seeds": seeds, "ours": round(ours, 1), "plain": round(plain, 1)}


def main() -> None:
    """Simulate everything, and write both tables."""
    table = []
    second = []
    for row, tried in chain(((row, []) for row in rows()), collapse_coverage.rows()):
        table.append({column: row.get(column) for column in COLUMNS})
        second += tried
        print(", ".join(f"{name} {value}" for name, value in row.items() if value is not None), flush=True)
    write_rows(OUTPUT, table)
    write_rows(SECOND_OUTPUT, second)
    print(f"written to {OUTPUT} and {SECOND_OUTPUT}")


if __name__ == "__main__":
    main()
