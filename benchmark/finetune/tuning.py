"""The choice of the coefficient of each retention on a task: a `scores.tuning.Tuning`."""

from collections.abc import Sequence
from dataclasses import replace

from ...datasets.errors import choose
from ..runs.tracks import Wanted
from ..scores.run import FinishedRun
from ..scores.tuning import Trial, check_tuning_seeds
from .build import retention_name
from .config import RETENTION
from .measures import measure
from .resolve import methods_for, resolve
from .settings import SETTINGS

COEFFICIENT = f"{RETENTION}.coefficient"
FACTORS = (0.1, 1.0, 10.0)  # tried where `settings.py` names no values, in units of its coefficient


def trials(wanted: Wanted, setting: str, values: Sequence[float]) -> list[Trial]:
    """Every coefficient of every method, all methods with one if none is named; a `UserError` for what does not fit."""
    task = choose("task to tune", wanted.subject, list(SETTINGS))
    check_tuning_seeds(wanted.seeds)
    choose("setting to choose", setting or COEFFICIENT, [COEFFICIENT])
    known = [method for method in methods_for(task) if retention_name(method) != "none"]
    for method in wanted.methods:
        choose("method with a coefficient", method, known)
    found = []
    for method in wanted.methods or known:
        for value in values or _values(task, method):
            asked = replace(wanted, methods=(method,), settings={**wanted.settings, COEFFICIENT: value})
            found.append(Trial(method, COEFFICIENT, value, tuple(resolve(asked))))
    return found


def _values(task: str, method: str) -> Sequence[float]:
    """The coefficients of a method that are tried on a task."""
    usual = float(SETTINGS[task].retention[method]["coefficient"])
    return SETTINGS[task].tried.get(method) or [float(f"{factor * usual:.4g}") for factor in FACTORS]


def area(run: FinishedRun) -> float:
    """The area under FULL; a `UserError` if a file of the run is damaged."""
    return measure(run).area
