"""Vectorised sampling of training batches: K-step contexts and single transitions.

Shapes: B batch, K context, S observation, A action. Each sampler precomputes what it can once and then only gathers;
the data set is never copied. Indices come from the caller's NumPy generator, so a run's batches are the run's own.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from .fractions import Subset
from .trajectories import Array, Trajectories


class _Batch:
    def to(self, device: torch.device) -> Self:
        """The same batch on `device`."""
        moved = {name: tensor.to(device, non_blocking=True) for name, tensor in vars(self).items()}
        return type(self)(**moved)


@dataclass(frozen=True)
class ContextBatch(_Batch):
    """Windows of consecutive steps. Windows that reach an episode's end are padded with zeros on the right.

    Right padding needs no attention mask under causal attention and leaves every real step at the position it has
    during evaluation; the published code pads on the left.
    """

    observations: Tensor  # (B, K, S)
    actions: Tensor  # (B, K, A) float32, or (B, K) int64 for discrete actions
    returns_to_go: Tensor  # (B, K): undiscounted sum of the rewards from this step on
    timesteps: Tensor  # (B, K) int64: steps since the episode's start
    mask: Tensor  # (B, K) bool: True on real steps


@dataclass(frozen=True)
class TransitionBatch(_Batch):
    """Independent steps. `terminals` says that no value lies beyond; a timeout is not a terminal."""

    observations: Tensor  # (B, S)
    actions: Tensor  # (B, A) float32, or (B,) int64
    rewards: Tensor  # (B,)
    next_observations: Tensor  # (B, S)
    terminals: Tensor  # (B,) float32: 1 where the environment ended the episode


def returns_to_go(trajectories: Trajectories) -> Array:
    """(T,) float32: for each step, the undiscounted sum of rewards from it to its episode's end."""
    total = np.cumsum(np.asarray(trajectories.rewards, np.float64))
    at_end = np.repeat(total[trajectories.offsets[1:] - 1], trajectories.lengths)
    return (at_end - total + trajectories.rewards).astype(np.float32)


class _StepDraw:
    """Draws steps of a subset uniformly: an episode with probability proportional to its length, then a step in it."""

    def __init__(self, subset: Subset) -> None:
        data = subset.trajectories
        self.starts, lengths = np.asarray(data.offsets[subset.episodes]), data.lengths[subset.episodes]
        self.ends = self.starts + lengths
        self.cumulative = np.cumsum(lengths)

    def draw(self, batch_size: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Flat index (B,) of each drawn step and row (B,) of its episode in the subset."""
        ordinal = rng.integers(self.cumulative[-1], size=batch_size)
        row = np.searchsorted(self.cumulative, ordinal, side="right")
        return self.ends[row] - (self.cumulative[row] - ordinal), row


class ContextSampler:
    """Samples `ContextBatch`es of K steps; a window starts at each step of the subset with equal probability."""

    def __init__(self, subset: Subset, context: int) -> None:
        self.data, self.context = subset.trajectories, context
        self._steps = _StepDraw(subset)
        self._returns_to_go = returns_to_go(self.data)

    def sample(self, batch_size: int, rng: np.random.Generator) -> ContextBatch:
        """Draw B windows."""
        start, row = self._steps.draw(batch_size, rng)
        return self.windows(start, self._steps.starts[row], self._steps.ends[row])

    def windows(self, start: Array, episode_start: Array, episode_end: Array) -> ContextBatch:
        """Gather the windows that begin at flat indices `start` (B,) of the episodes `[episode_start, episode_end)`."""
        index = start[:, None] + np.arange(self.context)  # (B, K)
        mask = index < episode_end[:, None]
        index = np.where(mask, index, start[:, None])  # any row of the same window: it is multiplied away below
        return ContextBatch(
            observations=_gather(self.data.observations, index, mask),
            actions=_gather(self.data.actions, index, mask),
            returns_to_go=_gather(self._returns_to_go, index, mask),
            timesteps=torch.from_numpy(np.where(mask, index - episode_start[:, None], 0)),
            mask=torch.from_numpy(mask),
        )


class TransitionSampler:
    """Samples `TransitionBatch`es, every step of the subset with equal probability."""

    def __init__(self, subset: Subset) -> None:
        self.data, self.episodes = subset.trajectories, subset.episodes
        self._steps = _StepDraw(subset)

    def sample(self, batch_size: int, rng: np.random.Generator) -> TransitionBatch:
        """Draw B transitions."""
        step, row = self._steps.draw(batch_size, rng)
        last = step + 1 == self._steps.ends[row]
        next_observations = np.asarray(self.data.observations[np.where(last, step, step + 1)])
        next_observations[last] = self.data.last_observations[self.episodes[row[last]]]
        return TransitionBatch(
            observations=torch.from_numpy(np.asarray(self.data.observations[step])),
            actions=torch.from_numpy(np.asarray(self.data.actions[step])),
            rewards=torch.from_numpy(np.asarray(self.data.rewards[step])),
            next_observations=torch.from_numpy(next_observations),
            terminals=torch.from_numpy(self.data.terminals[step].astype(np.float32)),
        )


def _gather(array: Array, index: Array, mask: Array) -> Tensor:
    """`array[index]` with zeros where `mask` is False; one copy of the batch, none of the array."""
    gathered = np.asarray(array[index])
    gathered[~mask] = 0
    return torch.from_numpy(gathered)
