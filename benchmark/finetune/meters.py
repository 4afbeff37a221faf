"""Measures of what a policy still has in common with pi*, on steps of FAR that pi* was trained on.

Shapes: M steps.
"""

import torch

from ...baselines.online.actors import Actor
from ...baselines.online.retention import Memory
from ...baselines.representations import linear_cka

MOST = 1000  # steps that are looked at


@torch.no_grad()
def meters(actor: Actor, teacher: Actor, memory: Memory) -> dict[str, float]:
    """KL(pi*, pi), log likelihood under pi of the recorded actions in nats a step, and linear CKA of each layer."""
    seen = memory.rows(slice(0, max(1, MOST // memory.length)))
    ours = actor.distribution(seen.observations, seen.stages)
    theirs = teacher.distribution(seen.observations, seen.stages)
    layers = zip(actor.features(seen.observations), teacher.features(seen.observations), strict=True)
    return {
        "kl_to_pretrained": float(theirs.kl(ours).mean()),
        "log_likelihood": float(ours.log_prob(seen.actions).mean()),
    } | {f"cka_{number}": linear_cka(mine[0], other[0]) for number, (mine, other) in enumerate(layers, 1)}
