"""Networks that several algorithms share."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .dropout import Dropout
from .onednn import Linear, linear, pays
from .policy import Spec


def mlp(sizes: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Linear layers of the given sizes with ReLU between them, each followed by dropout if there is any."""
    between: list[Callable[[], nn.Module]] = [nn.ReLU]
    if dropout:
        between.append(lambda: Dropout(dropout))
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [Linear(inputs, outputs), *(make() for make in between)]
    return nn.Sequential(*layers[: -len(between)])


Pairs = Sequence[tuple[Tensor, Tensor]]
Multiply = Callable[[Tensor, Tensor, Tensor], Tensor]


class Ensemble(nn.Module):
    """N multi-layer perceptrons of one shape, evaluated as stacked matrix products.

    Each member is initialised as `nn.Linear` would be. `frozen=True` computes the same values from detached weights, so
    that an actor's loss passes through the critic without moving it. With `layer_norm`, each ReLU is followed by a
    LayerNorm of each member's own.
    """

    def __init__(self, members: int, sizes: Sequence[int], layer_norm: bool = False) -> None:
        super().__init__()
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for inputs, outputs in pairwise(sizes):
            bound = 1.0 / math.sqrt(inputs)
            self.weights.append(nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound)))
            self.biases.append(nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound)))
        hidden = sizes[1:-1] if layer_norm else ()
        self.gains = nn.ParameterList(nn.Parameter(torch.ones(members, 1, width)) for width in hidden)
        self.shifts = nn.ParameterList(nn.Parameter(torch.zeros(members, 1, width)) for width in hidden)

    def forward(self, inputs: Tensor, frozen: bool = False, members: int | None = None) -> Tensor:
        """Map inputs (B, in) to outputs (N, B, out); with `members`, those of the first `members` of the N."""

        def used(parameter: Tensor) -> Tensor:
            return (parameter.detach() if frozen else parameter)[:members]

        layers = [(used(weight), used(bias)) for weight, bias in zip(self.weights, self.biases, strict=True)]
        norms = [(used(gain), used(shift)) for gain, shift in zip(self.gains, self.shifts, strict=True)]
        count = len(layers[0][0])
        if not any(pays(inputs, weight[0]) for weight, _ in layers):
            return _network(inputs.expand(count, -1, -1), layers, norms, torch.baddbmm)

        def only(member: int, pairs: Pairs) -> Pairs:
            return [(first[member], second[member]) for first, second in pairs]

        return torch.stack([_network(inputs, only(n, layers), only(n, norms), _product) for n in range(count)])


def _product(bias: Tensor, inputs: Tensor, weight: Tensor) -> Tensor:
    """Compute `torch.baddbmm` for one member."""
    return linear(inputs, weight.T, bias[0])


def _network(hidden: Tensor, layers: Pairs, norms: Pairs, product: Multiply) -> Tensor:
    """Apply linear layers with ReLU between them, and norms (gains and shifts) after it where there are any.

    `product` maps a bias, inputs and a weight to inputs @ weight + bias.
    Shapes: hidden (..., B, in), weights (..., in, out), biases, gains and shifts (..., 1, out).
    """
    for layer, (weight, bias) in enumerate(layers):
        hidden = product(bias, hidden, weight)
        if layer < len(layers) - 1:
            hidden = F.relu(hidden)
        if layer < len(norms):
            gain, shift = norms[layer]
            hidden = torch.addcmul(shift, F.layer_norm(hidden, hidden.shape[-1:], eps=1e-6), gain)
    return hidden


class UpdateCount(nn.Module):
    """The number of optimiser steps done: a tensor for the checkpoint, and a number that no step has to wait for.

    Count in `Policy.after_update`, not in a loss: a step may compute its loss in several parts.
    """

    steps: Tensor  # () int64

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.done = 0
        self.register_load_state_dict_post_hook(UpdateCount._recount)  # type: ignore[no-untyped-call]

    @staticmethod
    def _recount(module: "UpdateCount", _: object) -> None:
        module.done = int(module.steps)

    def add(self) -> None:
        """Count one more step."""
        self.steps += 1
        self.done += 1


@torch.no_grad()
def move_towards(target: nn.Module, source: nn.Module, rate: float) -> None:
    """Move the share `rate` of the way from a target network's parameters to their source's."""
    for parameter, moved in zip(target.parameters(), source.parameters(), strict=True):
        parameter.lerp_(moved, rate)


@torch.no_grad()
def copy_all(weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Copy a checkpoint's tensors, "policy.NAME", into weights of those names.

    A `KeyError` for one that is missing, a `ValueError` for one of another shape.
    """
    for name, weight in weights.items():
        tensor = tensors[f"policy.{name}"]
        if tensor.shape != weight.shape:
            raise ValueError(f"{name} is {tuple(tensor.shape)}, expected {tuple(weight.shape)}")
        weight.copy_(tensor)


class FrameEncoder(nn.Module):
    """The three convolutions of deep Q-learning (Mnih et al. 2015), applied to every step's stack of frames.

    A stack of F frames of 84 x 84 becomes 64 maps of 7 x 7, then `width` numbers. Greys are from 0 to 1, less that of
    the background, the commonest one in the data. Published networks take them as they are, which is the same for a
    black background. With a bright one, as in Pong, learning rates of 0.0003 and more move all weights of a filter
    the same way, and within a few hundred steps most filters are zero on every frame, for good. Both scales can
    represent the same functions: the background only shifts the biases.
    """

    background: Tensor  # ()

    def __init__(self, spec: Spec, width: int) -> None:
        super().__init__()
        self.frames = spec.view.frames
        self.register_buffer("background", torch.tensor(spec.background))
        self.convolutions = nn.Sequential(
            nn.Conv2d(self.frames, 32, kernel_size=8, stride=4),
            nn.ReLU(),
            nn.Conv2d(32, 64, kernel_size=4, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, 64, kernel_size=3),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.project = Linear(64 * 7 * 7, width)

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames (B, F - 1 + K, 84, 84) uint8 to (B, K, width), one row for each of the K steps."""
        levels = frames.to(self.project.weight.dtype).div_(255.0).sub_(self.background)
        stacks = levels.unfold(1, self.frames, 1)  # (B, K, 84, 84, F), a view
        images = stacks.flatten(0, 1).contiguous().movedim(-1, 1)  # channels last, which convolutions are faster on
        return torch.as_tensor(self.project(self.convolutions(images))).view(*stacks.shape[:2], -1)


def observation_network(spec: Spec, hidden: Sequence[int], outputs: int) -> nn.Sequential:
    """A network from normalised observations (B, S), or from frames (B, F, 84, 84), to (B, outputs).

    Images go through the convolutions first, whose output is as wide as the first hidden layer.
    """
    if not spec.view.frames:
        return mlp((spec.observation_dim, *hidden, outputs))
    encoder = FrameEncoder(spec, hidden[0])
    return nn.Sequential(encoder, nn.Flatten(), nn.ReLU(), mlp((*hidden, outputs)))
