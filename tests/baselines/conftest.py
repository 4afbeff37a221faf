from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lamobench.baselines.policy import Spec
from lamobench.datasets.fractions import Subset, take_fraction
from lamobench.datasets.trajectories import Provenance, Trajectories


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
