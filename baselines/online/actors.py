"""Actors: from observations and stages to distributions over actions.

Shapes: N seeds, B batch, S observation, A action, K stages.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...datasets.errors import UserError
from .distributions import Categorical, Distribution, SquashedGaussian
from .networks import NetworkConfig, StackedNetwork, stacked_network
from .transitions import StagedSpec


class Actor(nn.Module):
    """One trunk with one head a stage, or with one head for all; N seeds are computed at once.

    Discrete actions have a logit each; of two actions, only the second has one, as in a sigmoid. The logarithm of a
    standard deviation is clamped here, so that losses, divergences and Fisher information all use the same value.
    """

    def __init__(
        self,
        spec: StagedSpec,
        config: NetworkConfig,
        log_std_range: tuple[float, float] = (-5.0, 2.0),
    ) -> None:
        super().__init__()
        low, high = log_std_range
        if not low < high:
            raise UserError(f"log_std_range is [{low:g}, {high:g}]; give two numbers, the lower one first")
        self.discrete = spec.discrete
        self.log_std_range = log_std_range
        self.seeds = 1  # see `stacked_actor`
        self.two = spec.discrete and spec.action_dim == 2
        outputs = spec.action_dim if spec.discrete else 2 * spec.action_dim
        heads = spec.stages if config.head_a_stage else 1
        self.network = StackedNetwork(1, spec.observation_dim, 1 if self.two else outputs, heads, config)

    @property
    def heads(self) -> int:
        """Number of heads: one a stage, or one for all."""
        return self.network.heads

    def forward(self, observations: Tensor, stages: Tensor) -> Distribution:
        """Return the `distribution`."""
        return self.distribution(observations, stages)

    def distribution(self, observations: Tensor, stages: Tensor) -> Distribution:
        """Return the distribution at observations (B, S) and stages (B,), or (N, B, S) and (N, B) of N seeds."""
        outputs = self.network(observations, stages)
        if observations.ndim == 2 and self.seeds == 1:
            outputs = outputs.squeeze(0)
        if self.discrete:
            logits = torch.cat([torch.zeros_like(outputs), outputs], -1) if self.two else outputs
            return Categorical.of_logits(logits)
        mean, log_std = outputs.chunk(2, -1)
        return SquashedGaussian(mean, log_std.clamp(*self.log_std_range))

    def features(self, observations: Tensor) -> list[Tensor]:
        """Return the outputs of each hidden layer for observations (B, S), from the first on: (N, B, width) each."""
        return self.network.trunk(observations)[1:]

    def trunk(self) -> dict[str, nn.Parameter]:
        """The parameters that all stages share, by name: all of them where there is one head."""
        heads = self.stage_heads()
        return {name: parameter for name, parameter in self.named_parameters() if name not in heads}

    def stage_heads(self) -> dict[str, nn.Parameter]:
        """The parameters of the heads, by name, with a stage's in its `head_columns`; none where there is one head."""
        if self.heads == 1:
            return {}
        last = len(self.network.weights) - 1
        return {f"network.weights.{last}": self.network.weights[-1], f"network.biases.{last}": self.network.biases[-1]}

    @torch.no_grad()
    def shrink_head(self, stage: int, scale: float) -> None:
        """Multiply the weights of a stage's head and zero its biases, so that the policy there is near its widest."""
        columns = self.network.head_columns(stage)
        self.network.weights[-1][..., columns] *= scale
        self.network.biases[-1][..., columns] = 0.0


def stacked_actor(actors: Sequence[Actor]) -> Actor:
    """Copies of the actors of N single seeds, of one shape, as one."""
    found = copy.deepcopy(actors[0])
    found.network = stacked_network([actor.network for actor in actors])
    found.seeds = len(actors)
    return found
