"""Rows: the seeds of one method in one setting, and the names of settings that differ (docs/statistics.md)."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...datasets.trajectories import Array
from .runs import Evaluations, Run
from .statistics import Estimate, leaderboard_mean

SHOWN = 8  # characters of a hash in the name of a variant


@dataclass(frozen=True)
class Row:
    """Runs that differ in their seed alone, by seed, and the variant that they are."""

    variant: str  # how they differ from the most common settings; "" where they do not
    runs: tuple[Run, ...]

    @property
    def first(self) -> Run:
        """The run that stands for all in what they have in common."""
        return self.runs[0]

    @property
    def ranked(self) -> list[Evaluations]:
        """The evaluations of each run at one target: of those that may be ranked, the one with the best mean score."""
        choices = range(len(self.first.evaluations))
        means = [np.mean([_last(run, choice).mean() for run in self.runs]) for choice in choices]
        best = int(np.argmax(means))
        return [run.evaluations[best] for run in self.runs]

    @property
    def episodes(self) -> Array:
        """The scores (N, M) of the episodes that each run's score is of."""
        return np.stack([each.scores[-self.first.last :].ravel() for each in self.ranked])

    @property
    def scores(self) -> Array:
        """The score (N,) of each run."""
        return np.asarray(self.episodes.mean(axis=1))

    @cached_property
    def mean(self) -> tuple[Estimate, int]:
        """The mean of the scores with its interval, and how many seeds lie far below the others."""
        return leaderboard_mean(self.episodes)


def _last(run: Run, choice: int) -> Array:
    return run.evaluations[choice].scores[-run.last :]


def rows_of(runs: Sequence[Run]) -> list[Row]:
    """The runs by row. Runs of one method on the same data that differ in a setting are variants of one another."""
    groups: dict[tuple[Any, ...], dict[str, list[Run]]] = {}
    for run in runs:
        at = (run.task, run.dataset, run.source, run.fraction, run.method, run.lm, run.profile, run.dataset_hash)
        groups.setdefault(at, {}).setdefault(_text(run.settings), []).append(run)
    every = [list(parts.values()) for parts in groups.values()]
    common: Counter[tuple[str, str]] = Counter()
    for parts in every:
        for name in _differing(parts):
            common.update((name, _text(run.settings.get(name))) for part in parts for run in part)
    return [
        Row(variant, tuple(part))
        for parts in every
        for variant, part in zip(_variants(parts, common), parts, strict=True)
    ]


def _differing(parts: Sequence[Sequence[Run]]) -> list[str]:
    names = sorted({name for part in parts for name in part[0].settings})
    return [name for name in names if len({_text(part[0].settings.get(name)) for part in parts}) > 1]


def _variants(parts: Sequence[Sequence[Run]], common: Mapping[tuple[str, str], int]) -> list[str]:
    """The name of each part: what differs from the part whose settings are the most common, or else the lowest."""
    names = _differing(parts)
    every = [{name: part[0].settings.get(name) for name in names} for part in parts]
    base = min(every, key=lambda own: (-sum(common[n, _text(own[n])] for n in names), *(_size(own[n]) for n in names)))
    differing = [{n: own[n] for n in names if _text(own[n]) != _text(base[n])} for own in every]
    brief = [_name({n: value for n, value in own.items() if not n.endswith("_hash")}) for own in differing]
    return [short if brief.count(short) == 1 else _name(own) for short, own in zip(brief, differing, strict=True)]


def _name(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.removeprefix('policy.')}={_shown(name, value)}" for name, value in values.items())


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "absent"
    if isinstance(value, str):
        return value[:SHOWN] if name.endswith("_hash") else value
    return _text(value)


def _size(value: Any) -> tuple[bool, float, str]:
    """A sorting key: nothing, then numbers by size, then texts."""
    return value is not None, float(value) if isinstance(value, int | float) else float("inf"), _text(value)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
