"""Budgets and settings by profile and task: the one table that says what a run of a method is.

Everything here is fixed before the runs that are reported. What is not named keeps the default of the method's own
config, which is the published value. Light: no heavy imports.
"""

from typing import Any

from ...datasets.errors import UserError, choose
from ...datasets.tasks import TASKS
from .cpu_settings import CPU
from .paper_settings import PAPER
from .settings import IMPORTED, Budget, TaskSettings

PROFILES: dict[str, dict[str, TaskSettings]] = {"paper": PAPER, "cpu": CPU}
DEFAULT_LANGUAGE_MODEL = {"cpu": "gpt2-mini", "paper": "gpt2"}
DEFAULT_CORPUS = {"cpu": "docs", "paper": "wikitext-103"}  # of English, where a run reads any


def task_settings(profile: str, task: str) -> TaskSettings:
    """The settings of a task under a profile; every task that the catalog does not have gets the same."""
    settings = PROFILES[choose("profile", profile, list(PROFILES))]
    if task not in TASKS:
        task = IMPORTED
    if task not in settings:
        raise UserError(f"profile '{profile}' has no settings for task '{task}' yet (it has: {', '.join(settings)})")
    return settings[task]


def budget_for(profile: str, task: str, method: str) -> Budget:
    """The budget of a method."""
    budgets = task_settings(profile, task).budget
    return budgets.get(method, budgets[""])


def overrides_for(profile: str, task: str, method: str) -> dict[str, Any]:
    """Config fields that differ from the method's own defaults."""
    overrides = task_settings(profile, task).overrides
    return overrides.get("", {}) | overrides.get(method, {})
