"""Small networks evaluated in numpy, and the scales of `make_spec`: what losses by hand are computed from.

Shapes: B batch, S observation, A action.
"""

import numpy as np
from torch import Tensor, nn

from lamobench.baselines.networks import Ensemble
from lamobench.datasets.trajectories import Array


def normalised(observations: Tensor) -> Array:
    """Observations (B, S), normalised by the moments of `make_spec`."""
    return (observations.numpy() - np.array([0.5, -1.0, 0.0])) / np.array([2.0, 0.5, 1.0])


def unit(actions: Tensor) -> Array:
    """Actions (B, A) from the boxes (-2, 2) and (-1, 3) to [-1, 1]."""
    return (actions.numpy() - np.array([0.0, 1.0])) / 2.0


def action(network: nn.Sequential, states: Array) -> Array:
    """Actions (B, A) of a deterministic actor."""
    for layer in network:
        if isinstance(layer, nn.Linear):
            states = states @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        else:
            states = np.maximum(states, 0.0)
    return np.tanh(states)


def value(critic: Ensemble, member: int, states: Array, actions: Array) -> Array:
    """Values (B,) of one critic, LayerNorm after each ReLU if it has any."""
    parts = (critic.weights, critic.biases, critic.gains, critic.shifts)
    weights, biases, gains, shifts = ([p[member].detach().numpy() for p in part] for part in parts)
    hidden = np.concatenate([states, actions], axis=1)
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        hidden = hidden @ weight + bias
        if layer < len(weights) - 1:
            hidden = np.maximum(hidden, 0.0)
        if layer < len(gains):
            centred = hidden - hidden.mean(axis=1, keepdims=True)
            hidden = centred / np.sqrt(centred.var(axis=1, keepdims=True) + 1e-6) * gains[layer] + shifts[layer]
    return hidden[:, 0]


def lower_value(critic: Ensemble, states: Array, actions: Array) -> Array:
    """The lower (B,) of both critics' values."""
    return np.minimum(*(value(critic, member, states, actions) for member in (0, 1)))


def reached(policy: nn.Module, loss: Tensor) -> set[str]:
    """The parts of a policy whose parameters a loss has gradients for."""
    policy.zero_grad(set_to_none=True)
    loss.backward()
    return {name.split(".")[0] for name, p in policy.named_parameters() if p.grad is not None and p.grad.any()}
