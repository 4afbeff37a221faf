"""Standings of methods: every statistic of `aggregates.py` for each data set, and over data sets that methods share.

From the runs of `collect`. Only runs of one profile and one source of data meet, at one fraction. Over several data
sets a method is set beside others on the very same ones: a *pool* is all data sets that some method covers, and holds
every method that covers them all. So LaMo stands beside DT on all tasks, beside CQL on those with continuous actions.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
from .held_out import REFERENCE
from .labels import method_order
from .leaderboard import Group, group_runs, summaries_of
from .power import Spread, spread_of_episodes, spread_of_runs
from .run import FinishedRun, Run

Pair = tuple[FinishedRun, FinishedRun]  # of two methods, with the same seed and subset


class Name(NamedTuple):
    """The name of a row of a pool: a method with a language model, in one of its settings."""

    method: str
    lm: str
    variant: str


@dataclass(frozen=True)
class Place:
    """Data sets, and how they were used: rows are compared within one only."""

    profile: str
    source: str
    fraction: float
    datasets: tuple[str, ...]


@dataclass(frozen=True)
class Pool(Place):
    """Data sets that several methods were run on, all at one fraction."""

    rows: Mapping[Name, Mapping[str, Group]]  # runs of each method on each data set


@dataclass(frozen=True)
class Standing(Place):
    """One method's statistics over a pool's data sets."""

    method: str
    lm: str
    variant: str
    seeds: int  # of the data set with the fewest
    metrics: dict[str, Estimate]  # by the names of `aggregates.METRICS`
    scores: Scores  # of each run, by data set


@dataclass(frozen=True)
class Comparison(Place):
    """One method against another on the same data sets."""

    method: str
    lm: str
    other: str
    other_lm: str
    pairs: int  # runs of both that share seed and subset, of the data set with the fewest
    difference: Estimate  # mean score less the other's, over those pairs; NaN where there are none
    spread: Spread  # of the differences of those pairs, which says what difference could have been seen
    probability: Estimate  # that a run of the method beats one of the other, over all runs


def pools(runs: Sequence[Run]) -> list[Pool]:
    """Every pool of one data set, then those of several, each by profile, source and fraction.

    Raises the errors of `leaderboard.group_runs`.
    """
    covered: dict[tuple[str, str, float], dict[Name, dict[str, Group]]] = {}
    groups = group_runs(runs)
    contents = {(group.data.dataset, group.data.dataset_hash) for group in groups}
    recorded = Counter(dataset for dataset, _ in contents)
    for group in groups:
        config = group.config
        data = group.data
        at = (config.profile, data.source, float(data.fraction))
        content = f" {data.dataset_hash[:8]}" if recorded[data.dataset] > 1 else ""  # recorded twice: two strata
        name = Name(config.method, config.lm, group.variant)
        covered.setdefault(at, {}).setdefault(name, {})[f"{data.dataset}{content}"] = group
    found = [Pool(*at, *pool) for at, methods in covered.items() for pool in _pools_at(methods)]
    return sorted(
        found, key=lambda p: (len(p.datasets) > 1, p.profile, p.source, -len(p.datasets), p.datasets, p.fraction)
    )


def _pools_at(methods: dict[Name, dict[str, Group]]) -> Iterator[tuple[tuple[str, ...], dict[Name, dict[str, Group]]]]:
    single = {(data,) for rows in methods.values() for data in rows}
    several = {tuple(sorted(rows)) for rows in methods.values() if len(rows) > 1}
    for datasets in single | several:
        inside = {
            name: {data: rows[data] for data in datasets}
            for name, rows in sorted(methods.items(), key=lambda item: (method_order(item[0].method), item[0]))
            if rows.keys() >= set(datasets)
        }
        yield datasets, inside


def scores_of(groups: Mapping[str, Group]) -> Scores:
    """The score of each run, by data set."""
    return {data: group.scores for data, group in groups.items()}


def standings(found: Sequence[Pool]) -> list[Standing]:
    """Every method in every pool. Of one data set, the mean's interval is the leaderboard's, from `statistics.py`."""
    placed = [(pool, name, rows) for pool in found for name, rows in pool.rows.items()]
    means: dict[int, Estimate] = {}
    single = [place for place, (_, _, rows) in enumerate(placed) if len(rows) == 1]
    several = [place for place, (_, _, rows) in enumerate(placed) if len(rows) > 1]
    alone = [next(iter(placed[place][2].values())) for place in single]
    for place, summary in zip(single, summaries_of(alone), strict=True):
        means[place] = Estimate(summary.mean, summary.ci_low, summary.ci_high)
    scores = [scores_of(rows) for _, _, rows in placed]
    for place, metrics in zip(several, aggregate_all([scores[place] for place in several], ["mean"]), strict=True):
        means[place] = metrics["mean"]
    others = aggregate_all(scores, METRICS[1:])
    return [
        Standing(
            *(pool.profile, pool.source, pool.fraction, pool.datasets),
            *name,
            min(len(group.runs) for group in rows.values()),
            {"mean": means[place]} | others[place],
            scores[place],
        )
        for place, (pool, name, rows) in enumerate(placed)
    ]


def profiles(pool: Pool, thresholds: Array) -> dict[Name, Profile]:
    """The performance profile of each method of a pool."""
    return {name: performance_profile(scores_of(rows), thresholds) for name, rows in pool.rows.items()}


def comparisons(found: Sequence[Pool], reference: str = REFERENCE) -> list[Comparison]:
    """`reference` against every other method of each pool: those of the same language model and those without one.

    Variants are left out: what they change is not the method.
    """
    met = [
        (pool, ours, theirs)
        for pool in found
        for ours in pool.rows
        if ours.method == reference and not ours.variant
        for theirs in pool.rows
        if theirs.method != reference and theirs.lm in ("", ours.lm) and not theirs.variant
    ]
    pairs = [{d: _pairs(pool.rows[ours][d], pool.rows[theirs][d]) for d in pool.datasets} for pool, ours, theirs in met]
    return [
        Comparison(
            *(pool.profile, pool.source, pool.fraction, pool.datasets),
            *(ours.method, ours.lm, theirs.method, theirs.lm),
            min(map(len, shared.values())),
            *(difference, spread),
            probability_of_improvement(scores_of(pool.rows[ours]), scores_of(pool.rows[theirs])),
        )
        for (pool, ours, theirs), shared, (difference, spread) in zip(met, pairs, _differences(pairs), strict=True)
    ]


def _pairs(ours: Group, theirs: Group) -> list[Pair]:
    """The runs of both that share seed and subset."""
    known = {_draw(run): run for run in theirs.runs}
    return [(run, known[_draw(run)]) for run in ours.runs if _draw(run) in known]


def _draw(run: FinishedRun) -> tuple[int, str]:
    return run.config.seed, run.data.subset_hash


def _differences(every: Sequence[Mapping[str, list[Pair]]]) -> list[tuple[Estimate, Spread]]:
    """The mean of ours less theirs and its spread: on one data set episode by episode, over several run by run."""
    found = {}
    spreads = {}
    alone: dict[int, tuple[Array, Array]] = {}
    for place, pairs in enumerate(every):
        sides = [
            {data: Group("", [pair[side] for pair in shared]) for data, shared in pairs.items()} for side in (0, 1)
        ]
        runs = [run for side in sides for group in side.values() for run in group.runs]
        shapes = {run.result.headline_scores.shape for run in runs}
        if not all(pairs.values()):
            found[place] = Estimate(math.nan, math.nan, math.nan)
            spreads[place] = Spread((math.nan,) * len(pairs), tuple(map(len, pairs.values())))
        elif len(pairs) == 1 and len(shapes) == 1:
            ours, theirs = (next(iter(side.values())).headline_scores for side in sides)
            alone[place] = (ours, theirs)
            spreads[place] = spread_of_episodes(ours - theirs)
        else:
            scores, reference = map(scores_of, sides)
            found[place] = paired_difference(scores, reference)
            spreads[place] = spread_of_runs({data: runs - reference[data] for data, runs in scores.items()})
    summaries = statistics.paired_differences(list(alone.values()))
    found |= {p: Estimate(s.mean, s.ci_low, s.ci_high) for p, s in zip(alone, summaries, strict=True)}
    return [(found[place], spreads[place]) for place in range(len(every))]
