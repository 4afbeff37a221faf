"""The diagonal of a policy's Fisher information: how strongly each parameter changes the policy.

Shapes: M states, S observation.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap
from torch.nn import functional as F

from .actors import Actor
from .distributions import Categorical

CHUNK = 64  # states at a time: each has a gradient of every parameter by every term


def fisher_information(
    actor: Actor, held: Mapping[str, nn.Parameter], observations: Tensor, stages: Tensor
) -> dict[str, Tensor]:
    """Mean over states (M, S) and (M,) of E[(d log pi(a|s))^2], a drawn from pi, of each parameter in `held`.

    The expectation over actions is exact (`Distribution.fisher_terms`).
    """
    inputs = {name: parameter.detach() for name, parameter in held.items()}
    rest = {name: parameter.detach() for name, parameter in actor.named_parameters() if name not in held}

    def terms(parameters: dict[str, Tensor], observation: Tensor, stage: Tensor) -> Tensor:
        policy = functional_call(actor, parameters | rest, (observation[None], stage[None]))
        found: Tensor = policy.fisher_terms()  # (N, 1, P) or (1, P); seeds have no parameter in common
        return found.flatten(0, -2).sum(0)

    each = vmap(jacrev(terms), in_dims=(None, 0, 0))
    total = {name: torch.zeros_like(parameter) for name, parameter in inputs.items()}
    for rows, numbers in zip(torch.split(observations, CHUNK), torch.split(stages, CHUNK), strict=True):
        for name, gradients in each(inputs, rows, numbers).items():  # (m, P, *shape)
            total[name] += gradients.square().sum((0, 1))
    return {name: summed / len(observations) for name, summed in total.items()}


def batch_fisher(
    actor: Actor, held: Mapping[str, nn.Parameter], observations: Tensor, stages: Tensor, batch_size: int
) -> dict[str, Tensor]:
    """Mean over batches of the squared gradient of a batch's cross entropy to the likeliest action, by what is `held`.

    This is the form of the paper's NetHack code, for discrete actions. It is smaller than the Fisher information, since
    the gradients of a batch's states are averaged before they are squared.
    """
    total = {name: torch.zeros_like(parameter) for name, parameter in held.items()}
    batches = torch.split(torch.arange(len(stages)), batch_size)
    for rows in batches:
        policy = actor.distribution(observations[rows], stages[rows])
        assert isinstance(policy, Categorical), "continuous actions have no likeliest one to be compared with"
        loss = F.nll_loss(policy.log_probabilities.flatten(0, -2), policy.mode().flatten())
        gradients = torch.autograd.grad(loss, list(held.values()))
        for summed, gradient in zip(total.values(), gradients, strict=True):
            summed += gradient.square() / len(batches)
    return total
