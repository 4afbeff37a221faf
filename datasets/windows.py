"""Vectorised sampling of training batches: K-step contexts and single transitions.

Shapes: B batch, K context, S observation, A action, F stacked frames. Each sampler precomputes what it can once and
then only gathers; the data set is never copied. Indices come from the caller's NumPy generator, so a run's batches are
the run's own.

Images are stored as single frames and stacked here. A batch holds each frame once: K steps that see F frames each are
F - 1 + K frames, the newest last, black before an episode's first.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from .fractions import Subset
from .trajectories import Array, Trajectories


@dataclass(frozen=True)
class View:
    """The way in which learning sees the stored steps of a task."""

    frames: int = 0  # F, the frames of an image task that a policy sees at once; 0: observations are vectors
    clip_rewards: bool = False  # to [-1, 1], as deep Q-learning on Atari does; what is stored stays as it is
    # Steps of zeros that contexts see before an episode's first: a fault of published code (`--legacy padding-steps`).
    padding_steps: int = 0

    @property
    def earlier_frames(self) -> int:
        """The number of frames before its own that a step is seen with: F - 1, or none."""
        return max(0, self.frames - 1)

    def rewards(self, rewards: Array) -> Array:
        """The rewards that learning sees, in data and evaluation alike: the one place where any are clipped."""
        clipped: Array = np.clip(rewards, -1.0, 1.0) if self.clip_rewards else np.asarray(rewards)
        return clipped


VECTORS = View()


class _Batch:
    def to(self, device: torch.device) -> Self:
        """The same batch on `device`."""
        if next(iter(vars(self).values())).device == device:
            return self
        moved = {name: tensor.to(device, non_blocking=True) for name, tensor in vars(self).items()}
        return type(self)(**moved)


@dataclass(frozen=True)
class ContextBatch(_Batch):
    """Windows of consecutive steps. Windows that reach an episode's end are padded with zeros on the right.

    Right padding needs no attention mask under causal attention and leaves every real step at the position it has
    during evaluation; the published code pads on the left.
    """

    observations: Tensor  # (B, K, S), or frames (B, F - 1 + K, H, W) uint8
    actions: Tensor  # (B, K, A) float32, or (B, K) int64 for discrete actions
    returns_to_go: Tensor  # (B, K): undiscounted sum of the rewards from this step on
    timesteps: Tensor  # (B, K) int64: steps since the episode's start
    mask: Tensor  # (B, K) bool: True on real steps

    def first(self, steps: int) -> "ContextBatch":
        """The first so many steps of each window; of frames, with those that the first one's stack reaches back to."""
        earlier = self.observations.shape[1] - self.returns_to_go.shape[1]
        return ContextBatch(
            self.observations[:, : earlier + steps],
            self.actions[:, :steps],
            self.returns_to_go[:, :steps],
            self.timesteps[:, :steps],
            self.mask[:, :steps],
        )


@dataclass(frozen=True)
class StepBatch(_Batch):
    """Independent steps: what was seen and done."""

    observations: Tensor  # (B, S), or frames (B, F, H, W) uint8
    actions: Tensor  # (B, A) float32, or (B,) int64


@dataclass(frozen=True)
class TransitionBatch(StepBatch):
    """Independent steps and what followed. `terminals` says that no value lies beyond; a timeout is not a terminal."""

    rewards: Tensor  # (B,)
    next_observations: Tensor  # as observations
    terminals: Tensor  # (B,) float32: 1 where the environment ended the episode


@dataclass(frozen=True)
class ChainedBatch(TransitionBatch):
    """Transitions with the action that the data took next, where the episode goes on."""

    next_actions: Tensor  # (B, A) float32, or (B,) int64; the step's own action at an episode's last step
    goes_on: Tensor  # (B,) float32: 0 at an episode's last step, however it ended


@dataclass(frozen=True)
class GoalBatch(_Batch):
    """Steps, each with an observation that its episode came to."""

    observations: Tensor  # (B, S)
    actions: Tensor  # (B, A) float32
    goals: Tensor  # (B, S): the observation of the same step or a later one


def returns_to_go(trajectories: Trajectories, view: View = VECTORS) -> Array:
    """The undiscounted sum (T,) float32 of the rewards seen from each step to its episode's end."""
    rewards = view.rewards(trajectories.rewards).astype(np.float64)
    total = np.cumsum(rewards)
    at_end = np.repeat(total[trajectories.offsets[1:] - 1], trajectories.lengths)
    return (at_end - total + rewards).astype(np.float32)


def reward_rates(subset: Subset, horizon: int, view: View = VECTORS) -> tuple[float, float]:
    """Lowest and highest reward a step over what is left of the horizon, of all steps of the subset's episodes.

    An episode that ends before the horizon earns nothing afterwards.
    """
    data = subset.trajectories
    timesteps = np.arange(data.num_steps) - np.repeat(data.offsets[:-1], data.lengths)
    rates = returns_to_go(data, view) / (horizon - timesteps)
    chosen = np.repeat(np.isin(np.arange(data.num_episodes), subset.episodes), data.lengths)
    return float(rates[chosen].min()), float(rates[chosen].max())


def reward_scale(subset: Subset) -> float:
    """The factor of rewards that brings the subset's best and worst return 1000 apart (authors' code).

    1 where they are less than a hundredth of the larger one apart, as they are in one episode: noise would be blown up.
    """
    returns = subset.trajectories.returns[subset.episodes]
    spread = float(returns.max() - returns.min())
    size = float(abs(returns).max())
    return 1000.0 / spread if spread > 0.01 * size else 1.0


class _StepDraw:
    """A uniform draw of a subset's steps: an episode with probability proportional to its length, then a step in it."""

    def __init__(self, subset: Subset, padding: int = 0) -> None:
        """`padding`: so many steps before each episode's first are drawn too, though they are not stored."""
        data = subset.trajectories
        self.starts = np.asarray(data.offsets[subset.episodes])
        lengths = data.lengths[subset.episodes]
        self.ends = self.starts + lengths
        self.cumulative = np.cumsum(lengths + padding)

    def draw(self, batch_size: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Flat index (B,) of each drawn step and row (B,) of its episode in the subset."""
        ordinal = rng.integers(self.cumulative[-1], size=batch_size)
        row = np.searchsorted(self.cumulative, ordinal, side="right")
        return self.ends[row] - (self.cumulative[row] - ordinal), row


class ContextSampler:
    """Samples `ContextBatch`es of K steps; a window starts at each step of the subset with equal probability."""

    def __init__(self, subset: Subset, context: int, view: View = VECTORS) -> None:
        self.data = _plain(subset.trajectories)
        self.context = context
        self.view = view
        self._steps = _StepDraw(subset, view.padding_steps)
        self._returns_to_go = returns_to_go(self.data, view)

    def sample(self, batch_size: int, rng: np.random.Generator) -> ContextBatch:
        """Draw B windows."""
        start, row = self._steps.draw(batch_size, rng)
        return self.windows(start, self._steps.starts[row], self._steps.ends[row])

    def windows(self, start: Array, episode_start: Array, episode_end: Array) -> ContextBatch:
        """Gather the windows that begin at flat indices `start` (B,) of the episodes `[episode_start, episode_end)`.

        Or up to `View.padding_steps` before `episode_start`: such steps have the returns-to-go of the first one, since
        they earn nothing, and zeros for everything else that is seen.
        """
        index = start[:, None] + np.arange(self.context)  # (B, K)
        mask = index < episode_end[:, None]
        timesteps = index - episode_start[:, None] + self.view.padding_steps
        stored = mask & (index >= episode_start[:, None])
        first = np.maximum(start, episode_start)[:, None]
        index = np.where(stored, index, first)  # any row of the same window: it is multiplied away below
        if self.view.frames:
            seen = _stacked(self.data.observations, start, self.context, self.view, episode_start, episode_end)
        else:
            seen = _gather(self.data.observations, index, stored)
        return ContextBatch(
            observations=seen,
            actions=_gather(self.data.actions, index, stored),
            returns_to_go=_gather(self._returns_to_go, index, mask),
            timesteps=torch.from_numpy(np.where(mask, timesteps, 0)),
            mask=torch.from_numpy(mask),
        )


class StepSampler:
    """Samples `StepBatch`es, every step of the subset with equal probability."""

    def __init__(self, subset: Subset, view: View = VECTORS) -> None:
        self.data = _plain(subset.trajectories)
        self.view = view
        self._steps = _StepDraw(subset)

    def sample(self, batch_size: int, rng: np.random.Generator) -> StepBatch:
        """Draw B steps."""
        step, row = self._steps.draw(batch_size, rng)
        if self.view.frames:
            starts = self._steps.starts[row]
            ends = self._steps.ends[row]
            observations = _stacked(self.data.observations, step, 1, self.view, starts, ends)
        else:
            observations = _rows(self.data.observations, step)
        return StepBatch(observations, _rows(self.data.actions, step))


class TransitionSampler:
    """Samples `TransitionBatch`es, every step of the subset with equal probability."""

    def __init__(self, subset: Subset, view: View = VECTORS, reward_scale: float = 1.0) -> None:
        """`reward_scale`: what rewards are multiplied by for learning, after any clipping."""
        self.data = _plain(subset.trajectories)
        self.episodes = subset.episodes
        self.view = view
        self.reward_scale = np.float32(reward_scale)
        self._steps = _StepDraw(subset)

    def sample(self, batch_size: int, rng: np.random.Generator) -> TransitionBatch:
        """Draw B transitions."""
        return self._transitions(*self._steps.draw(batch_size, rng))

    def _transitions(self, step: Array, row: Array) -> TransitionBatch:
        observations, next_observations = self._observations(step, row)
        return TransitionBatch(
            observations=observations,
            actions=_rows(self.data.actions, step),
            rewards=torch.from_numpy(self.view.rewards(self.data.rewards.take(step)) * self.reward_scale),
            next_observations=next_observations,
            terminals=torch.from_numpy(self.data.terminals.take(step).astype(np.float32)),
        )

    def _observations(self, step: Array, row: Array) -> tuple[Tensor, Tensor]:
        """The observations before and after the steps (B,) of the subset's episodes `row` (B,)."""
        starts = self._steps.starts[row]
        ends = self._steps.ends[row]
        last = np.flatnonzero(step + 1 == ends)
        after_last = torch.from_numpy(np.asarray(self.data.last_observations[self.episodes[row[last]]]))
        if self.view.frames:
            seen = _stacked(self.data.observations, step, 2, self.view, starts, ends)
            seen[last, -1] = after_last
            return seen[:, :-1], seen[:, 1:]
        following = step + 1
        following[last] = step[last]
        observations, next_observations = (_rows(self.data.observations, index) for index in (step, following))
        next_observations[last] = after_last
        return observations, next_observations


class ChainedSampler(TransitionSampler):
    """Samples `ChainedBatch`es, for algorithms that look at the data's next action."""

    def sample(self, batch_size: int, rng: np.random.Generator) -> ChainedBatch:
        """Draw B transitions."""
        step, row = self._steps.draw(batch_size, rng)
        goes_on = step + 1 < self._steps.ends[row]
        return ChainedBatch(
            **vars(self._transitions(step, row)),
            next_actions=_rows(self.data.actions, np.where(goes_on, step + 1, step)),
            goes_on=torch.from_numpy(goes_on.astype(np.float32)),
        )


class GoalSampler:
    """Samples `GoalBatch`es as RvS does: any episode with equal probability, and two of its steps; the earlier acts."""

    def __init__(self, subset: Subset) -> None:
        self.data = _plain(subset.trajectories)
        self.starts = self.data.offsets[subset.episodes]
        self.lengths = self.data.lengths[subset.episodes]

    def sample(self, batch_size: int, rng: np.random.Generator) -> GoalBatch:
        """Draw B pairs."""
        row = rng.integers(len(self.starts), size=batch_size)
        first, second = self.starts[row] + rng.integers(self.lengths[row], size=(2, batch_size))
        now = np.minimum(first, second)
        then = np.maximum(first, second)
        arrays = ((self.data.observations, now), (self.data.actions, now), (self.data.observations, then))
        return GoalBatch(*(_rows(array, index) for array, index in arrays))


def _plain(trajectories: Trajectories) -> Trajectories:
    """The same memory as arrays of NumPy's own class: indexing its memory maps costs more than a small batch."""
    arrays: dict[str, Any] = {name: np.asarray(getattr(trajectories, name)) for name in Trajectories.ARRAYS}
    return replace(trajectories, **arrays)


def _rows(array: Array, index: Array) -> Tensor:
    """`array[index]` (..., rest of the array's shape), copied."""
    return torch.from_numpy(array.take(index, axis=0))


def _stacked(frames: Array, step: Array, context: int, view: View, starts: Array, ends: Array) -> Tensor:
    """The frames (B, F - 1 + K, H, W) seen in the K steps from `step` (B,) on; black outside of `[starts, ends)`."""
    index = step[:, None] + np.arange(-view.earlier_frames, context)
    inside = (index >= starts[:, None]) & (index < ends[:, None])
    return _gather(frames, np.where(inside, index, starts[:, None]), inside)


def _gather(array: Array, index: Array, mask: Array) -> Tensor:
    """`array[index]` with zeros where `mask` is False; one copy of the batch, none of the array."""
    gathered = array.take(index, axis=0)
    if not mask.all():
        gathered[~mask] = 0
    return torch.from_numpy(gathered)
