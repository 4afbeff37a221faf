"""Measures of what a policy still has in common with pi*, on steps of FAR that pi* was trained on.

Shapes: M steps, W width of a layer.
"""

import torch
from torch import Tensor

from ...baselines.online.actors import Actor
from ...baselines.online.transitions import Transitions

MOST = 1000  # steps that are looked at


@torch.no_grad()
def meters(actor: Actor, teacher: Actor, memory: Transitions) -> dict[str, float]:
    """KL(pi*, pi), log likelihood under pi of the recorded actions in nats a step, and linear CKA of each layer."""
    seen = memory.rows(slice(0, MOST))
    ours = actor.distribution(seen.observations, seen.stages)
    theirs = teacher.distribution(seen.observations, seen.stages)
    layers = zip(actor.features(seen.observations), teacher.features(seen.observations), strict=True)
    return {
        "kl_to_pretrained": float(theirs.kl(ours).mean()),
        "log_likelihood": float(ours.log_prob(seen.actions).mean()),
    } | {f"cka_{number}": linear_cka(mine[0], other[0]) for number, (mine, other) in enumerate(layers, 1)}


def linear_cka(first: Tensor, second: Tensor) -> float:
    """Linear centred kernel alignment of two layers (M, W) on the same inputs: 1 for the same up to a rotation.

    Kornblith et al. 2019 (arXiv 1905.00414), Section 3; 0 where a layer doesn't vary.
    """
    first = (first - first.mean(0)).double()
    second = (second - second.mean(0)).double()
    norms = torch.linalg.norm(first.T @ first) * torch.linalg.norm(second.T @ second)
    return float(torch.linalg.norm(first.T @ second).square() / norms) if norms > 0 else 0.0
