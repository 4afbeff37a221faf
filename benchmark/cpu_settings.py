"""The `cpu` profile: runs of minutes on one core of a laptop, and what they change from the published settings."""

from .paper_settings import ATARI_BC, ATARI_BCQ, ATARI_DISCRETE_CQL, ATARI_DT, ATARI_LAMO, ATARI_NFQ
from .settings import (
    ATARI,
    DEEP_Q_METHODS,
    IMPORTED,
    KITCHEN,
    LAMO_METHODS,
    LOCOMOTION,
    Budget,
    TaskSettings,
    for_sequence_methods,
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
# Deep Q-learning in thousands of updates instead of millions. Each copy of the target network takes values one step
# further back: 30 copies in 3,000 updates, and a horizon of 20 steps, in their reach. Rate: BCQ's code for vectors.
# Quantiles: d3rlpy's default. With 200, discrete CQL's Bellman loss on the training data rose from 1 to 190 in a trial
# of 1,800 updates and drowned the conservative term (docs/baselines.md).
_FEW_UPDATES = {"learning_rate": 3e-4, "discount": 0.95}
_FEW_COPIES = {**_FEW_UPDATES, "target_interval": 100, "quantiles": 32}
_CPU_D4RL = TaskSettings(
    budget={
        "": Budget(1000, evaluate_every=500, evaluation_episodes=10, headline_evaluations=2, batch_size=32),
        **dict.fromkeys(
            ("bc", "cql", *DEEP_Q_METHODS),
            Budget(5000, 2500, evaluation_episodes=10, headline_evaluations=2, batch_size=256),
        ),
    },
    overrides={
        **for_sequence_methods(_FEW_MINUTES),
        "discrete-cql": _FEW_COPIES,
        "bcq": _FEW_COPIES,
        "nfq": _FEW_UPDATES,
        "bc": _SUPERVISED,
    },
)
_CPU_ATARI = TaskSettings(
    budget={
        "": Budget(1000, evaluate_every=500, evaluation_episodes=5, headline_evaluations=2, batch_size=16),
        **dict.fromkeys(
            ("bc", *DEEP_Q_METHODS),
            Budget(3000, evaluate_every=1500, evaluation_episodes=5, headline_evaluations=2, batch_size=32),
        ),
    },
    overrides={
        **dict.fromkeys(LAMO_METHODS, ATARI_LAMO | _FEW_MINUTES),
        "dt": ATARI_DT | {"layers": 3} | _FEW_MINUTES,
        "discrete-cql": ATARI_DISCRETE_CQL | _FEW_COPIES,
        "bcq": ATARI_BCQ | _FEW_COPIES,
        "nfq": ATARI_NFQ | _FEW_UPDATES,
        "bc": ATARI_BC | _SUPERVISED,
    },
)

CPU: dict[str, TaskSettings] = {
    "reacher2d": _CPU_REACHER2D,
    **dict.fromkeys((*LOCOMOTION, *KITCHEN, IMPORTED), _CPU_D4RL),
    **dict.fromkeys(ATARI, _CPU_ATARI),
}
