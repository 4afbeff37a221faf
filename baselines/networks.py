"""Networks that several algorithms share."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .policy import Spec


def mlp(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers of the given sizes with ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Ensemble(nn.Module):
    """N multi-layer perceptrons of one shape, evaluated as stacked matrix products.

    Each member is initialised as `nn.Linear` would be. `frozen=True` computes the same values from detached weights, so
    that an actor's loss passes through the critic without moving it.
    """

    def __init__(self, members: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for inputs, outputs in pairwise(sizes):
            bound = 1.0 / math.sqrt(inputs)
            self.weights.append(nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound)))
            self.biases.append(nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound)))

    def forward(self, inputs: Tensor, frozen: bool = False) -> Tensor:
        """Map (B, in) to (N, B, out)."""
        hidden = inputs.expand(self.weights[0].shape[0], -1, -1)  # (N, B, in)
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if frozen:
                weight, bias = weight.detach(), bias.detach()
            hidden = torch.baddbmm(bias, hidden, weight)
            if layer < len(self.weights) - 1:
                hidden = F.relu(hidden)
        return hidden


class FrameEncoder(nn.Module):
    """The three convolutions of deep Q-learning (Mnih et al. 2015), applied to every step's stack of frames.

    A stack of F frames of 84 x 84 becomes 64 maps of 7 x 7, then `width` numbers.
    """

    def __init__(self, frames: int, width: int) -> None:
        super().__init__()
        self.frames = frames
        self.convolutions = nn.Sequential(
            nn.Conv2d(frames, 32, kernel_size=8, stride=4),
            nn.ReLU(),
            nn.Conv2d(32, 64, kernel_size=4, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, 64, kernel_size=3),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.project = nn.Linear(64 * 7 * 7, width)

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames (B, F - 1 + K, 84, 84) uint8 to (B, K, width), one row for each of the K steps."""
        stacks = frames.unfold(1, self.frames, 1).movedim(-1, 2)  # (B, K, F, 84, 84), a view
        batch, steps = stacks.shape[:2]
        levels = stacks.flatten(0, 1).to(self.project.weight.dtype) / 255.0
        return torch.as_tensor(self.project(self.convolutions(levels))).view(batch, steps, -1)


def observation_network(spec: Spec, hidden: Sequence[int], outputs: int) -> nn.Sequential:
    """From normalised observations (B, S), or from frames (B, F, 84, 84), to (B, outputs).

    Images go through the convolutions first, whose output is as wide as the first hidden layer.
    """
    if not spec.view.frames:
        return mlp((spec.observation_dim, *hidden, outputs))
    encoder = FrameEncoder(spec.view.frames, hidden[0])
    return nn.Sequential(encoder, nn.Flatten(), nn.ReLU(), mlp((*hidden, outputs)))
