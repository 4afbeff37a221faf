from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from lamobench.baselines.policy import Spec
from lamobench.datasets.fractions import Subset, take_fraction
from lamobench.datasets.trajectories import Array, Provenance, Trajectories
from lamobench.datasets.windows import TransitionBatch, TransitionSampler, View


@pytest.fixture
def make_spec() -> Callable[..., Spec]:
    """Three observation dimensions that need normalising, two action dimensions with bounds of their own."""

    def make(**changes: Any) -> Spec:
        facts: dict[str, Any] = {
            "observation_dim": 3,
            "action_dim": 2,
            "action_low": np.array([-2.0, -1.0], np.float32),
            "action_high": np.array([2.0, 3.0], np.float32),
            "observation_mean": np.array([0.5, -1.0, 0.0], np.float32),
            "observation_std": np.array([2.0, 0.5, 1.0], np.float32),
            "horizon": 12,
            "return_scale": 10.0,
        }
        return Spec(**facts | changes)

    return make


@pytest.fixture
def five_trajectories() -> Subset:
    """Five short episodes, each with actions of its own: what any method must be able to learn by heart."""
    rng = np.random.default_rng(3)
    lengths = np.array([6, 8, 5, 7, 6])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    steps = int(offsets[-1])
    timeouts = np.zeros(steps, bool)
    timeouts[offsets[1:] - 1] = True
    trajectories = Trajectories(
        observations=rng.normal(size=(steps, 3)).astype(np.float32),
        actions=(rng.uniform(-0.9, 0.9, (steps, 2))).astype(np.float32),
        rewards=rng.integers(0, 2, steps).astype(np.float32),
        terminals=np.zeros(steps, bool),
        timeouts=timeouts,
        offsets=offsets,
        last_observations=rng.normal(size=(5, 3)).astype(np.float32),
        provenance=Provenance("toy", "recorded", "a test", "toy", "none"),
    )
    return take_fraction(trajectories, 1.0, 0)


@pytest.fixture
def batch(five_trajectories: Subset) -> TransitionBatch:
    """Six transitions, the first and the fourth of them terminal."""
    drawn = TransitionSampler(five_trajectories).sample(6, np.random.default_rng(0))
    return replace(drawn, terminals=torch.tensor([1.0, 0, 0, 1, 0, 0]), rewards=torch.arange(6.0))


@pytest.fixture
def atari_spec(make_spec: Callable[..., Spec]) -> Spec:
    """Four stacked frames, five discrete actions, clipped rewards."""
    nothing = np.zeros(0, np.float32)
    return make_spec(
        observation_dim=0,
        action_dim=5,
        action_low=nothing,
        action_high=nothing,
        observation_mean=nothing,
        observation_std=nothing,
        discrete=True,
        view=View(frames=4, clip_rewards=True),
    )


@pytest.fixture
def three_games() -> Subset:
    """Three short games of random patterns, so that what to do can only be told from the frames."""
    rng = np.random.default_rng(5)

    def patterns(count: int) -> Array:
        return (255 * rng.integers(0, 2, (count, 12, 12), np.uint8)).repeat(7, axis=1).repeat(7, axis=2)

    offsets = np.array([0, 6, 11, 15])
    terminals = np.zeros(15, bool)
    terminals[offsets[1:] - 1] = True
    trajectories = Trajectories(
        observations=patterns(15),
        actions=rng.integers(0, 5, 15),
        rewards=rng.integers(0, 5, 15).astype(np.float32),
        terminals=terminals,
        timeouts=np.zeros(15, bool),
        offsets=offsets,
        last_observations=patterns(3),
        provenance=Provenance("toy", "recorded", "a test", "toy", "none"),
    )
    return take_fraction(trajectories, 1.0, 0)


@pytest.fixture
def discrete_spec(make_spec: Callable[..., Spec]) -> Spec:
    """Three observation dimensions that need normalising, four discrete actions."""
    nothing = np.zeros(0, np.float32)
    return make_spec(action_dim=4, action_low=nothing, action_high=nothing, discrete=True)


@pytest.fixture
def discrete_trajectories(five_trajectories: Subset) -> Subset:
    """The five short episodes with four discrete actions."""
    data = five_trajectories.trajectories
    actions = np.random.default_rng(4).integers(0, 4, len(data.rewards))
    return take_fraction(replace(data, actions=actions), 1.0, 0)
