"""The methods of the fine-tuning track, a row each."""

from functools import partial

from ..method import Cost, Method

ROUND = Cost(300.0, 0.4, 0.01)  # GridRelay's 2,048 steps and what is learned from them, on a busy core

_control = partial(
    Method,
    policy="lamobench.baselines.online.retention:Retention",
    config="lamobench.baselines.online.retention:RetentionConfig",
    family="control",
    track="finetune",
    on_vectors=ROUND,
)
_retention = partial(
    Method,
    family="retention",
    track="finetune",
    on_vectors=ROUND,
)

ROWS = [
    _retention(
        "finetune",
        "Fine-tuning",
        "pi* trained further, as if it knew nothing",
        policy="lamobench.baselines.online.retention:Retention",
        config="lamobench.baselines.online.retention:RetentionConfig",
        colour="#DE7900",
        dark="#d57d00",
        marker="s",
    ),
    _retention(
        "finetune-bc",
        "Fine-tuning + BC",
        "fine-tuning, held to pi* on states that pi* was trained on",
        policy="lamobench.baselines.online.retention:BehavioralCloning",
        config="lamobench.baselines.online.retention:BehavioralCloningConfig",
        short="BC",
        colour="#0B4F9E",
        dark="#5283bf",
        marker="o",
    ),
    _retention(
        "finetune-ks",
        "Fine-tuning + KS",
        "kickstarting: fine-tuning, held to pi* on states that it visits itself",
        policy="lamobench.baselines.online.retention:Kickstarting",
        config="lamobench.baselines.online.retention:KickstartingConfig",
        short="KS",
        colour="#3D9BD9",
        dark="#b4dcff",
        marker="o",
        dashes=(5.0, 1.6),
    ),
    _retention(
        "finetune-ewc",
        "Fine-tuning + EWC",
        "elastic weights: fine-tuning, each weight pulled back the more, the more it matters to pi*",
        policy="lamobench.baselines.online.retention:ElasticWeights",
        config="lamobench.baselines.online.retention:ElasticWeightsConfig",
        short="EWC",
        colour="#A23B72",
        dark="#c43b34",
        marker="D",
    ),
    _retention(
        "finetune-em",
        "Fine-tuning + EM",
        "episodic memory: a share of the replay buffer holds what pi* did, for good",
        policy="lamobench.baselines.online.retention:EpisodicMemory",
        config="lamobench.baselines.online.retention:EpisodicMemoryConfig",
        short="EM",
        colour="#780F00",
        dark="#f0ff2d",
        marker="v",
        discrete=False,
    ),
    _retention(
        "finetune-l2-init",
        "Fine-tuning + L2",
        "control of EWC: all weights pulled back to pi* alike",
        policy="lamobench.baselines.online.retention:Anchored",
        config="lamobench.baselines.online.retention:AnchoredConfig",
        short="L2",
        colour="#871EF0",
        dark="#9145ea",
        marker="d",
        dashes=(1.0, 1.0),
    ),
    _control(
        "scratch",
        "Scratch",
        "control: the same agent without pi*",
        colour="#333333",
        dark="#aabecb",
        marker="^",
    ),
    _control(
        "frozen",
        "Frozen",
        "control: pi* as it is, never trained",
        colour="#998844",
        dark="#b5a550",
        marker="P",
    ),
    _control(
        "rewind",
        "Rewind",
        "control: fine-tuning, and weights taken a part of the way back to pi*",
        colour="#1A8A5F",
        dark="#67d2ad",
        marker="<",
    ),
    _control(
        "warm-up",
        "Warm-up",
        "control: the critic learns first, from what pi* does",
        colour="#CC3311",
        dark="#9d5b56",
        marker=">",
    ),
]
