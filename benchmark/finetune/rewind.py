"""The control `rewind`: fine-tune as usual, then go a part of the way back to pi*. Training retains nothing.

It asks whether interpolated weights have the best of both (as WiSE-FT, Wortsman et al. 2022, arXiv 2109.01903).
"""

import copy

import numpy as np
import torch

from ...baselines.online.actors import Actor
from ...datasets.environments.stages import StagedEnvironment
from .config import FinetuneConfig
from .evaluation import play

SHARES = np.linspace(0.0, 1.0, 11)  # of the way from pi* to where fine-tuning went
FEW_SHARES = np.linspace(0.0, 1.0, 5)  # of them, where episodes are dear
TUNING = 3  # tells the stream of the starts on which the share is chosen from others of a run


def rewound(
    actor: Actor, teacher: Actor, environment: StagedEnvironment, config: FinetuneConfig, evaluation: int
) -> Actor:
    """theta* + share (theta - theta*), of the share with most successes of the whole task, on starts of its own.

    If several shares are equally good, the largest is taken: the smallest step back.
    """
    if not evaluation:
        return actor  # which is pi* still
    shares = FEW_SHARES if environment.costly else SHARES
    draw = np.random.default_rng([config.seed, evaluation, TUNING])
    seeds = draw.integers(2**32, size=config.evaluation_episodes)
    tried = [(float(play(between(actor, teacher, s), environment, seeds).success.mean()), float(s)) for s in shares]
    return between(actor, teacher, max(tried)[1])


@torch.no_grad()
def between(actor: Actor, teacher: Actor, share: float) -> Actor:
    """A copy of an actor that is the share of the way from the teacher to it."""
    moved = copy.deepcopy(actor)
    theirs = dict(teacher.named_parameters())
    for name, parameter in moved.named_parameters():
        parameter.copy_(torch.lerp(theirs[name], parameter, share))
    return moved
