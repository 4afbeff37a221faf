"""The choice of the coefficient of each retention on a task, on seeds that are never reported.

A coefficient that is chosen on the runs for which it is reported looks better than it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.errors import UserError, choose
from ..runs.store import run_folder
from ..runs.tracks import Wanted
from ..scores.aggregates import estimate, mean
from ..scores.collect import read_finished
from .build import retention_name
from .config import FinetuneConfig
from .measures import measure
from .resolve import methods_for, resolve
from .settings import SETTINGS

FIRST_SEED = 1000  # of those that are for tuning; reported ones are below
FACTORS = (0.1, 1.0, 10.0)  # what is tried, in units of the coefficient of `settings.py`


@dataclass(frozen=True)
class Trial:
    """A coefficient of a method, and the runs that measure it."""

    method: str
    coefficient: float
    runs: tuple[FinetuneConfig, ...]


def trials(task: str, methods: Sequence[str], coefficients: Sequence[float], seeds: Sequence[int]) -> list[Trial]:
    """Every coefficient of every method, all methods with one if none is named; a `UserError` for what does not fit."""
    choose("task to tune", task, list(SETTINGS))
    if reported := [seed for seed in seeds if seed < FIRST_SEED]:
        raise UserError(f"seed {reported[0]} is for reported runs; seeds for tuning are {FIRST_SEED} and above")
    known = [method for method in methods_for(task) if retention_name(method) != "none"]
    for method in methods:
        choose("method with a coefficient", method, known)
    found = []
    for method in methods or known:
        usual = float(SETTINGS[task].retention[method]["coefficient"])
        for coefficient in coefficients or [float(f"{factor * usual:.4g}") for factor in FACTORS]:
            asked = Wanted(task, (method,), tuple(seeds), settings={"retention.coefficient": coefficient})
            found.append(Trial(method, coefficient, tuple(resolve(asked))))
    return found


def tuning_rows(every: Sequence[Trial], root: Path) -> list[dict[str, Any]]:
    """Rows of finished trials: mean area and interval; `chosen` is the best of its method."""
    areas = [np.array([measure(read_finished(run_folder(root, run))).area for run in trial.runs]) for trial in every]
    best: Mapping[str, int] = {
        trial.method: max((n for n, other in enumerate(every) if other.method == trial.method), key=_mean(areas))
        for trial in every
    }
    rows = []
    for number, (trial, area) in enumerate(zip(every, areas, strict=True)):
        found = estimate({"": area}, mean)
        rows.append(
            {
                "task": trial.runs[0].task,
                "method": trial.method,
                "coefficient": trial.coefficient,
                "seeds": len(area),
                "area": found.value,
                "area_low": None if np.isnan(found.low) else found.low,
                "area_high": None if np.isnan(found.high) else found.high,
                "chosen": best[trial.method] == number,
            }
        )
    return rows


def _mean(areas: Sequence[np.ndarray]) -> Any:
    return lambda number: float(areas[number].mean())
