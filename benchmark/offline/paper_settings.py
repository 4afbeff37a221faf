"""The published settings. What is not named is each method's default, which its config class gives a source for."""

from dataclasses import replace
from typing import Any

from .settings import (
    ATARI,
    CLONING_METHODS,
    DEEP_Q_METHODS,
    IMPORTED,
    KITCHEN,
    LAMO_METHODS,
    LANGUAGE_MODEL_METHODS,
    LOCOMOTION,
    VALUE_METHODS,
    Budget,
    TaskSettings,
    for_sequence_methods,
    merged,
)

# Reacher2d: 37,500 steps, scored over the last 12,500 (LaMo, Appendix D), K = 5 (Table 6).
_PAPER_REACHER2D = Budget(steps=37_500, evaluate_every=2500, evaluation_episodes=20, headline_evaluations=5)
# Everything else of D4RL: 100,000 steps, scored over the last 20,000 (Section 5.1). LaMo does not say how long its
# baselines trained: theirs are CORL's million steps, with as many evaluations. RvS: 2000 epochs of a million steps in
# batches of 16,384 (its authors' `gym_rvs_r.cfg`).
_MILLION = Budget(1_000_000, 25_000, 20, headline_evaluations=8, batch_size=256)
_PAPER_D4RL = {
    "": Budget(steps=100_000, evaluate_every=2500, evaluation_episodes=20, headline_evaluations=8),
    **dict.fromkeys((*CLONING_METHODS, *VALUE_METHODS), _MILLION),
    **dict.fromkeys(DEEP_Q_METHODS, replace(_MILLION, batch_size=64)),  # as BCQ's code for vectors
    "rebrac": replace(_MILLION, batch_size=1024),  # its authors' code
    "rvs": Budget(120_000, 3000, 20, headline_evaluations=8, batch_size=16_384),
}
# Kitchen: ReBRAC's batches on Adroit; RvS's 50 epochs of 2.45 million pairs (its authors' `kitchen_rvs_g.cfg`).
_PAPER_KITCHEN = _PAPER_D4RL | {
    "rebrac": _MILLION,
    "rvs": Budget(480_000, 12_000, 20, headline_evaluations=8, batch_size=256),
}
_LINEAR = {"embedding": "linear", "head": "linear"}
_HOPPER_LAMO = dict.fromkeys(LAMO_METHODS, _LINEAR)  # LaMo, Appendix B


def _rebrac(actor_penalty: float, critic_penalty: float) -> dict[str, dict[str, float]]:
    return {"rebrac": {"actor_penalty": actor_penalty, "critic_penalty": critic_penalty}}


# What tasks change of the defaults of the baselines, in both profiles. Locomotion: CORL's `configs/offline` for the
# `medium` data sets, whatever the data set at hand, so that nothing is chosen by its scores. CORL's IQL on hopper has a
# deterministic actor too; ours is its authors'.
_LOCOMOTION_BASELINES: dict[str, dict[str, dict[str, Any]]] = {
    "hopper": {
        "cql": {"scale_rewards": True},
        "iql": {"scale_rewards": True, "target_rate": 0.001},
        **_rebrac(0.01, 0.01),
    },
    "halfcheetah": _rebrac(0.001, 0.01),
    "walker2d": _rebrac(0.05, 0.1),
}
# Kitchen. CQL: Appendix F (Lagrange, tau = 5) and its code's alpha with it. IQL: its authors' `kitchen_config.py`. RvS:
# its authors' `kitchen_rvs_g.cfg`. ReBRAC has none: those of Adroit's door-human, few demonstrations too.
_KITCHEN_BASELINES: dict[str, dict[str, Any]] = {
    "cql": {"target_gap": 5.0, "conservative_weight": 1.0},
    "iql": {"temperature": 0.5, "dropout": 0.1},
    "rebrac": {
        "actor_penalty": 0.1,
        "critic_penalty": 0.1,
        "actor_learning_rate": 3e-4,
        "critic_learning_rate": 3e-4,
    },
    "rvs": {"condition": "goal", "dropout": 0.1},
}
# ReBRAC's penalties are published for its own data sets only: elsewhere the largest of locomotion's medium ones.
_OTHER_BASELINES = _rebrac(0.05, 0.1)
BASELINES: dict[str, dict[str, dict[str, Any]]] = {
    **dict.fromkeys(("reacher2d", "ant", IMPORTED), _OTHER_BASELINES),
    **_LOCOMOTION_BASELINES,
    **dict.fromkeys(KITCHEN, _KITCHEN_BASELINES),
}

# LaMo on Atari: Tables 6 and 7 (rank 32, batch 128, K 30) and its published code (alpha, dropout of the updates,
# clipping, linear head; timesteps added before the LayerNorm, returns as they are). Its controls and Wiki-RL share it.
# DT: Chen et al. 2021, Table 8 and code; its warm-up of 512 * 20 actions is three steps. BC: d3rlpy's. Discrete CQL,
# BCQ and NFQ: d3rlpy's reproductions, which are each method's defaults where they are not named.
ATARI_LAMO = {
    "context": 30,
    "head": "linear",
    "norm_before_time": False,
    "return_scale": 1.0,
    "lora_pairs": "joint",
    "lora_rank": 32,
    "lora_alpha": 32.0,
    "lora_dropout": 0.0,
    "gradient_clip": 1.0,
}
ATARI_DT = {
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
ATARI_BC = {"hidden": (512,), "learning_rate": 1e-3}
ATARI_DISCRETE_CQL = {"hidden": (512,)}
ATARI_BCQ = {
    "hidden": (512,),
    "quantiles": 200,
    "learning_rate": 5e-5,
    "adam_epsilon": 1e-2 / 32,
    "target_interval": 2000,
}
ATARI_NFQ = {"hidden": (512,)}
# LaMo does not say how long its baselines trained: d3rlpy's reproductions, like CQL's code, make 12.5 million updates.
_ATARI_DEEP_Q = Budget(12_500_000, 125_000, evaluation_episodes=5, headline_evaluations=20, batch_size=32)


def _paper_atari(learning_rate: float, weight_decay: float, steps: int = 100_000) -> TaskSettings:
    """Table 6's learning rate and weight decay; five episodes an evaluation, scored over the last 20 % of training."""
    evaluations = steps // 2500
    lamo = ATARI_LAMO | {"learning_rate": learning_rate, "weight_decay": weight_decay}
    return TaskSettings(
        budget={
            "": Budget(steps, 2500, evaluation_episodes=5, headline_evaluations=evaluations // 5, batch_size=128),
            **dict.fromkeys(DEEP_Q_METHODS, _ATARI_DEEP_Q),
        },
        overrides={
            **dict.fromkeys(LANGUAGE_MODEL_METHODS, lamo),
            "dt": ATARI_DT,
            "dt-matched": ATARI_DT,
            "discrete-cql": ATARI_DISCRETE_CQL,
            "bcq": ATARI_BCQ,
            "nfq": ATARI_NFQ,
            "bc": ATARI_BC,
            "bc-10": ATARI_BC,
        },
    )


PAPER: dict[str, TaskSettings] = {
    "reacher2d": TaskSettings(
        budget={
            "": _PAPER_REACHER2D,
            **dict.fromkeys((*CLONING_METHODS, *VALUE_METHODS, "rvs"), replace(_PAPER_REACHER2D, batch_size=256)),
        },
        overrides=merged(for_sequence_methods({"context": 5}), BASELINES["reacher2d"]),
    ),
    "hopper": TaskSettings(_PAPER_D4RL, merged(_HOPPER_LAMO, BASELINES["hopper"])),
    **{task: TaskSettings(_PAPER_D4RL, BASELINES[task]) for task in (*LOCOMOTION[1:], IMPORTED)},
    **{task: TaskSettings(_PAPER_KITCHEN, BASELINES[task]) for task in KITCHEN},
    "breakout": _paper_atari(1e-3, 1e-2, steps=50_000),
    "qbert": _paper_atari(1e-3, 1e-5),
    "pong": _paper_atari(3e-4, 1e-1),
    **dict.fromkeys(ATARI[3:], _paper_atari(1e-3, 1e-5)),  # none is published: Qbert's
}
