"""Budgets, agents and pre-training of each task, and the coefficient of each retention there. Light: no heavy imports.

Where a task has `tried`, coefficients are what `lamobench tune` chose of these, on seeds that are not reported;
elsewhere those of pilots with another implementation.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ...baselines.fields import Amount, Count, Delay, Environments, Episodes, Positive, Seed, Share

PROFILE = "cpu"  # of a task whose published size is too large: the size that this suite gives it


@dataclass(frozen=True)
class Budget:
    """The length of a run, and how it is measured."""

    steps: Count  # rounds
    evaluate_every: Count  # rounds between evaluations; there is one before the first round too
    evaluation_episodes: Episodes  # of the whole task, and of each stage by itself
    environments: Environments
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
    critic_warm_up: Delay = 0  # rounds of the critic, on play of pi* from its first stage on; 0: it begins as drawn
    seed: Seed | None = None  # of pi*; None: each run's own


@dataclass(frozen=True)
class RecordedPretrainingConfig:
    """The making of pi* for continuous actions: cloned from the recording of an expert, and its critic from itself."""

    kind: Literal["recording"] = "recording"
    episodes: Count = 200  # of each stage that pi* is to know; one is one stage
    noise: tuple[Amount, ...] = (0.0, 0.1, 0.2)  # standard deviation of the expert's actions, for each episode in turn
    updates: Count = 3000  # of the actor
    batch_size: Count = 256
    learning_rate: Positive = 1e-3  # by Adam
    # Standard deviation, before the squashing, of what is cloned, around a recorded action: keeps the clone's off 0.
    deviation: Positive = 0.1
    largest: Share = 0.97  # to which recorded actions are cut: the inverse hyperbolic tangent is infinite at 1
    # Factor of the first weights of heads that pi* has not learned: on its trunk they would begin with large actions.
    untaught_scale: Amount = 0.01
    memory: Count = 10_000  # steps of pi* that are kept for retention; Appendix B.3
    critic_updates: Delay = 3000  # of the critic, on that memory, before any fine-tuning; 0: it begins as it is drawn
    seed: Seed | None = None  # of pi*; None: each run's own


@dataclass(frozen=True)
class GamePretrainingConfig:
    """The making of pi* for NetHack: cloned from recorded games, and its critic from its own play."""

    kind: Literal["games"] = "games"
    recording: str = ""  # the games: a recording's name, or a folder that NLE wrote; "": those of the environment
    updates: Count = 8000  # of the policy, each of `streams` * `sequence` steps
    streams: Environments = 16  # games side by side
    sequence: Count = 32  # steps of each in an update; the paper's
    learning_rate: Positive = 1e-3  # of the policy, then of the critic; by Adam
    gradient_clip: Positive = 4.0  # largest norm of all gradients together; the paper's
    held_out: Delay = 2  # the last games, on which the clone is examined
    memory: Count = 20_000  # steps that are kept for retention; the paper keeps all
    stretches: Count = 20  # of `sequence` steps, at least, that are kept of a game; from all over it
    critic_rounds: Delay = 100  # of the critic, on play of pi*; the paper's is warmed up as long as pi is trained
    seed: Seed | None = 0  # of pi*, which takes long: one for all runs


AnyPretraining = PretrainingConfig | RecordedPretrainingConfig | GamePretrainingConfig


@dataclass(frozen=True)
class TaskSettings:
    """All that a task decides."""

    agent: str  # a name of `build.AGENTS`
    budget: Budget
    pretraining: AnyPretraining
    policy: dict[str, Any] = field(default_factory=dict)  # of the agent, where not its own defaults
    retention: dict[str, dict[str, Any]] = field(default_factory=dict)  # by method
    # Coefficients among which `lamobench tune` chose, by method; none: a tenth, one and ten times the method's.
    tried: dict[str, tuple[float, ...]] = field(default_factory=dict)
    warm_up: float = 0.0  # share of the rounds of `warm-up` in which the actor rests
    profile: str = PROFILE  # the only one of the task


_RELAY = TaskSettings(
    agent="ppo",
    budget=Budget(steps=120, evaluate_every=6, evaluation_episodes=100, environments=64, rollout_steps=32),
    pretraining=PretrainingConfig("cloning", updates=4000),
    policy={"learning_rate": 1e-3, "epochs": 4, "batch_size": 512, "entropy_weight": 0.01},
    retention={
        "finetune-bc": {"coefficient": 0.1, "batch_size": 512},
        "finetune-ks": {"coefficient": 1e-3, "decay": 1.0},
        "finetune-ewc": {"coefficient": 0.1},
        "finetune-l2-init": {"coefficient": 1e-5},
    },
    # Three values at first; where the lowest was the best, two more below it.
    tried={
        "finetune-bc": (0.01, 0.1, 1.0),
        "finetune-ks": (1e-4, 3e-4, 1e-3, 0.01, 0.1),
        "finetune-ewc": (0.1, 0.3, 1.0, 10.0, 100.0),
        "finetune-l2-init": (1e-5, 3e-5, 1e-4, 1e-3, 0.01),
    },
    warm_up=0.05,
)
_ROBOTIC: dict[str, dict[str, Any]] = {
    "finetune-bc": {"coefficient": 1.0},
    "finetune-ks": {"coefficient": 1.0, "decay": 1.0},
    "finetune-ewc": {"coefficient": 100.0},
    "finetune-l2-init": {"coefficient": 1.0},
    "finetune-em": {"share": 0.1},
}
# The paper's coefficients (Appendix B), which were chosen at its size and for its network.
_NETHACK: dict[str, dict[str, Any]] = {
    "finetune-bc": {"coefficient": 2.0, "batch_size": 32},  # of 32 steps each
    "finetune-ks": {"coefficient": 0.5, "decay": 0.99998},
    "finetune-ewc": {"coefficient": 2e6, "estimate": "batch", "least": 0.0},
    "finetune-l2-init": {"coefficient": 1.0},
}
SETTINGS = {
    "apple-retrieval": TaskSettings(
        agent="reinforce",
        budget=Budget(steps=200, evaluate_every=10, evaluation_episodes=100, environments=16, rollout_steps=100),
        pretraining=PretrainingConfig("learning", updates=150, memory=1000),
        policy={"learning_rate": 5e-3},
        retention={
            "finetune-bc": {"coefficient": 100.0},
            "finetune-ks": {"coefficient": 0.3, "decay": 1.0},
            "finetune-ewc": {"coefficient": 10.0},
            "finetune-l2-init": {"coefficient": 1e-3},
        },
        # Three values at first; those at the lower end got two more below it.
        tried={
            "finetune-bc": (10.0, 100.0, 1000.0),
            "finetune-ks": (0.1, 0.3, 1.0, 10.0, 100.0),
            "finetune-ewc": (1.0, 3.0, 10.0, 100.0, 1000.0),
            "finetune-l2-init": (1e-3, 0.01, 0.1, 1.0, 10.0),
        },
    ),
    "grid-relay": _RELAY,
    # The pilot's imperfect clone: little data of the whole task, one choice in ten of it wrong.
    "grid-relay-cloned": replace(
        _RELAY,
        pretraining=PretrainingConfig("cloning", updates=4000, transitions=2000, mistaken=0.1, memory=2000),
        retention=_RELAY.retention
        | {
            "finetune-ks": {"coefficient": 0.01, "decay": 1.0},
            "finetune-l2-init": {"coefficient": 3e-5},
        },
    ),
    "robotic-sequence-2": TaskSettings(
        agent="sac",
        budget=Budget(steps=240, evaluate_every=30, evaluation_episodes=20, environments=1, rollout_steps=50),
        pretraining=RecordedPretrainingConfig(),
        policy={"hidden": (128, 128, 128), "initial_temperature": 0.05, "start_steps": 1000},
        # EWC and L2 that held the trunk alone forgot nearly all at every coefficient that was tried: FAR's head moves.
        retention={
            "finetune-bc": {"coefficient": 10.0},
            "finetune-ks": {"coefficient": 1.0, "decay": 1.0},
            "finetune-ewc": {"coefficient": 1e4, "heads": True},
            "finetune-l2-init": {"coefficient": 1000.0, "heads": True},
            "finetune-em": {"share": 0.01},
        },
        # Three values at first; where the highest was the best, two more above it. (Of EM two below 0.01.)
        tried={
            "finetune-bc": (0.1, 1.0, 10.0, 100.0, 1000.0),
            "finetune-ks": (0.1, 1.0, 10.0),
            "finetune-ewc": (10.0, 100.0, 1000.0, 1e4, 1e5),
            "finetune-l2-init": (0.1, 1.0, 10.0, 100.0, 1000.0),
            "finetune-em": (0.001, 0.003, 0.01, 0.03, 0.1),  # pi* has 10,000 steps; a run 12,000, all of which fit
        },
        warm_up=0.05,
    ),
    # As published, but for pi*, which the paper trains by SAC: about five processor hours a run.
    "robotic-sequence": TaskSettings(
        agent="sac",
        budget=Budget(steps=20_000, evaluate_every=1000, evaluation_episodes=20, environments=1, rollout_steps=50),
        pretraining=RecordedPretrainingConfig(updates=10_000),
        retention=_ROBOTIC,
        warm_up=0.05,
        profile="paper",
    ),
    # A pilot's size: a million keys a run, in rounds longer than the paper's 32 steps: points are rare, and games few.
    "nethack-lite": TaskSettings(
        agent="recurrent-ppo",
        budget=Budget(steps=500, evaluate_every=125, evaluation_episodes=32, environments=16, rollout_steps=128),
        pretraining=GamePretrainingConfig(),
        policy={"batch_size": 1024},
        # The paper's 2e6 is for another network, and for a Fisher information of other batches: a pilot's.
        retention=_NETHACK | {"finetune-ewc": _NETHACK["finetune-ewc"] | {"coefficient": 2e3}},
        tried={"finetune-ewc": (200.0, 2e3, 2e4)},
        warm_up=0.05,
    ),
    # The paper's length, batch and width of the LSTM: 500 million keys, of which nothing here has been run.
    "nethack-score": TaskSettings(
        agent="recurrent-ppo",
        budget=Budget(steps=122_000, evaluate_every=6100, evaluation_episodes=200, environments=128, rollout_steps=32),
        pretraining=GamePretrainingConfig(updates=200_000, streams=128, critic_rounds=1000),
        policy={"hidden": 1738, "width": 1024, "batch_size": 4096},
        retention=_NETHACK,
        warm_up=0.05,
        profile="paper",
    ),
}
