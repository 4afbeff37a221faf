"""Batches of windows: ours beside the per-sample pattern of the published code, and their share of training steps.

The pattern, re-created from its description: for each window of a batch a Python loop draws an episode, slices it, adds
up the rewards to its end step by step, pads on the left, and the pieces are concatenated. Of frames, each step's stack
is put together one frame at a time.

Shapes: B batch, K context, S observation, A action, F stacked frames.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...datasets import cache
from ...datasets.fractions import Subset, take_fraction
from ...datasets.trajectories import Array, Provenance, Trajectories
from ...datasets.windows import ContextBatch, ContextSampler, TransitionSampler, View
from .harness import Measure, Row, Settings, faster, in_turn

BATCH = 64
CONTEXT = 20
FRAMES = 4
TRANSITIONS = 256  # in a batch
Episode = dict[str, Array]


def random_vectors(
    dataset: str, env_id: str, sizes: tuple[int, int], episodes: int, steps: int = 500, source: str = "recorded"
) -> Trajectories:
    """Random data with observations and actions of `sizes`, every episode `steps` long."""
    rng = np.random.default_rng(0)
    total = episodes * steps
    observations = rng.standard_normal((total, sizes[0]), np.float32)
    last = rng.standard_normal((episodes, sizes[0]), np.float32)
    actions = rng.uniform(-1, 1, (total, sizes[1])).astype(np.float32)
    return _episodes(dataset, env_id, (observations, last, actions), steps, source)


def random_frames(
    episodes: int,
    steps: int = 500,
    dataset: str = "breakout-medium",
    env_id: str = "ALE/Breakout-v5",
    actions: int = 4,
) -> Trajectories:
    """Random data of an Atari game's shape, grey as noise is."""
    rng = np.random.default_rng(0)
    total = episodes * steps
    frames = rng.integers(0, 256, (total + episodes, 84, 84), np.uint8)
    arrays = (frames[:total], frames[total:], rng.integers(0, actions, total))
    return _episodes(dataset, env_id, arrays, steps, "recorded")


def _episodes(dataset: str, env_id: str, arrays: tuple[Array, Array, Array], steps: int, source: str) -> Trajectories:
    observations, last, actions = arrays
    total = len(observations)
    timeouts = np.arange(1, total + 1) % steps == 0
    return Trajectories(
        observations=observations,
        actions=actions,
        rewards=np.random.default_rng(1).standard_normal(total, np.float32),
        terminals=np.zeros(total, bool),
        timeouts=timeouts,
        offsets=np.arange(0, total + 1, steps),
        last_observations=last,
        provenance=Provenance(dataset, source, "random numbers", env_id, "none"),
    )


def draws_from(folder: Path, kind: str) -> Callable[[], Any]:
    """A function that draws a batch, of "transitions" or of "windows", from all of a cached data set."""
    whole = take_fraction(cache.open_cached(folder), 1.0, 0)
    rng = np.random.default_rng(0)
    if kind == "transitions":
        return partial(TransitionSampler(whole).sample, TRANSITIONS, rng)
    return partial(ContextSampler(whole, CONTEXT).sample, BATCH, rng)


def windows_of_vectors(settings: Settings, scratch: Path, episodes: int = 400) -> list[Row]:
    """Hopper's sizes: 64 windows of 20 steps."""
    data = random_vectors("hopper-medium", "Hopper-v5", (11, 3), episodes)
    subset = take_fraction(data, 1.0, 0)
    sampler = ContextSampler(subset, CONTEXT)
    rng = np.random.default_rng(0)
    published = PublishedSampler(data, subset)
    check_same(sampler, published)
    rounds = in_turn(settings, partial(sampler.sample, BATCH, rng), partial(published.sample, BATCH, rng))
    what = f"sample {BATCH} windows of {CONTEXT} steps, hopper's sizes"
    return [faster(what, "the published code's pattern", rounds, target=30.0)]


def windows_of_frames(settings: Settings, scratch: Path, episodes: int = 40) -> list[Row]:
    """The same of Atari frames, four of which a step sees."""
    data = random_frames(episodes)
    subset = take_fraction(data, 1.0, 0)
    view = View(frames=FRAMES)
    sampler = ContextSampler(subset, CONTEXT, view)
    rng = np.random.default_rng(0)
    published = PublishedFrames(data, subset)
    check_same_frames(sampler, published)
    rounds = in_turn(settings, partial(sampler.sample, BATCH, rng), partial(published.sample, BATCH, rng))
    what = f"sample {BATCH} windows of {CONTEXT} steps, each of {FRAMES} frames of 84 x 84"
    return [faster(what, "the published code's pattern", rounds, target=30.0)]


class PublishedSampler:
    """The pattern for vectors: `get_batch` as Decision Transformer's code has it, which LaMo's keeps."""

    def __init__(self, data: Trajectories, subset: Subset) -> None:
        self.episodes: list[Episode] = [_episode(data, number) for number in subset.episodes]
        lengths = data.lengths[subset.episodes]
        self.shares = lengths / lengths.sum()
        self.mean, self.std = subset.observation_moments()
        self.horizon = int(lengths.max())

    def sample(self, batch_size: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Observations (B, K, S), actions (B, K, A), returns-to-go (B, K + 1, 1), timesteps and mask (B, K)."""
        chosen = rng.choice(len(self.episodes), size=batch_size, p=self.shares)
        return self.windows(chosen, [int(rng.integers(len(self.episodes[row]["rewards"]))) for row in chosen])

    def windows(self, rows: Array, starts: Sequence[int]) -> tuple[Tensor, ...]:
        """The windows that begin at a step of an episode each, one after the other."""
        parts: list[list[Array]] = [[], [], [], [], []]
        for row, start in zip(rows, starts, strict=True):
            for part, piece in zip(parts, self._window(self.episodes[row], start), strict=True):
                part.append(piece)
        observations, actions, returns, timesteps, mask = (np.concatenate(part) for part in parts)
        floats = (torch.from_numpy(array).to(torch.float32) for array in (observations, actions, returns))
        return (*floats, torch.from_numpy(timesteps).long(), torch.from_numpy(mask))

    def _window(self, episode: Episode, start: int) -> tuple[Array, ...]:
        observations = episode["observations"][start : start + CONTEXT][None]
        actions = episode["actions"][start : start + CONTEXT][None]
        size = observations.shape[1]
        timesteps = np.arange(start, start + size)[None]
        timesteps[timesteps >= self.horizon] = self.horizon - 1
        returns = discounted_sums(episode["rewards"][start:], 1.0)[: size + 1].reshape(1, -1, 1)
        if returns.shape[1] <= size:
            returns = np.concatenate([returns, np.zeros((1, 1, 1))], axis=1)
        missing = CONTEXT - size
        observations = np.concatenate([np.zeros((1, missing, observations.shape[2])), observations], axis=1)
        observations = (observations - self.mean) / self.std
        actions = np.concatenate([np.ones((1, missing, actions.shape[2])) * -10.0, actions], axis=1)
        returns = np.concatenate([np.zeros((1, missing, 1)), returns], axis=1)
        timesteps = np.concatenate([np.zeros((1, missing)), timesteps], axis=1)
        mask = np.concatenate([np.zeros((1, missing)), np.ones((1, size))], axis=1)
        return observations, actions, returns, timesteps, mask


def discounted_sums(rewards: Array, discount: float) -> Array:
    """Sums of what follows each step, added up from the end, one step at a time."""
    sums = np.zeros_like(rewards)
    sums[-1] = rewards[-1]
    for step in reversed(range(len(rewards) - 1)):
        sums[step] = rewards[step] + discount * sums[step + 1]
    return sums


class PublishedFrames:
    """The pattern for frames, from a buffer that holds them as float32."""

    def __init__(self, data: Trajectories, subset: Subset) -> None:
        self.frames = torch.from_numpy(np.asarray(data.observations)).float()
        self.actions = np.asarray(data.actions)
        self.rewards = np.asarray(data.rewards)
        self.returns = np.concatenate(
            [discounted_sums(_episode(data, number)["rewards"], 1.0) for number in range(data.num_episodes)]
        )
        self.starts = data.offsets[:-1]
        self.ends = data.offsets[1:]

    def sample(self, batch_size: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Stacks (B, K, F, 84, 84) float32, actions, returns-to-go and timesteps (B, K)."""
        return self.windows([int(step) for step in rng.integers(len(self.actions) - CONTEXT, size=batch_size)])

    def windows(self, steps: Sequence[int]) -> tuple[Tensor, ...]:
        """The windows from each of the flat indices on, which end with the episode and are padded on the right."""
        samples = []
        for step in steps:
            episode = int(np.searchsorted(self.ends, step, side="right"))
            first = int(self.starts[episode])
            size = min(CONTEXT, int(self.ends[episode]) - step)
            stacks = []
            for index in range(step, step + size):
                stack = torch.zeros(FRAMES, 84, 84)
                for back in range(min(FRAMES, index - first + 1)):
                    stack[FRAMES - 1 - back] = self.frames[index - back]
                stacks.append(stack)
            stacks += [torch.zeros(FRAMES, 84, 84)] * (CONTEXT - size)
            part = slice(step, step + size)
            rest = np.zeros(CONTEXT - size)
            flat = (self.actions[part], self.returns[part], np.arange(step - first, step - first + size))
            samples.append((torch.stack(stacks), *(torch.from_numpy(np.concatenate([a, rest])) for a in flat)))
        return tuple(torch.stack(column) for column in zip(*samples, strict=True))


def _episode(data: Trajectories, number: int) -> Episode:
    part = slice(int(data.offsets[number]), int(data.offsets[number + 1]))
    return {name: np.asarray(getattr(data, name)[part]) for name in ("observations", "actions", "rewards")}


def check_same(sampler: ContextSampler, published: PublishedSampler) -> None:
    """Check that windows are the same: ours padded on the right, theirs on the left; an `AssertionError` otherwise."""
    data = sampler.data
    rng = np.random.default_rng(2)
    rows = rng.integers(data.num_episodes, size=BATCH)
    starts = rng.integers(data.lengths[rows])
    starts[:4] = data.lengths[rows[:4]] - np.arange(1, 5)  # some are cut by the episode's end
    first = data.offsets[rows]
    batch = sampler.windows(first + starts, first, data.offsets[rows + 1])
    observations, actions, returns, timesteps, mask = published.windows(rows, list(starts))
    normalised = (batch.observations - torch.from_numpy(published.mean)) / torch.from_numpy(published.std)
    pairs = ((normalised, observations), (batch.actions, actions), (batch.timesteps, timesteps))
    for ours, theirs in (*pairs, (batch.returns_to_go, returns[:, :-1, 0])):
        expected = theirs[mask.bool()].to(ours.dtype)
        torch.testing.assert_close(ours[batch.mask], expected, rtol=1e-4, atol=1e-4)


def check_same_frames(sampler: ContextSampler, published: PublishedFrames) -> None:
    """Check that both give the same stacks, actions, returns and timesteps; an `AssertionError` otherwise."""
    data = sampler.data
    rng = np.random.default_rng(2)
    rows = rng.integers(data.num_episodes, size=8)
    starts = rng.integers(data.lengths[rows])
    starts[:3] = (0, 1, data.lengths[rows[2]] - 2)  # black before the first, and cut by the end
    first = data.offsets[rows]
    batch: ContextBatch = sampler.windows(first + starts, first, data.offsets[rows + 1])
    ours: Any = (stacked(batch.observations), batch.actions, batch.returns_to_go, batch.timesteps)
    theirs = published.windows([int(step) for step in first + starts])
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine[batch.mask], other[batch.mask].to(mine.dtype), rtol=1e-4, atol=1e-4)


def stacked(frames: Tensor) -> Tensor:
    """Windows (B, K, F, 84, 84) float32 from our frames (B, F - 1 + K, 84, 84), as the encoder sees them."""
    return frames.unfold(1, FRAMES, 1).movedim(-1, 2).float()


MEASUREMENTS: dict[str, Measure] = {"sampling": windows_of_vectors, "sampling-frames": windows_of_frames}
