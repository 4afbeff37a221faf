"""Where methods stand: every statistic of `aggregates.py` for each data set, and over data sets that methods share.

From the frame of `collect`. Only runs of one profile and one source of data meet, at one fraction. Over several data
sets a method is set beside others on the very same ones: a *pool* is all data sets that some method covers, and holds
every method that covers them all. So LaMo stands beside DT on all tasks, beside CQL on those with continuous actions.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ...datasets.trajectories import Array
from . import statistics
from .aggregates import (
    METRICS,
    Estimate,
    Profile,
    Scores,
    aggregate_all,
    paired_difference,
    performance_profile,
    probability_of_improvement,
)
from .leaderboard import group_runs
from .tables import method_order

REFERENCE = "lamo"

Row = list[dict[str, Any]]  # the runs of one leaderboard row, in order of seed
Pair = tuple[dict[str, Any], dict[str, Any]]  # runs of two methods that share seed and subset
Name = tuple[str, str, str]  # a method: name, language model, variant


@dataclass(frozen=True)
class Place:
    """Data sets, and how they were used: what is compared is compared within one."""

    profile: str
    source: str
    fraction: float
    datasets: tuple[str, ...]


@dataclass(frozen=True)
class Pool(Place):
    """Data sets that several methods were run on, all at one fraction."""

    rows: Mapping[Name, Mapping[str, Row]]  # runs of each method on each data set


@dataclass(frozen=True)
class Standing(Place):
    """One method's statistics over a pool's data sets."""

    method: str
    lm: str
    variant: str
    seeds: int  # of the data set with the fewest
    metrics: dict[str, Estimate]  # by the names of `aggregates.METRICS`


@dataclass(frozen=True)
class Comparison(Place):
    """One method against another on the same data sets."""

    method: str
    lm: str
    other: str
    other_lm: str
    pairs: int  # runs of both that share seed and subset, of the data set with the fewest
    difference: Estimate  # mean score less the other's, over those pairs; NaN where there are none
    probability: Estimate  # that a run of the method beats one of the other, over all runs


def pools(runs: pd.DataFrame) -> list[Pool]:
    """Every pool of one data set, then those of several, each by profile, source and fraction.

    Raises the errors of `leaderboard.group_runs`.
    """
    covered: dict[tuple[str, str, float], dict[Name, dict[str, Row]]] = {}
    rows = list(group_runs(runs).values())
    contents = {(row[0]["dataset"], row[0]["dataset_hash"]) for row in rows}
    recorded = Counter(dataset for dataset, _ in contents)
    for row in rows:
        first = row[0]
        at = (str(first["profile"]), str(first["source"]), float(first["fraction"]))
        content = f" {first['dataset_hash'][:8]}" if recorded[first["dataset"]] > 1 else ""
        data = f"{first['dataset']}{content}"  # what was recorded twice is two strata
        name = (str(first["method"]), str(first["lm"]), str(first["variant"]))
        covered.setdefault(at, {}).setdefault(name, {})[data] = row
    found = [Pool(*at, *pool) for at, methods in covered.items() for pool in _pools_at(methods)]
    return sorted(
        found, key=lambda p: (len(p.datasets) > 1, p.profile, p.source, -len(p.datasets), p.datasets, p.fraction)
    )


def _pools_at(methods: dict[Name, dict[str, Row]]) -> Iterator[tuple[tuple[str, ...], dict[Name, dict[str, Row]]]]:
    single = {(data,) for rows in methods.values() for data in rows}
    several = {tuple(sorted(rows)) for rows in methods.values() if len(rows) > 1}
    for datasets in single | several:
        inside = {
            name: {data: rows[data] for data in datasets}
            for name, rows in sorted(methods.items(), key=lambda item: (method_order(item[0][0]), item[0]))
            if rows.keys() >= set(datasets)
        }
        yield datasets, inside


def scores_of(rows: Mapping[str, Row]) -> Scores:
    """The score of each run, by data set."""
    return {data: np.asarray([run["score"] for run in row]) for data, row in rows.items()}


def standings(found: Sequence[Pool]) -> list[Standing]:
    """Every method in every pool. Of one data set, the mean's interval is the leaderboard's, from `statistics.py`."""
    placed = [(pool, name, rows) for pool in found for name, rows in pool.rows.items()]
    means: dict[int, Estimate] = {}
    single = [place for place, (_, _, rows) in enumerate(placed) if len(rows) == 1]
    several = [place for place, (_, _, rows) in enumerate(placed) if len(rows) > 1]
    episodes = [_episodes(next(iter(placed[place][2].values()))) for place in single]
    for place, summary in zip(single, statistics.summarise_all(episodes), strict=True):
        means[place] = Estimate(summary.mean, summary.ci_low, summary.ci_high)
    scores = [scores_of(rows) for _, _, rows in placed]
    for place, metrics in zip(several, aggregate_all([scores[place] for place in several], ["mean"]), strict=True):
        means[place] = metrics["mean"]
    others = aggregate_all(scores, METRICS[1:])
    return [
        Standing(
            *(pool.profile, pool.source, pool.fraction, pool.datasets),
            *name,
            min(map(len, rows.values())),
            {"mean": means[place]} | others[place],
        )
        for place, (pool, name, rows) in enumerate(placed)
    ]


def _episodes(runs: Row) -> Array:
    """(N, M) scores of the headline episodes."""
    return np.stack([run["headline_scores"] for run in runs])


def profiles(pool: Pool, thresholds: Array) -> dict[Name, Profile]:
    """The performance profile of each method of a pool."""
    return {name: performance_profile(scores_of(rows), thresholds) for name, rows in pool.rows.items()}


def comparisons(found: Sequence[Pool], reference: str = REFERENCE) -> list[Comparison]:
    """`reference` against every other method of each pool: those of the same language model and those without one.

    Variants are left out: what they change is not the method.
    """
    met = [
        (pool, (method, lm, variant), other)
        for pool in found
        for method, lm, variant in pool.rows
        if method == reference and not variant
        for other in pool.rows
        if other[0] != reference and other[1] in ("", lm) and not other[2]
    ]
    pairs = [{d: _pairs(pool.rows[ours][d], pool.rows[theirs][d]) for d in pool.datasets} for pool, ours, theirs in met]
    return [
        Comparison(
            *(pool.profile, pool.source, pool.fraction, pool.datasets),
            *(*ours[:2], *theirs[:2]),
            min(map(len, shared.values())),
            difference,
            probability_of_improvement(scores_of(pool.rows[ours]), scores_of(pool.rows[theirs])),
        )
        for (pool, ours, theirs), shared, difference in zip(met, pairs, _differences(pairs), strict=True)
    ]


def _pairs(ours: Row, theirs: Row) -> list[Pair]:
    """The runs of both that share seed and subset."""
    known = {(run["seed"], run["subset_hash"]): run for run in theirs}
    keys = [(run["seed"], run["subset_hash"]) for run in ours]
    return [(run, known[key]) for run, key in zip(ours, keys, strict=True) if key in known]


def _differences(every: Sequence[Mapping[str, list[Pair]]]) -> list[Estimate]:
    """The mean of ours less theirs: on one data set episode by episode, over several run by run."""
    found = {}
    alone: dict[int, tuple[Array, Array]] = {}
    for place, pairs in enumerate(every):
        sides = [{data: [pair[side] for pair in shared] for data, shared in pairs.items()} for side in (0, 1)]
        shapes = {run["headline_scores"].shape for runs in sides for row in runs.values() for run in row}
        if not all(pairs.values()):
            found[place] = Estimate(math.nan, math.nan, math.nan)
        elif len(pairs) == 1 and len(shapes) == 1:
            ours, theirs = (_episodes(next(iter(runs.values()))) for runs in sides)
            alone[place] = (ours, theirs)
        else:
            found[place] = paired_difference(*map(scores_of, sides))
    summaries = statistics.paired_differences(list(alone.values()))
    found |= {p: Estimate(s.mean, s.ci_low, s.ci_high) for p, s in zip(alone, summaries, strict=True)}
    return [found[place] for place in range(len(every))]
