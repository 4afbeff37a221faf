"""Budgets and settings by profile and task: the one table that says what a run of a method is.

Everything here is fixed before the runs that are reported. What is not named keeps the default of the method's own
config, which is the published value. Light: no heavy imports.
"""

from dataclasses import dataclass, replace
from typing import Any

from ..datasets.errors import UserError, choose
from ..datasets.tasks import TASKS


@dataclass(frozen=True)
class Budget:
    """How long a run trains and how it is measured."""

    steps: int  # optimiser steps
    evaluate_every: int  # steps between evaluations; the last one falls on the last step
    evaluation_episodes: int  # per evaluation and target return
    headline_evaluations: int  # the score is the mean over this many last evaluations
    batch_size: int = 64  # windows for sequence models, transitions for the others
    accumulation: int = 1  # parts a batch is computed in, one after the other: less memory, the same mean gradient


@dataclass(frozen=True)
class TaskSettings:
    """One task under one profile: budgets and config overrides, "" for all methods, then by method."""

    budget: dict[str, Budget]
    overrides: dict[str, dict[str, Any]]


LAMO_METHODS = ("lamo", "lamo-random", "lamo-permuted", "lamo-initialised")

SEQUENCE_METHODS = (*LAMO_METHODS, "dt")


def _sequence_methods(settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return dict.fromkeys(SEQUENCE_METHODS, settings)


# ---- The published settings. What is not named is each method's default, which its config class gives a source for.

# Reacher2d: 37,500 steps, scored over the last 12,500 (LaMo, Appendix D), K = 5 (Table 6).
_PAPER_REACHER2D = Budget(steps=37_500, evaluate_every=2500, evaluation_episodes=20, headline_evaluations=5)
# Everything else of D4RL: 100,000 steps, scored over the last 20,000 (Section 5.1). LaMo does not say how long its
# baselines trained: theirs are CORL's million steps, with as many evaluations.
_PAPER_D4RL = {
    "": Budget(steps=100_000, evaluate_every=2500, evaluation_episodes=20, headline_evaluations=8),
    **dict.fromkeys(("bc", "cql"), Budget(1_000_000, 25_000, 20, headline_evaluations=8, batch_size=256)),
}
_LINEAR = {"embedding": "linear", "head": "linear"}
_HOPPER_LAMO = dict.fromkeys(LAMO_METHODS, _LINEAR)  # LaMo, Appendix B

# LaMo on Atari: Tables 6 and 7 (rank 32, batch 128, K 30) and its published code (alpha, dropouts, clipping, linear
# head). DT: Chen et al. 2021, Table 8 and code; its warm-up of 512 * 20 actions is three steps. BC: d3rlpy's.
_ATARI_LAMO = {
    "context": 30,
    "head": "linear",
    "lora_pairs": "joint",
    "lora_rank": 32,
    "lora_alpha": 32.0,
    "lora_dropout": 0.0,
    "gradient_clip": 1.0,
}
_ATARI_DT = {
    "context": 30,
    "layers": 6,
    "heads": 8,
    "width": 128,
    "activation": "gelu",
    "learning_rate": 6e-4,
    "weight_decay": 0.1,
    "warmup_steps": 3,
    "decay": "cosine",
    "gradient_clip": 1.0,
}
_ATARI_BC = {"hidden": (512,), "learning_rate": 1e-3}


def _paper_atari(learning_rate: float, weight_decay: float, steps: int = 100_000) -> TaskSettings:
    """Table 6's learning rate and weight decay; five episodes an evaluation, scored over the last 20 % of training."""
    evaluations = steps // 2500
    lamo = _ATARI_LAMO | {"learning_rate": learning_rate, "weight_decay": weight_decay}
    return TaskSettings(
        budget={"": Budget(steps, 2500, evaluation_episodes=5, headline_evaluations=evaluations // 5, batch_size=128)},
        overrides={**dict.fromkeys(LAMO_METHODS, lamo), "dt": _ATARI_DT, "bc": _ATARI_BC},
    )


# ---- A run in half a minute on one core. Settings were chosen from a few values each on a data set of its own (the
# same player recorded with another seed, seed 0, other evaluation starts): a learning rate that falls to zero and no
# dropout, since the task pays for precision; for CQL, a short horizon and fast targets, without which values have not
# reached the start of an episode by the time the run is over. Budgets were cut and raised to fit the demo into its ten
# minutes over several trials of the demo itself, whose scores were seen (docs/offline.md): they were not set blindly.
_SUPERVISED = {"learning_rate": 1e-3, "decay": "cosine"}
_SEQUENCE = {"context": 5, "dropout": 0.0, "warmup_steps": 50, **_SUPERVISED}
_CPU_REACHER2D = TaskSettings(
    budget={
        "": Budget(800, evaluate_every=200, evaluation_episodes=20, headline_evaluations=2, batch_size=32),
        "bc": Budget(1200, evaluate_every=300, evaluation_episodes=20, headline_evaluations=2, batch_size=256),
        "cql": Budget(2000, evaluate_every=500, evaluation_episodes=20, headline_evaluations=2, batch_size=64),
    },
    overrides={
        **{method: {**_SEQUENCE, "lora_dropout": 0.0} for method in LAMO_METHODS},
        "dt": _SEQUENCE,
        "bc": _SUPERVISED,
        "cql": {
            "hidden": (128, 128),
            "sampled_actions": 4,
            "actor_learning_rate": 1e-3,
            "critic_learning_rate": 1e-3,
            "conservative_weight": 1.0,
            "discount": 0.95,
            "target_rate": 0.02,
            "cloning_steps": 700,
        },
    },
)

# A run in a few minutes on one core. Set once, from what a step costs; no value was chosen by a score.
_FEW_MINUTES = {**_SUPERVISED, "context": 10, "warmup_steps": 50}
_CPU_D4RL = TaskSettings(
    budget={
        "": Budget(1000, evaluate_every=500, evaluation_episodes=10, headline_evaluations=2, batch_size=32),
        **dict.fromkeys(
            ("bc", "cql"), Budget(5000, 2500, evaluation_episodes=10, headline_evaluations=2, batch_size=256)
        ),
    },
    overrides={**_sequence_methods(_FEW_MINUTES), "bc": _SUPERVISED},
)
_CPU_ATARI = TaskSettings(
    budget={
        "": Budget(1000, evaluate_every=500, evaluation_episodes=5, headline_evaluations=2, batch_size=16),
        "bc": Budget(3000, evaluate_every=1500, evaluation_episodes=5, headline_evaluations=2, batch_size=32),
    },
    overrides={
        **dict.fromkeys(LAMO_METHODS, _ATARI_LAMO | _FEW_MINUTES),
        "dt": _ATARI_DT | {"layers": 3} | _FEW_MINUTES,
        "bc": _ATARI_BC | _SUPERVISED,
    },
)

LOCOMOTION = ("hopper", "halfcheetah", "walker2d", "ant")
KITCHEN = ("kitchen", "kitchen-mixed")
ATARI = ("breakout", "qbert", "pong", "seaquest", "freeway", "asterix")
IMPORTED = ""  # the tasks that imported data sets bring with them

PROFILES: dict[str, dict[str, TaskSettings]] = {
    "paper": {
        "reacher2d": TaskSettings(
            budget={
                "": _PAPER_REACHER2D,
                "bc": replace(_PAPER_REACHER2D, batch_size=256),  # CORL's
                "cql": replace(_PAPER_REACHER2D, batch_size=256),  # CORL's
            },
            overrides=_sequence_methods({"context": 5}),
        ),
        "hopper": TaskSettings(_PAPER_D4RL, _HOPPER_LAMO),
        **dict.fromkeys((*LOCOMOTION[1:], *KITCHEN, IMPORTED), TaskSettings(_PAPER_D4RL, {})),
        "breakout": _paper_atari(1e-3, 1e-2, steps=50_000),
        "qbert": _paper_atari(1e-3, 1e-5),
        "pong": _paper_atari(3e-4, 1e-1),
        **dict.fromkeys(ATARI[3:], _paper_atari(1e-3, 1e-5)),  # none is published: Qbert's
    },
    "cpu": {
        "reacher2d": _CPU_REACHER2D,
        **dict.fromkeys((*LOCOMOTION, *KITCHEN, IMPORTED), _CPU_D4RL),
        **dict.fromkeys(ATARI, _CPU_ATARI),
    },
}
DEFAULT_LANGUAGE_MODEL = {"cpu": "gpt2-mini", "paper": "gpt2"}


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
