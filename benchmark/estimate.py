"""What a run will take: the seconds of an optimiser step, evaluations included, as runs before it took them.

Where no run of a method on a task was measured, a table of typical costs is scaled by how this machine compares on what
was. Times are for the order of runs and for people; no result depends on them.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from .config import ID_END, RunConfig
from .run_layout import object_in
from .settings import LANGUAGE_MODEL_METHODS

# Seconds of an optimiser step on one core, on Reacher2d in the cpu profile, its share of the evaluations included.
TYPICAL_COST = {
    **dict.fromkeys(LANGUAGE_MODEL_METHODS, 0.025),
    **dict.fromkeys(("dt", "dt-matched"), 0.016),
    "cql": 0.006,
    **dict.fromkeys(("iql", "td3-bc", "rebrac", "rvs", "bc", "bc-10"), 0.003),
}
UNKNOWN_COST = 0.03  # of a method that is not listed

SAMPLES = 5  # runs of a kind that are looked at

Kind = tuple[str, str, str, int]  # method, task, language model, batch size: what decides how long a step takes


def kind(run: RunConfig) -> Kind:
    """What a run has in common with those that take as long."""
    return run.method, run.task, run.lm, run.batch_size


@dataclass(frozen=True)
class StepTimes:
    """Seconds of an optimiser step by kind of run."""

    measured: Mapping[Kind, float]

    def of(self, run: RunConfig) -> float:
        """As measured; else as other runs of the method on the task take; else the typical cost, scaled."""
        known = self.measured.get(kind(run))
        return self._others.get(kind(run)[:2], self._typical(run.method)) if known is None else known

    def is_measured(self, run: RunConfig) -> bool:
        """Whether the run's method was measured on its task."""
        return kind(run)[:2] in self._others

    def cost(self, run: RunConfig, begun: Mapping[str, int] | None = None) -> float:
        """Seconds that a run still takes; `begun` has the steps that runs have done already."""
        return (run.steps - (begun or {}).get(run.id, 0)) * self.of(run)

    @cached_property
    def _others(self) -> dict[tuple[str, str], float]:
        seconds: dict[tuple[str, str], list[float]] = {}
        for (method, task, *_), value in self.measured.items():
            seconds.setdefault((method, task), []).append(value)
        return {key: median(values) for key, values in seconds.items()}

    @cached_property
    def _scale(self) -> float:
        typical = sum(TYPICAL_COST.get(method, UNKNOWN_COST) for method, *_ in self.measured)
        return sum(self.measured.values()) / typical if typical else 1.0

    def _typical(self, method: str) -> float:
        return self._scale * TYPICAL_COST.get(method, UNKNOWN_COST)


def measured_times(runs: Iterable[RunConfig], root: Path, names: Iterable[str]) -> StepTimes:
    """The step times of the runs among `names`, folders of `root`, that are of the methods and tasks of `runs`.

    Those of the planned runs themselves come first; then others of the folder, told by their names.
    """
    planned = {run.id: run for run in runs}
    present = set(names)
    samples: dict[Kind, list[float]] = {}
    for run in planned.values():
        if run.id in present and len(found := samples.setdefault(kind(run), [])) < SAMPLES:
            found += _seconds_per_step(root / run.id, run.steps)
    lacking = {run.method for run in planned.values() if not samples.get(kind(run))}
    for folder in _others(root, present - planned.keys(), lacking):
        config = read_object(folder / "config.json")
        with suppress(KeyError):
            key = (config["method"], config["task"], config["lm"], config["batch_size"])
            if len(found := samples.setdefault(key, [])) < SAMPLES:
                found += _seconds_per_step(folder, config["steps"])
    return StepTimes({key: median(found) for key, found in samples.items() if found})


def _others(root: Path, names: Iterable[str], methods: set[str]) -> Iterator[Path]:
    """Some run folders of each of the methods, by their names' ends."""
    pattern = re.compile(rf"-({'|'.join(map(re.escape, sorted(methods, key=len, reverse=True)))}){ID_END}$")
    seen: Counter[str] = Counter()
    for name in sorted(names) if methods else []:
        match = pattern.search(name)
        if match is not None and seen[match[1]] < 4 * SAMPLES:  # of several tasks, perhaps
            seen[match[1]] += 1
            yield root / name


def _seconds_per_step(folder: Path, steps: int) -> list[float]:
    """One number, if the run says how long it took: a finished one with its evaluations, an unfinished one without."""
    done = read_object(folder / "done.json")
    if "train_seconds" in done:
        return [(done["train_seconds"] + done.get("evaluation_seconds", 0.0)) / steps]
    row = last_row(folder)
    return [row["seconds"] / row["step"]] if row.get("step") and "seconds" in row else []


def last_row(folder: Path) -> dict[str, Any]:
    """The last row of a run's `metrics.jsonl`; empty if there is none."""
    try:
        lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        row = json.loads(lines[-1]) if lines else {}
    except (OSError, ValueError):
        return {}
    return row if isinstance(row, dict) else {}


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if it can't be read: the estimate, or the look at a sweep, goes without it."""
    try:
        return object_in(path)
    except OSError:
        return {}
