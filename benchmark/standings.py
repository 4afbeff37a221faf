"""Where methods stand: every statistic of `aggregates.py` for each data set, and over data sets that methods share.

From the frame of `collect`. Only runs of one profile and one source of data meet, at one fraction. Over several data
sets a method is set beside others on exactly the same ones: a *pool* is all data sets that some method covers, and holds
every method that covers them all. So LaMo stands beside DT on all tasks, beside CQL on those with continuous actions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .aggregates import (
    Estimate,
    Profile,
    Scores,
    aggregate,
    estimate,
    mean,
    performance_profile,
    probability_of_improvement,
)
from .leaderboard import group_runs
from .statistics import summarise
from .tables import method_order

REFERENCE = "lamo"

Row = list[dict[str, Any]]  # the runs of one leaderboard row, in order of seed
Name = tuple[str, str, str]  # a method: name, language model, variant


@dataclass(frozen=True)
class Pool:
    """Data sets that several methods were run on, all at one fraction."""

    profile: str
    source: str
    fraction: float
    datasets: tuple[str, ...]
    rows: Mapping[Name, Mapping[str, Row]]  # runs of each method on each data set


@dataclass(frozen=True)
class Standing:
    """One method's statistics over a pool's data sets."""

    profile: str
    source: str
    fraction: float
    datasets: tuple[str, ...]
    method: str
    lm: str
    variant: str
    seeds: int  # of the data set with the fewest
    metrics: dict[str, Estimate]  # by the names of `aggregates.METRICS`


@dataclass(frozen=True)
class Comparison:
    """One method against another on the same data sets."""

    profile: str
    source: str
    fraction: float
    datasets: tuple[str, ...]
    method: str
    lm: str
    other: str
    other_lm: str
    other_variant: str
    pairs: int  # runs of both that share seed and subset, of the data set with the fewest
    difference: Estimate  # mean score less the other's, over those pairs; NaN where there are none
    probability: Estimate  # that a run of the method beats one of the other, over all runs


def pools(runs: pd.DataFrame) -> list[Pool]:
    """Every pool of one data set, then those of several, each by profile, source and fraction.

    Raises the errors of `leaderboard.group_runs`.
    """
    covered: dict[tuple[str, str, float], dict[Name, dict[str, Row]]] = {}
    for row in group_runs(runs).values():
        first = row[0]
        at = (str(first["profile"]), str(first["source"]), float(first["fraction"]))
        name = (str(first["method"]), str(first["lm"]), str(first["variant"]))
        covered.setdefault(at, {}).setdefault(name, {})[_data_of(row)] = row
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


def _data_of(row: Row) -> str:
    """The data set of a row and what is in it: one that was recorded anew is another stratum."""
    return f"{row[0]['dataset']} {row[0]['dataset_hash'][:8]}"


def scores_of(rows: Mapping[str, Row]) -> Scores:
    """The score of each run, by data set."""
    return {data: np.asarray([run["score"] for run in row]) for data, row in rows.items()}


def standings(runs: pd.DataFrame) -> list[Standing]:
    """Every method in every pool. Of one data set, the mean's interval is the leaderboard's, from `statistics.py`."""
    return [_standing(pool, name, rows) for pool in pools(runs) for name, rows in pool.rows.items()]


def _standing(pool: Pool, name: Name, rows: Mapping[str, Row]) -> Standing:
    metrics = aggregate(scores_of(rows))
    if len(rows) == 1:
        (row,) = rows.values()
        summary = summarise(np.stack([run["headline_scores"] for run in row]))
        metrics["mean"] = Estimate(summary.mean, summary.ci_low, summary.ci_high)
    seeds = min(map(len, rows.values()))
    return Standing(pool.profile, pool.source, pool.fraction, pool.datasets, *name, seeds, metrics)


def profiles(pool: Pool, thresholds: np.ndarray[Any, Any]) -> dict[Name, Profile]:
    """The performance profile of each method of a pool."""
    return {name: performance_profile(scores_of(rows), thresholds) for name, rows in pool.rows.items()}


def comparisons(runs: pd.DataFrame, reference: str = REFERENCE) -> list[Comparison]:
    """`reference`, with each language model that it was run with, against every other method of each pool."""
    return [
        _comparison(pool, name, other)
        for pool in pools(runs)
        for name in pool.rows
        if name[0] == reference and not name[2]
        for other in pool.rows
        if other != name
    ]


def _comparison(pool: Pool, name: Name, other: Name) -> Comparison:
    ours, theirs = pool.rows[name], pool.rows[other]
    differences = {data: _paired(ours[data], theirs[data]) for data in pool.datasets}
    pairs = min(len(found) for found in differences.values())
    difference = estimate(differences, mean) if pairs else Estimate(np.nan, np.nan, np.nan)
    return Comparison(
        pool.profile,
        pool.source,
        pool.fraction,
        pool.datasets,
        *name[:2],
        *other,
        pairs,
        difference,
        probability_of_improvement(scores_of(ours), scores_of(theirs)),
    )


def _paired(ours: Row, theirs: Row) -> np.ndarray[Any, Any]:
    """(N,) differences of the runs' scores where both have a run of the same seed on the same subset."""
    known = {(run["seed"], run["subset_hash"]): run["score"] for run in theirs}
    shared = [run for run in ours if (run["seed"], run["subset_hash"]) in known]
    return np.asarray([run["score"] - known[run["seed"], run["subset_hash"]] for run in shared])
