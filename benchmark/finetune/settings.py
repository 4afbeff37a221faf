"""Budgets, agents and pre-training of each task, and the coefficient of each retention there. Light: no heavy imports.

Coefficients are those of pilots with another implementation; `lamobench tune` chooses among others, on seeds that are
not reported.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ...baselines.fields import Count, Positive, Share

PROFILE = "cpu"  # the only one


@dataclass(frozen=True)
class Budget:
    """The length of a run, and how it is measured."""

    steps: Count  # rounds
    evaluate_every: Count  # rounds between evaluations; there is one before the first round too
    evaluation_episodes: Count  # of the whole task, and of each stage by itself
    environments: Count  # side by side
    rollout_steps: Count  # most steps of each in a round


@dataclass(frozen=True)
class PretrainingConfig:
    """The making of pi*: by learning a stage by itself, or by cloning an expert."""

    kind: Literal["learning", "cloning"]
    updates: Count  # of the policy
    memory: Count = 10_000  # steps that are kept for retention: RoboticSequence's 10,000; NetHack's is all data
    transitions: Count = 20_000  # of the expert, for cloning
    wandering: Share = 0.2  # share of the expert's steps that were taken at random
    mistaken: Share = 0.0  # share of the choices that were cloned which are random
    batch_size: Count = 256  # of cloning
    learning_rate: Positive = 1e-3  # of cloning, by Adam
    label_smoothing: Share = 0.05  # of cloning: keeps the clone's probabilities off 0 and 1


@dataclass(frozen=True)
class TaskSettings:
    """All that a task decides."""

    agent: str  # a name of `build.AGENTS`
    budget: Budget
    pretraining: PretrainingConfig
    policy: dict[str, Any] = field(default_factory=dict)  # of the agent, where not its own defaults
    retention: dict[str, dict[str, Any]] = field(default_factory=dict)  # by method
    warm_up: float = 0.0  # share of the rounds of `warm-up` in which the actor rests


_RELAY = TaskSettings(
    agent="ppo",
    budget=Budget(steps=120, evaluate_every=6, evaluation_episodes=100, environments=64, rollout_steps=32),
    pretraining=PretrainingConfig("cloning", updates=4000),
    policy={"learning_rate": 1e-3, "epochs": 4, "batch_size": 512, "entropy_weight": 0.01},
    retention={
        "finetune-bc": {"coefficient": 0.1, "batch_size": 512},
        "finetune-ks": {"coefficient": 0.01, "decay": 1.0},
        "finetune-ewc": {"coefficient": 10.0},
        "finetune-l2-init": {"coefficient": 1e-3},
    },
    warm_up=0.05,
)
SETTINGS = {
    "apple-retrieval": TaskSettings(
        agent="reinforce",
        budget=Budget(steps=200, evaluate_every=10, evaluation_episodes=100, environments=16, rollout_steps=100),
        pretraining=PretrainingConfig("learning", updates=150, memory=1000),
        policy={"learning_rate": 5e-3},
        retention={
            "finetune-bc": {"coefficient": 100.0},
            "finetune-ks": {"coefficient": 10.0, "decay": 1.0},
            "finetune-ewc": {"coefficient": 100.0},
            "finetune-l2-init": {"coefficient": 1.0},
        },
    ),
    "grid-relay": _RELAY,
    # The pilot's imperfect clone: little data of the whole task, one choice in ten of it wrong.
    "grid-relay-cloned": replace(
        _RELAY,
        pretraining=PretrainingConfig("cloning", updates=4000, transitions=2000, mistaken=0.1, memory=2000),
    ),
}
