"""The choice of settings, on seeds that are never reported.

A setting that is chosen on the runs for which it is reported looks better than it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ...datasets.errors import UserError
from ..runs.config import RunConfig
from ..runs.store import run_folder
from ..runs.tracks import Wanted
from .collect import read_finished
from .measured import columns
from .run import FinishedRun

SHARE = (0.0, 1.0)  # what an area can be
FIRST_SEED = 1000  # of those that are for tuning; reported ones are below


@dataclass(frozen=True)
class Trial:
    """A value of a method's setting, and the runs that measure it."""

    method: str
    setting: str
    value: float
    runs: tuple[RunConfig, ...]


class Tuning(Protocol):
    """The contract of a track whose settings can be chosen; a module whose functions have these names is one."""

    def trials(self, wanted: Wanted, setting: str, values: Sequence[float]) -> list[Trial]:
        """Every value of a setting, with every method that was asked for and has it, all else as it is.

        No setting, no method or no value named: the track's own. A `UserError` names whatever does not fit.
        """

    def area(self, run: FinishedRun) -> float:
        """The area under a run's curve, by which values are chosen: more is better."""


def check_tuning_seeds(seeds: Sequence[int]) -> None:
    """Refuse a seed of runs that are reported, with a `UserError`."""
    if reported := [seed for seed in seeds if seed < FIRST_SEED]:
        raise UserError(f"seed {reported[0]} is for reported runs; seeds for tuning are {FIRST_SEED} and above")


def tuning_rows(every: Sequence[Trial], root: Path, tuning: Tuning) -> list[dict[str, Any]]:
    """Rows of finished trials: mean area over seeds and its interval; `chosen` is the best of its method's setting."""
    areas = [np.array([tuning.area(read_finished(run_folder(root, run))) for run in trial.runs]) for trial in every]
    best: dict[tuple[str, str], int] = {}  # the number of the first trial with the largest area
    for number, trial in enumerate(every):
        other = best.setdefault((trial.method, trial.setting), number)
        if areas[number].mean() > areas[other].mean():
            best[trial.method, trial.setting] = number
    chosen = set(best.values())
    return [_row(trial, areas[number]) | {"chosen": number in chosen} for number, trial in enumerate(every)]


def _row(trial: Trial, areas: np.ndarray) -> dict[str, Any]:
    return {
        "task": trial.runs[0].task,
        "method": trial.method,
        "setting": trial.setting,
        "value": trial.value,
        "seeds": len(areas),
        **columns("area", areas.tolist(), SHARE),
    }
