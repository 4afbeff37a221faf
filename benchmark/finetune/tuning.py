"""The choice of how strongly each retention holds on a task, mostly a coefficient: a `scores.tuning.Tuning`."""

from collections.abc import Sequence
from dataclasses import replace

from ...baselines.online.retention import RETENTIONS
from ...datasets.errors import choose
from ..runs.tracks import Wanted
from ..scores.run import FinishedRun
from ..scores.tuning import Trial, check_tuning_seeds
from .build import retention_name
from .config import RETENTION
from .measures import measure
from .resolve import methods_for, resolve
from .settings import SETTINGS

FACTORS = (0.1, 1.0, 10.0)  # tried where `settings.py` names no values, in units of the task's own


def trials(wanted: Wanted, setting: str, values: Sequence[float]) -> list[Trial]:
    """Every strength of every method, all methods with one if none is named; a `UserError` for what does not fit."""
    task = choose("task to tune", wanted.subject, list(SETTINGS))
    check_tuning_seeds(wanted.seeds)
    known = [method for method in methods_for(task) if retention_name(method) != "none"]
    methods = [choose("method that retains", method, known) for method in wanted.methods] or known
    own = {method: f"{RETENTION}.{RETENTIONS[retention_name(method)].strength}" for method in methods}
    choose("setting to choose", setting or next(iter(own.values())), list(dict.fromkeys(own.values())))
    found = []
    for method, name in own.items():
        if setting in ("", name):
            for value in values or _values(task, method):
                asked = replace(wanted, methods=(method,), settings={**wanted.settings, name: value})
                found.append(Trial(method, name, value, tuple(resolve(asked))))
    return found


def _values(task: str, method: str) -> Sequence[float]:
    """The strengths of a method that are tried on a task."""
    settings = SETTINGS[task]
    if tried := settings.tried.get(method):
        return tried
    usual = float(settings.retention[method][RETENTIONS[retention_name(method)].strength])
    return [float(f"{factor * usual:.4g}") for factor in FACTORS]


def area(run: FinishedRun) -> float:
    """The area under FULL; a `UserError` if a file of the run is damaged."""
    return measure(run).area
