"""Observations, actions and rewards of environments with stages, as tensors.

Shapes: B batch, S observation, A action, K stages.
"""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from .distributions import Distribution


@dataclass(frozen=True)
class StagedSpec:
    """The sizes of an environment, from which an agent is built."""

    observation_dim: int  # S
    action_dim: int  # A, or the number of actions where they are discrete
    stages: int  # K
    discrete: bool = False  # actions are numbers from 0 to A - 1; else they fill [-1, 1]^A


@dataclass(frozen=True)
class Transitions:
    """Steps of stages: observation, action, reward, next observation, and whether value ends there."""

    observations: Tensor  # (B, S)
    actions: Tensor  # (B, A) in [-1, 1], or (B,) int64
    rewards: Tensor  # (B,)
    next_observations: Tensor  # (B, S): the stage's own last one where it ended, not the next stage's first
    dones: Tensor  # (B,) float: 1 where no value is bootstrapped: at a stage's success and at its time-out
    stages: Tensor  # (B,) int64, from 0 to K - 1

    def __len__(self) -> int:
        return len(self.rewards)

    def rows(self, numbers: Tensor | slice) -> "Transitions":
        """The rows of these numbers, in their order."""
        return replace(self, **{field.name: getattr(self, field.name)[numbers] for field in fields(self)})


@dataclass(frozen=True)
class Visited:
    """States that the student visited, and its distributions there."""

    observations: Tensor  # (..., B, S)
    stages: Tensor  # (..., B) int64
    student: Distribution  # of (..., B); gradients flow through it
    weights: Tensor | None = None  # (..., B): 1 for a state that counts, 0 for padding; None: all count

    def mean(self, values: Tensor) -> Tensor:
        """The mean (...) of values (..., B) over the states that count."""
        if self.weights is None:
            return values.mean(-1)
        return (values * self.weights).sum(-1) / self.weights.sum(-1)


def concatenated(parts: list[Transitions]) -> Transitions:
    """All parts, one after the other."""
    names = [field.name for field in fields(Transitions)]
    return Transitions(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})
