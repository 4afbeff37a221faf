"""Measure how often the 95 % interval of one data set covers where seeds collapse or have two peaks: `make coverage`.

It is simulated apart in the rows that `seed_gaps.py` marks and in the others, and over all rows it is both, weighed by
how often they occur: so rows that are rare among others still get a percentage. Second intervals are tried on marked
rows, which are the only ones that could get one.

Shapes: G experiments, N seeds, M episodes of each.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy import stats

from lamobench.benchmark.scores import statistics
from lamobench.benchmark.scores.seed_gaps import interval_of_share, seeds_below_gaps
from lamobench.datasets.trajectories import Array

EPISODES = 40
EPISODE_SPREAD = 20.0  # standard deviation of a seed's episodes: 3.2 points of error in its mean
DRAWN = 20_000  # experiments of each shape and N, which give the rate of marks
TRIALS = 2_000  # of the marked ones and of the others, as many (or all, if fewer) get an interval
FEWEST = 200  # marked ones, below which nothing is said of them
SEEDS = (3, 5, 10)
RESAMPLES = 1_000  # of the studentised bootstrap
LEVELS = (0.025, 0.975)

Ends = tuple[Array, Array]  # (G,) lower and upper


@dataclass(frozen=True)
class Shape:
    """A distribution of seeds' true scores: one peak, or a share of the seeds `drop` points below the others."""

    name: str
    centre: float  # of the one peak, or of the higher one
    spread: float  # standard deviation of each peak
    peak: Callable[[np.random.Generator, tuple[int, int]], Array]  # mean 0, standard deviation 1
    share: float = 0.0  # of seeds in the lower peak
    drop: float = 0.0

    @property
    def true(self) -> float:
        """The mean over seeds."""
        return self.centre - self.share * self.drop

    def draw(self, seeds: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Scores (`DRAWN`, N, M), and which experiments (`DRAWN`,) met seeds of one peak alone."""
        size = (DRAWN, seeds)
        is_low = rng.random(size) < self.share
        true = self.centre - self.drop * is_low + self.spread * self.peak(rng, size)
        noise = rng.standard_normal((*size, EPISODES))
        return true[..., None] + EPISODE_SPREAD * noise, is_low.all(axis=1) | ~is_low.any(axis=1)


def _normal(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    return rng.standard_normal(size)


def _heavy(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    return np.asarray(rng.standard_t(3, size) / math.sqrt(3.0))


def _flat(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    return np.asarray(math.sqrt(12.0) * (rng.random(size) - 0.5))


def _tail_above(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    return np.asarray(rng.exponential(size=size) - 1.0)


def _tail_below(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    return -_tail_above(rng, size)


ONE_PEAK = (
    *(Shape(f"normal, mean 50, sd {spread:g}", 50.0, spread, _normal) for spread in (5.0, 10.0, 20.0)),
    Shape("normal, mean 5, sd 5", 5.0, 5.0, _normal),
    Shape("uniform, mean 50, sd 10", 50.0, 10.0, _flat),
    Shape("Student's t with 3 degrees of freedom, mean 50, sd 10", 50.0, 10.0, _heavy),
    Shape("exponential upwards, mean 50, sd 10", 50.0, 10.0, _tail_above),
    Shape("exponential downwards, mean 50, sd 10", 50.0, 10.0, _tail_below),
)
TWO_PEAKS = (
    *(Shape(f"1 in {odds} falls by 60", 70.0, 5.0, _normal, 1 / odds, 60.0) for odds in (20, 10)),
    *(Shape(f"1 in 5 falls by {drop:g}", 70.0, 5.0, _normal, 0.2, drop) for drop in (60.0, 40.0, 25.0)),
    Shape("1 in 5 falls by 40, peaks with sd 10", 70.0, 10.0, _normal, 0.2, 40.0),
    *(Shape(f"two peaks, {drop:g} apart", 70.0, 5.0, _normal, 0.5, drop) for drop in (60.0, 40.0, 25.0)),
    Shape("two peaks, 40 apart, with sd 10", 70.0, 10.0, _normal, 0.5, 40.0),
)


def student(scores: Array, _: Array, __: Ends) -> Ends:
    """Student's t over the seeds' means."""
    means = scores.mean(axis=2)
    reach = stats.t.ppf(LEVELS[1], means.shape[1] - 1) * means.std(axis=1, ddof=1) / math.sqrt(means.shape[1])
    return means.mean(axis=1) - reach, means.mean(axis=1) + reach


def studentised(scores: Array, _: Array, __: Ends) -> Ends:
    """The bootstrap of t over the seeds' means (Efron and Tibshirani 1993, section 12.5); no constant resamples."""
    means = scores.mean(axis=2)
    centre = means.mean(axis=1)
    seeds = means.shape[1]
    drawn = np.random.default_rng(0).integers(seeds, size=(RESAMPLES, seeds))
    drawn = drawn[(drawn != drawn[:, :1]).any(axis=1)]
    quantiles = np.empty((len(means), 2))
    for place, (row, middle) in enumerate(zip(means, centre, strict=True)):
        again = row[drawn]
        t = (again.mean(axis=1) - middle) / again.std(axis=1, ddof=1)
        quantiles[place] = np.quantile(t, LEVELS)
    spread = means.std(axis=1, ddof=1)
    return centre - quantiles[:, 1] * spread, centre - quantiles[:, 0] * spread


def half_again(scores: Array, _: Array, bootstrap: Ends) -> Ends:
    """The bootstrap's interval, half as wide again on either side of the mean."""
    centre = scores.mean(axis=(1, 2))
    return centre + 1.5 * (bootstrap[0] - centre), centre + 1.5 * (bootstrap[1] - centre)


def of_share(scores: Array, low_seeds: Array, _: Ends) -> Ends:
    """The interval of `seed_gaps.py`."""
    ends = [interval_of_share(row, int(low)) for row, low in zip(scores, low_seeds, strict=True)]
    return _ends(ends)


def bounded(scores: Array, _: Array, __: Ends) -> Ends:
    """Hoeffding's interval (1963, theorem 2) for scores between 0 and 100, whatever their distribution."""
    reach = 100.0 * math.sqrt(math.log(1.0 / LEVELS[0]) / (2.0 * scores.shape[1]))
    return scores.mean(axis=(1, 2)) - reach, scores.mean(axis=(1, 2)) + reach


SECOND: dict[str, Callable[[Array, Array, Ends], Ends]] = {
    "bootstrap": lambda _, __, bootstrap: bootstrap,
    "Student's t": student,
    "studentised bootstrap": studentised,
    "bootstrap, half as wide again": half_again,
    "Hoeffding, 0 to 100": bounded,
    "share of low seeds": of_share,
}


@dataclass(frozen=True)
class Measured:
    """Percentages of one shape and N seeds; NaN where nothing, or too little, was seen."""

    ours: float  # of all rows: how often the printed interval holds the true mean
    error: float  # standard error of that
    marked: float  # how many rows are marked
    ours_marked: float  # of marked rows
    ours_unmarked: float  # of the others
    at_best: float  # of all rows, if the interval of marked ones had no ends
    one_kind: float  # how often all seeds are of one peak, though there are two
    ours_one_kind: float  # of those rows
    second: list[dict[str, Any]]  # each interval of `SECOND` in marked rows

    def row(self) -> dict[str, Any]:
        """The percentages by name, rounded; None where there is none."""
        numbers = {name: value for name, value in vars(self).items() if name != "second"}
        return {name: None if math.isnan(value) else round(value, 1) for name, value in numbers.items()}


def measure(shape: Shape, seeds: int, trials: int = TRIALS) -> Measured:
    """Simulate `DRAWN` experiments of N seeds, and intervals for up to `trials` marked ones and as many others."""
    scores, alike = shape.draw(seeds, np.random.default_rng(seeds))
    below = seeds_below_gaps(scores)
    rate = float((below > 0).mean())
    chosen = [np.flatnonzero(below > 0)[:trials], np.flatnonzero(below == 0)[:trials]]
    held = [_held(_printed(scores[places]), shape.true) for places in chosen]
    shares = [share / max(len(places), 1) for share, places in zip((rate, 1.0 - rate), chosen, strict=True)]
    weights = np.repeat(shares, [len(places) for places in chosen])
    noise = np.concatenate([inside - _mean(inside) for inside in held]) * weights
    every = np.concatenate(held)
    is_alike = alike[np.concatenate(chosen)]
    enough = len(held[0]) >= FEWEST
    unmarked = _mean(held[1])
    return Measured(
        ours=100.0 * float(every @ weights),
        error=100.0 * math.sqrt(float(noise @ noise)),
        marked=100.0 * rate,
        ours_marked=100.0 * _mean(held[0]) if enough else math.nan,
        ours_unmarked=100.0 * unmarked,
        at_best=100.0 * (rate + (1.0 - rate) * unmarked),
        one_kind=100.0 * float(alike.mean()) if shape.share else math.nan,
        ours_one_kind=100.0 * float(np.average(every, weights=weights * is_alike)) if shape.share else math.nan,
        second=list(_second(scores[chosen[0]], below[chosen[0]], shape.true)) if enough else [],
    )


def _second(scores: Array, low_seeds: Array, true: float) -> Iterator[dict[str, Any]]:
    """Coverage and median width of each interval of `SECOND` in these rows, alone and as far as it and the bootstrap's
    reach together."""
    bootstrap = _bootstrap(scores)
    for name, interval in SECOND.items():
        alone = interval(scores, low_seeds, bootstrap)
        both = np.minimum(alone[0], bootstrap[0]), np.maximum(alone[1], bootstrap[1])
        covered = {"alone": _mean(_held(alone, true)), "with_bootstrap": _mean(_held(both, true))}
        widths = {"width": np.median(alone[1] - alone[0]), "width_with_bootstrap": np.median(both[1] - both[0])}
        percentages = {key: round(100.0 * value, 1) for key, value in covered.items()}
        yield {"interval": name, "rows": len(scores)} | percentages | {k: round(float(w), 1) for k, w in widths.items()}


def rows() -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Rows of results/coverage.csv, one a shape and number of seeds, each with its rows of second_intervals.csv."""
    for shape, seeds in product((*ONE_PEAK, *TWO_PEAKS), SEEDS):
        found = measure(shape, seeds)
        what = {"what": f"mean over episodes, {shape.name}", "tasks": 1, "seeds": seeds}
        yield what | found.row(), [{"what": shape.name, "seeds": seeds} | one for one in found.second]


def _printed(scores: Array) -> Ends:
    return _ends([(one.ci_low, one.ci_high) for one in statistics.summarise_all(list(scores))])


def _bootstrap(scores: Array) -> Ends:
    """The interval of `stratified_bootstrap`, of many rows: that of differences from zero, which are never marked."""
    found = statistics.paired_differences([(row, np.zeros_like(row)) for row in scores])
    return _ends([(one.ci_low, one.ci_high) for one in found])


def _ends(intervals: Sequence[tuple[float, float]]) -> Ends:
    low, high = np.asarray(intervals, float).reshape(-1, 2).T
    return low, high


def _held(ends: Ends, true: float) -> Array:
    return ((ends[0] <= true) & (true <= ends[1])).astype(float)


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else math.nan
