"""Estimate what a run will take: the seconds of its optimiser steps and evaluations, as runs before it took them.

Where no run of a method on a task was measured, typical costs (`typical_costs.py`) are scaled by how this machine
compares on what was. Times are for the order of runs and for people; no result depends on them.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median

from ...datasets.errors import UserError
from ...datasets.json_files import parse_json
from ..runs.config import ID_END, MOST, RunConfig
from ..runs.kinds import Fields
from ..runs.methods import METHODS
from ..runs.records import check_rows, content_of, read_config, read_done
from .typical_costs import typical_evaluation, typical_update

SAMPLES = 5  # runs of a kind that are looked at

Kind = tuple[str, str, str, int]  # method, task, language model, batch size: what decides how long a step takes


def kind(run: RunConfig) -> Kind:
    """The properties that a run shares with those that take as long."""
    return run.method, run.task, run.lm, run.batch_size


@dataclass(frozen=True)
class StepTimes:
    """Known times of runs, by their kind."""

    measured: Mapping[Kind, float]  # seconds of an optimiser step, without evaluations
    evaluating: Mapping[Kind, float] = field(default_factory=dict)  # evaluations: how many times as long as typical
    paces: Mapping[Kind, float] = field(default_factory=dict)  # of runs just now: seconds of a step, with evaluations
    usual: Mapping[Kind, float] = field(default_factory=dict)  # `typical_pace` of the same kinds

    def of(self, run: RunConfig) -> float:
        """Seconds of an optimiser step: as measured; else as others of the method on the task; else typical."""
        known = _known(self.measured, self._others, run)
        return self._scale * typical_update(run.method, run.task) if known is None else known

    def evaluation(self, run: RunConfig) -> float:
        """Seconds of an evaluation, in the same order."""
        known = _known(self.evaluating, self._others_evaluating, run)
        return (self._scale if known is None else known) * self._typical_evaluation(run)

    def is_measured(self, run: RunConfig) -> bool:
        """Check whether the run's method was measured on its task."""
        return kind(run)[:2] in self._others

    def cost(self, run: RunConfig, begun: Mapping[str, int] | None = None) -> float:
        """Seconds that a run still takes; `begun` has the steps that runs have done already."""
        done = (begun or {}).get(run.id, 0)
        if (pace := self.paces.get(kind(run))) is not None:
            return (run.steps - done) * pace
        evaluations = run.steps // run.evaluate_every - done // run.evaluate_every
        return (run.steps - done) * self.of(run) + evaluations * self.evaluation(run)

    @cached_property
    def _others(self) -> dict[tuple[str, str], float]:
        return _by_method_and_task(self.measured)

    @cached_property
    def _others_evaluating(self) -> dict[tuple[str, str], float]:
        return _by_method_and_task(self.evaluating)

    @cached_property
    def _scale(self) -> float:
        """The ratio of measured to typical times."""
        typical = [typical_update(method, task) for method, task, *_ in self.measured]
        typical += self.usual.values()
        took = [*self.measured.values(), *(self.paces[key] for key in self.usual)]
        return sum(took) / sum(typical) if typical else 1.0

    def _typical_evaluation(self, run: RunConfig) -> float:
        key = (run.method, run.task, run.episodes_each_time)
        if key not in self._evaluations:  # a task of the user's own is looked up on disk
            self._evaluations[key] = typical_evaluation(*key)
        return self._evaluations[key]

    @cached_property
    def _evaluations(self) -> dict[tuple[str, str, float], float]:
        return {}


def typical_pace(run: RunConfig) -> float:
    """Typical seconds of an optimiser step of the run, its share of the evaluations included."""
    evaluation = typical_evaluation(run.method, run.task, run.episodes_each_time)
    return typical_update(run.method, run.task) + evaluation / run.evaluate_every


def _known(table: Mapping[Kind, float], others: Mapping[tuple[str, str], float], run: RunConfig) -> float | None:
    """The table's value for the run's kind, else for its method on its task."""
    return table.get(kind(run), others.get(kind(run)[:2]))


def _by_method_and_task(table: Mapping[Kind, float]) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], list[float]] = {}
    for (method, task, *_), value in table.items():
        found.setdefault((method, task), []).append(value)
    return {key: median(values) for key, values in found.items()}


@dataclass(frozen=True)
class _Sample:
    """Times of a run that is done or has begun."""

    update: float  # seconds of an optimiser step
    evaluation: float | None  # how many times as long as typical; None before the run is done


def measured_times(runs: Iterable[RunConfig], root: Path, names: Iterable[str]) -> StepTimes:
    """The step times of the runs among `names`, folders of `root`, that are of the methods and tasks of `runs`.

    Those of the planned runs themselves come first; then others of the folder, told by their names.
    """
    planned = {run.id: run for run in runs}
    present = set(names)
    samples: dict[Kind, list[_Sample]] = {}
    for run in planned.values():
        if run.id in present and len(found := samples.setdefault(kind(run), [])) < SAMPLES:
            found += _samples(root / run.id, run)
    lacking = {run.method for run in planned.values() if not samples.get(kind(run))}
    for folder in _others(root, present - planned.keys(), lacking):
        try:
            config = read_config(folder)
        except UserError:  # the estimate goes without it
            continue
        if config.method in METHODS and len(found := samples.setdefault(kind(config), [])) < SAMPLES:
            found += _samples(folder, config)
    updates = {key: median(sample.update for sample in found) for key, found in samples.items() if found}
    shares = {key: [s.evaluation for s in found if s.evaluation is not None] for key, found in samples.items()}
    return StepTimes(updates, {key: median(values) for key, values in shares.items() if values})


def _others(root: Path, names: Iterable[str], methods: set[str]) -> Iterator[Path]:
    """Some run folders of each of the methods, by their names' ends."""
    pattern = re.compile(rf"-({'|'.join(map(re.escape, sorted(methods, key=len, reverse=True)))}){ID_END}$")
    seen: Counter[str] = Counter()
    for name in sorted(names) if methods else []:
        match = pattern.search(name)
        if match is not None and seen[match[1]] < 4 * SAMPLES:  # of several tasks, perhaps
            seen[match[1]] += 1
            yield root / name


def _samples(folder: Path, run: RunConfig) -> list[_Sample]:
    """One, if the run says how long it took: a finished one with its evaluations, an unfinished one without."""
    try:
        typical = typical_evaluation(run.method, run.task, run.episodes_each_time)
        done = read_done(folder)
    except UserError:  # damaged, or a task that is gone
        return []
    except FileNotFoundError:
        row = last_row(folder)
        return [_Sample(max(0.0, row["seconds"]) / row["step"], None)] if row.get("step") and "seconds" in row else []
    evaluations = run.steps // run.evaluate_every
    known = "evaluation_seconds" in done and evaluations > 0 and typical > 0
    share = done["evaluation_seconds"] / typical / evaluations if known else None
    return [_Sample(done["train_seconds"] / run.steps, share)]


def last_row(folder: Path) -> Fields:
    """The last row of a run's `metrics.jsonl`; empty if there is none that can be read."""
    try:
        lines = content_of(folder, "metrics.jsonl").decode("utf-8").splitlines()
        return check_rows([parse_json(line) for line in lines[-1:]], MOST, "metrics.jsonl")[0] if lines else {}
    except (OSError, ValueError):  # a `UserError` is one
        return {}
