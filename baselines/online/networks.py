"""Multi-layer perceptrons with an output head a stage; several of one shape are computed in one pass.

Shapes: N networks, B batch, K stages.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..fields import Count

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "tanh": torch.tanh,
    "leaky-relu": F.leaky_relu,
}


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of an agent's networks; each agent has its own defaults."""

    hidden: tuple[Count, ...]  # widths of the hidden layers; none: a linear map
    activation: Literal["relu", "tanh", "leaky-relu"]
    layer_norm: bool  # after the first layer, before its activation
    head_a_stage: bool  # an output layer for each stage; otherwise one for all, and observations have to tell the stage


class StackedNetwork(nn.Module):
    """N multi-layer perceptrons of one shape, computed as stacked matrix products.

    Each layer of each network is initialised as `nn.Linear` would be.
    """

    def __init__(self, count: int, inputs: int, outputs: int, heads: int, config: NetworkConfig) -> None:
        super().__init__()
        self.count = count
        self.heads = heads
        self.outputs = outputs
        self.activation = ACTIVATIONS[config.activation]
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for rows, columns in pairwise((inputs, *config.hidden, heads * outputs)):
            bound = 1.0 / math.sqrt(rows)
            self.weights.append(nn.Parameter(torch.empty(count, rows, columns).uniform_(-bound, bound)))
            self.biases.append(nn.Parameter(torch.empty(count, 1, columns).uniform_(-bound, bound)))
        self.norms = nn.ParameterList()  # gain and shift of the LayerNorm after the first layer
        if config.layer_norm and config.hidden:
            self.norms.append(nn.Parameter(torch.ones(count, 1, config.hidden[0])))
            self.norms.append(nn.Parameter(torch.zeros(count, 1, config.hidden[0])))

    def forward(self, inputs: Tensor, stages: Tensor) -> Tensor:
        """Map (B, in) or (N, B, in) and stages (B,) or (N, B) to (N, B, out), each row by its stage's head."""
        return self.head(self.trunk(inputs)[-1], stages)

    def trunk(self, inputs: Tensor) -> list[Tensor]:
        """Return the inputs, (B, in) or (N, B, in), then the outputs of each hidden layer: (N, B, width) each."""
        layers = [inputs.expand(self.count, -1, -1) if inputs.ndim == 2 else inputs]
        for number, (weight, bias) in enumerate(self._layers()[:-1]):
            hidden = torch.baddbmm(bias, layers[-1], weight)
            if number == 0 and len(self.norms):
                gain, shift = self.norms
                hidden = torch.addcmul(shift, F.layer_norm(hidden, hidden.shape[-1:]), gain)
            layers.append(self.activation(hidden))
        return layers

    def _layers(self) -> list[tuple[Tensor, Tensor]]:
        """Return weights and biases as a list: a ParameterList is slow, and a slice of one loses its gradients."""
        pairs = zip(self.weights._parameters.values(), self.biases._parameters.values(), strict=True)
        return [(weight, bias) for weight, bias in pairs if weight is not None and bias is not None]

    def head(self, hidden: Tensor, stages: Tensor, networks: slice | None = None) -> Tensor:
        """The output layer of all networks, or of some: (N, B, width) to (N, B, out), each row by its stage's head."""
        weights = self.weights[-1]
        biases = self.biases[-1]
        if networks is not None:
            weights = weights[networks]
            biases = biases[networks]
        outputs = torch.baddbmm(biases, hidden, weights)
        if self.heads == 1:
            return outputs
        each = outputs.view(*outputs.shape[:2], self.heads, self.outputs)  # (N, B, K, out)
        chosen = stages.expand(each.shape[:2])[..., None, None].expand(-1, -1, 1, self.outputs)
        return each.gather(2, chosen).squeeze(2)

    def head_columns(self, stage: int) -> slice:
        """The columns of the last weights and biases that make a stage's head."""
        place = stage if self.heads > 1 else 0
        return slice(place * self.outputs, (place + 1) * self.outputs)


def stacked_network(networks: Sequence[StackedNetwork]) -> StackedNetwork:
    """Copies of N single networks, of one shape, as one."""
    found = copy.deepcopy(networks[0])
    found.count = len(networks)
    for stacked, *own in zip(found.parameters(), *(network.parameters() for network in networks), strict=True):
        stacked.data = torch.cat([parameter.data for parameter in own])
    return found
