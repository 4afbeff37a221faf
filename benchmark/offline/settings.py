"""Parts of a table of settings: budgets, overrides, and groups of tasks and methods. Light: no heavy imports."""

from dataclasses import dataclass
from typing import Any

from ..runs.methods import METHODS


@dataclass(frozen=True)
class Budget:
    """The length of a run's training, and how it is measured."""

    steps: int  # optimiser steps
    evaluate_every: int  # steps between evaluations; the last one falls on the last step
    evaluation_episodes: int  # per evaluation and target return
    headline_evaluations: int  # the score is the mean over this many last evaluations
    batch_size: int = 64  # windows for sequence models, transitions for the others
    # Parts a batch is computed in, one after the other: less memory, and the mean of the parts' gradients, which is the
    # batch's where no window is padded. English is drawn for each part anew.
    accumulation: int = 1


@dataclass(frozen=True)
class TaskSettings:
    """One task under one profile: budgets and config overrides, "" for all methods, then by method."""

    budget: dict[str, Budget]
    overrides: dict[str, dict[str, Any]]


def of_families(*families: str) -> tuple[str, ...]:
    """The names of the methods that share settings."""
    return tuple(method.name for method in METHODS.values() if method.family in families)


LAMO_METHODS = of_families("lamo")
LANGUAGE_MODEL_METHODS = of_families("lamo", "wiki-rl")
SEQUENCE_METHODS = of_families("lamo", "wiki-rl", "dt")
CLONING_METHODS = of_families("cloning")
VALUE_METHODS = of_families("value")
DEEP_Q_METHODS = of_families("deep-q")


def for_sequence_methods(settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The same overrides for each of them."""
    return dict.fromkeys(SEQUENCE_METHODS, settings)


def merged(*tables: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """One table of overrides by method; where several have a method, the later one's fields win."""
    methods = dict.fromkeys(method for table in tables for method in table)
    return {method: {k: v for table in tables for k, v in table.get(method, {}).items()} for method in methods}


# Tasks that share settings.
LOCOMOTION = ("hopper", "halfcheetah", "walker2d", "ant")
KITCHEN = ("kitchen", "kitchen-mixed")
ATARI = ("breakout", "qbert", "pong", "seaquest", "freeway", "asterix")
IMPORTED = ""  # the tasks that imported data sets bring with them
