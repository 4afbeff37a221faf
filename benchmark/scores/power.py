"""The power of comparisons: the true difference that its 95 % interval would most likely tell from zero.

A difference is seen where its interval leaves out zero. The intervals of paired differences (`statistics.py`,
`aggregates.py`) are as wide as Student's: t S / sqrt(N) either side, for N pairs whose differences have a standard
deviation of S. So the power is that of the paired t-test, from the noncentral t distribution (Cohen 1988,
*Statistical Power Analysis for the Behavioral Sciences*, chapter 2).

Shapes: T tasks (data sets), N pairs of runs of a task, M episodes of a run. All differences are in points of score.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from scipy import special

from ...datasets.trajectories import Array
from .aggregates import LEVEL

POWER = 0.8  # how often a difference of the detectable size is seen
ROUNDING = 1e-9  # points: differences that are alike differ by less
ENDS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


@dataclass(frozen=True)
class Spread:
    """The spread of the differences of paired runs, on each of T tasks."""

    deviations: tuple[float, ...]  # (T,) standard deviations over a task's pairs; NaN where there is one pair
    pairs: tuple[int, ...]  # (T,) N of each task
    noise: float = 0.0  # a deviation that is known to be the least: what the episodes of a pair bring alone

    @property
    def standard_error(self) -> float:
        """The standard error of the mean over tasks of their mean differences."""
        return math.sqrt(sum(self._variances())) / len(self.pairs)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of `standard_error`: Welch's and Satterthwaite's, which are N - 1 for one task."""
        variances = self._variances()
        return sum(variances) ** 2 / sum(v**2 / (n - 1) for v, n in zip(variances, self.pairs, strict=True))

    @property
    def detectable(self) -> float:
        """The minimum detectable effect: what is seen in `POWER` of experiments with as many pairs, at a level of 5 %.

        NaN where nothing can be said: a task has fewer than two pairs, or no pair differs from another.
        """
        return self.standard_error * _noncentrality(self.freedom) if self._is_known() else math.nan

    def pairs_needed(self, effect: float) -> float:
        """The fewest pairs of each task with which `effect` > 0 is detectable, if this is their spread; else NaN."""
        if not self._is_known():
            return math.nan
        normal = float(special.ndtri(ENDS[1]) + special.ndtri(POWER))
        at_least = (normal / effect) ** 2 * sum(d**2 for d in self.deviations) / len(self.pairs) ** 2
        needed = max(2, math.floor(at_least))  # Student's tails ask for a few more
        while replace(self, pairs=(needed,) * len(self.pairs)).detectable > effect:
            needed += 1
        return float(needed)

    def interval(self) -> tuple["Spread", "Spread"]:
        """Both ends of the 95 % interval of the spread itself, by the chi-squared distribution.

        It is what few pairs know of their spread: of three, the true one is between half of it and six times as wide.
        """
        if not self._is_known():
            return self, self
        low, high = (math.sqrt(self.freedom / float(special.chdtri(self.freedom, end))) for end in ENDS)
        return self._times(low), self._times(high)

    def _times(self, factor: float) -> "Spread":
        return replace(self, deviations=tuple(max(factor * d, self.noise) for d in self.deviations))

    def _variances(self) -> list[float]:
        return [d**2 / n for d, n in zip(self.deviations, self.pairs, strict=True)]

    def _is_known(self) -> bool:
        return min(self.pairs) > 1 and max(self.deviations) > ROUNDING


def spread_of_runs(differences: Mapping[str, Array]) -> Spread:
    """The spread of differences run by run, (N,) of each task: what `aggregates.paired_difference` resamples."""
    deviations = (float(d.std(ddof=1)) if len(d) > 1 else math.nan for d in differences.values())
    return Spread(tuple(deviations), tuple(map(len, differences.values())))


def spread_of_episodes(differences: Array) -> Spread:
    """The spread of one task's differences (N, M) episode by episode, for `statistics.paired_difference`.

    As in its interval, runs never differ less than the noise of their episodes makes them.
    """
    runs, episodes = differences.shape
    noise = math.sqrt(differences.var(axis=1).mean() / max(episodes - 1, 1))
    over_runs = float(differences.mean(axis=1).std(ddof=1)) if runs > 1 else math.nan
    return Spread((max(over_runs, noise),), (runs,), noise)


@functools.lru_cache(maxsize=1024)
def _noncentrality(freedom: float) -> float:
    """The number of standard errors that a difference needs for `POWER`; the other tail never matters there."""
    critical = special.stdtrit(freedom, ENDS[1])
    return float(special.nctdtrinc(freedom, 1 - POWER, critical))
