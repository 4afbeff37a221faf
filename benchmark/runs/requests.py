"""The parts of a track's `resolve` that any track may need: what a user asked for, checked and spread out."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ...datasets.errors import UserError, choose
from .changes import changed
from .config import MOST, PRECISIONS
from .tracks import Wanted


def check_seeds(seeds: Sequence[int]) -> None:
    """Refuse a seed that no generator takes, with a `UserError`."""
    for seed in seeds:
        if not 0 <= seed < 2**32:
            raise UserError(f"seed {seed} is out of range; give 0 to {2**32 - 1}")


def check_wanted(wanted: Wanted, known: Collection[str] = ()) -> None:
    """Refuse, with a `UserError`, seeds out of range, and choices of a data set's runs but for those `known`."""
    check_seeds(wanted.seeds)
    if others := sorted(set(wanted.choices) - set(known)):
        raise UserError(f"'{wanted.subject}' is no data set: it has no choice of {', '.join(others)}")


def named_profile(wanted: Wanted) -> str:
    """The profile's name, and whether anything of it was changed: such runs are rows of their own."""
    changes = [asked_precision(wanted)] if asked_precision(wanted) != PRECISIONS[0] else []
    changes += ["changed"] if wanted.budget or wanted.settings or wanted.steps else []
    return f"{wanted.profile} ({', '.join(changes)})" if changes else wanted.profile


def asked_precision(wanted: Wanted) -> str:
    """The precision of matrix products that was asked for, or float32; a `UserError` for one that there is not."""
    return choose("precision", str(wanted.choices.get("precision", PRECISIONS[0])), PRECISIONS)


def check_counts(budget: Any) -> None:
    """Refuse, with a `UserError`, a budget with a field that is no count; its fields are integers."""
    for name, value in vars(budget).items():
        if not 1 <= value <= MOST:
            raise UserError(f"{name} is {value}; give 1 to {MOST}")


def spread(steps: int, evaluations: int, method: str = "") -> dict[str, int]:
    """The fields of a budget with as many evaluations over other steps; the `UserError` names their `method`."""
    whose = f"{method}'s " if method else ""
    if steps < 1 or steps % evaluations:
        raise UserError(
            f"--steps {steps} can't be spread over {whose}{evaluations} evaluations; give a multiple of {evaluations}, "
            "or --budget steps=... with --budget evaluate_every=..."
        )
    return {"steps": steps, "evaluate_every": steps // evaluations}


def asked_budget(wanted: Wanted, usual: Any) -> Any:
    """The usual budget, a dataclass of counts, with what was asked for; other steps have as many evaluations.

    A `UserError` for what is no count, and where the last evaluation does not fall on the last step.
    """
    spread_out = spread(wanted.steps, usual.steps // usual.evaluate_every) if wanted.steps else {}
    budget = changed(usual, spread_out | dict(wanted.budget), "budget")
    check_counts(budget)
    if budget.steps % budget.evaluate_every:
        raise UserError(f"steps {budget.steps} must be a multiple of evaluate_every {budget.evaluate_every}")
    return budget


def by_prefix(settings: Mapping[str, Any], prefixes: Collection[str]) -> dict[str, dict[str, Any]]:
    """Settings by the prefix of their names, "" for the agent's own; a `UserError` for one that is not known."""
    found: dict[str, dict[str, Any]] = {"": {}, **{prefix: {} for prefix in prefixes}}
    for name, value in settings.items():
        prefix, dot, rest = name.rpartition(".")
        if dot:
            choose("kind of setting", prefix, list(prefixes), "settings of the agent have no prefix")
        found[prefix][rest] = value
    return found


def prefixed(prefix: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, their names behind "PREFIX.": what `RunConfig.settings_of` and `by_prefix` take apart."""
    return {f"{prefix}.{name}": value for name, value in settings.items()}
