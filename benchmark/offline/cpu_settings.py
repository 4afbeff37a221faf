"""The `cpu` profile: runs of minutes on one core of a laptop, and what they change from the published settings."""

from dataclasses import replace

from .paper_settings import ATARI_BC, ATARI_BCQ, ATARI_DISCRETE_CQL, ATARI_DT, ATARI_LAMO, ATARI_NFQ, BASELINES
from .settings import (
    ATARI,
    CLONING_METHODS,
    DEEP_Q_METHODS,
    IMPORTED,
    KITCHEN,
    LANGUAGE_MODEL_METHODS,
    LOCOMOTION,
    VALUE_METHODS,
    Budget,
    TaskSettings,
    for_sequence_methods,
    merged,
)

# ---- A run in half a minute on one core. Settings were chosen from a few values each on a data set of its own (the
# same player recorded with another seed, seed 0, other evaluation starts): a learning rate that falls to zero and no
# dropout, since the task pays for precision; for CQL, a short horizon and fast targets, without which values have not
# reached the start of an episode by the time the run is over. Budgets were cut and raised to fit the demo into its ten
# minutes over several trials of the demo itself, whose scores were seen (docs/offline.md): they were not set blindly.
_SUPERVISED = {"learning_rate": 1e-3, "decay": "cosine"}
_CLONING = dict.fromkeys((*CLONING_METHODS, "rvs"), _SUPERVISED)
# Values learned in thousands of updates instead of a million: learning rates of 0.001 (CQL's actor: the largest of its
# Appendix F), and targets that follow four times as fast.
_FAST = {"actor_learning_rate": 1e-3, "critic_learning_rate": 1e-3, "target_rate": 0.02}
_FAST_VALUES = {"iql": _FAST | {"value_learning_rate": 1e-3}, "td3-bc": _FAST, "rebrac": _FAST}
_SHORT_HORIZON = {method: {"discount": 0.95} for method in _FAST_VALUES}
_SEQUENCE = {"context": 5, "dropout": 0.0, "warmup_steps": 50, **_SUPERVISED}
# IQL, TD3+BC, ReBRAC and RvS were never run on that data set: the first three share CQL's horizon, targets and rates.
_CPU_REACHER2D = TaskSettings(
    budget={
        "": Budget(800, evaluate_every=200, evaluation_episodes=20, headline_evaluations=2, batch_size=32),
        **dict.fromkeys(
            (*CLONING_METHODS, "rvs"),
            Budget(1200, evaluate_every=300, evaluation_episodes=20, headline_evaluations=2, batch_size=256),
        ),
        **dict.fromkeys(
            VALUE_METHODS,
            Budget(4000, evaluate_every=1000, evaluation_episodes=20, headline_evaluations=2, batch_size=128),
        ),
        "cql": Budget(2000, evaluate_every=500, evaluation_episodes=20, headline_evaluations=2, batch_size=64),
    },
    overrides={
        **{method: {**_SEQUENCE, "lora_dropout": 0.0} for method in LANGUAGE_MODEL_METHODS},
        "dt": _SEQUENCE,
        "dt-matched": _SEQUENCE,
        **_CLONING,
        **merged(BASELINES["reacher2d"], _FAST_VALUES, _SHORT_HORIZON, {"rvs": _SUPERVISED | {"hidden": (256, 256)}}),
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

# A run in a few minutes on one core. Set once, from what a step costs; no value was chosen by a score. On hopper LaMo
# has its residual MLPs, as everywhere, where the paper has linear layers.
_FEW_MINUTES = {**_SUPERVISED, "context": 10, "warmup_steps": 50}
# Deep Q-learning in thousands of updates instead of millions. Each copy of the target network takes values one step
# further back: 30 copies in 3,000 updates, and a horizon of 20 steps, in their reach. Rate: BCQ's code for vectors.
# Quantiles: d3rlpy's default. With 200, discrete CQL's quantiles spread far beyond any possible return within a few
# hundred updates (docs/baselines.md), and an update costs more.
_FEW_UPDATES = {"learning_rate": 3e-4, "discount": 0.95}
_FEW_COPIES = {**_FEW_UPDATES, "target_interval": 100, "quantiles": 32}
# CQL with a layer less and fewer samples, and with half the batch below: its steps are 10 times cheaper.
_FEW_SAMPLES = {"hidden": (256, 256), "sampled_actions": 4, "actor_learning_rate": 3e-4}
_D4RL_BUDGET = {
    "": Budget(1000, evaluate_every=500, evaluation_episodes=10, headline_evaluations=2, batch_size=32),
    **dict.fromkeys(
        (*CLONING_METHODS, *DEEP_Q_METHODS, "rvs"),
        Budget(5000, 2500, evaluation_episodes=10, headline_evaluations=2, batch_size=256),
    ),
    **dict.fromkeys(
        VALUE_METHODS,
        Budget(10_000, 2500, evaluation_episodes=10, headline_evaluations=2, batch_size=256),
    ),
    "cql": Budget(10_000, 2500, evaluation_episodes=10, headline_evaluations=2, batch_size=128),
}


def _cpu_d4rl(task: str) -> TaskSettings:
    """The baselines' settings of the task, and what makes them quick."""
    quick = {
        **for_sequence_methods(_FEW_MINUTES),
        **_CLONING,
        **_FAST_VALUES,
        "cql": _FAST | _FEW_SAMPLES,
        "discrete-cql": _FEW_COPIES,
        "bcq": _FEW_COPIES,
        "nfq": _FEW_UPDATES,
        "rvs": _SUPERVISED | {"hidden": (512, 512)},
    }
    return TaskSettings(_D4RL_BUDGET, merged(BASELINES[task], quick))


# Set from what an update costs, three to four minutes a run, and from one trial each on Breakout recorded with another
# seed: after 3,000 updates BC has hardly begun to tell frames apart and hits nothing, after 6,000 it returns balls.
_CPU_ATARI = TaskSettings(
    budget={
        "": Budget(1000, evaluate_every=500, evaluation_episodes=5, headline_evaluations=2, batch_size=16),
        **dict.fromkeys(
            CLONING_METHODS,
            Budget(6000, evaluate_every=1500, evaluation_episodes=5, headline_evaluations=2, batch_size=32),
        ),
        **dict.fromkeys(
            DEEP_Q_METHODS,
            Budget(3000, evaluate_every=1500, evaluation_episodes=5, headline_evaluations=2, batch_size=32),
        ),
    },
    overrides={
        **dict.fromkeys(LANGUAGE_MODEL_METHODS, ATARI_LAMO | _FEW_MINUTES),
        "dt": ATARI_DT | {"layers": 3} | _FEW_MINUTES,
        "dt-matched": ATARI_DT | _FEW_MINUTES,
        **dict.fromkeys(CLONING_METHODS, ATARI_BC | _SUPERVISED),
        "discrete-cql": ATARI_DISCRETE_CQL | _FEW_COPIES,
        "bcq": ATARI_BCQ | _FEW_COPIES,
        "nfq": ATARI_NFQ | _FEW_UPDATES,
    },
)

# Language models read trajectories at the scale of their words: chosen on other recordings and seeds, by LaMo's
# held-out error (docs/offline.md, `make input-scale`).
_WORDS = {method: {"input_scale": "words"} for method in LANGUAGE_MODEL_METHODS}


def _at_words_scale(settings: TaskSettings) -> TaskSettings:
    return replace(settings, overrides=merged(settings.overrides, _WORDS))


CPU: dict[str, TaskSettings] = {
    "reacher2d": _at_words_scale(_CPU_REACHER2D),
    **{task: _at_words_scale(_cpu_d4rl(task)) for task in (*LOCOMOTION, *KITCHEN, IMPORTED)},
    **dict.fromkeys(ATARI, _at_words_scale(_CPU_ATARI)),
}
