from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lamobench.datasets.trajectories import Provenance, Trajectories


@pytest.fixture
def lamobench_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("LAMOBENCH_HOME", str(home))
    monkeypatch.delenv("MINARI_DATASETS_PATH", raising=False)
    return home


@pytest.fixture
def make_trajectories() -> Callable[..., Trajectories]:
    """A function that builds three short episodes of reacher2d-like data; the same seed gives the same content."""

    def make(seed: int = 0, dataset: str = "reacher2d-medium", source: str = "recorded") -> Trajectories:
        rng = np.random.default_rng(seed)
        offsets = np.array([0, 4, 5, 11])
        terminals = np.zeros(11, bool)
        timeouts = np.zeros(11, bool)
        terminals[3] = timeouts[4] = timeouts[10] = True
        return Trajectories(
            observations=rng.normal(size=(11, 12)).astype(np.float32),
            actions=rng.uniform(-1, 1, (11, 2)).astype(np.float32),
            rewards=rng.integers(0, 2, 11).astype(np.float32),
            terminals=terminals,
            timeouts=timeouts,
            offsets=offsets,
            last_observations=rng.normal(size=(3, 12)).astype(np.float32),
            provenance=Provenance(dataset, source, "a test", "lamobench/Reacher2d-v0", "mujoco 3.3.0"),
        )

    return make


@pytest.fixture
def frame_trajectories() -> Trajectories:
    """Two episodes, of 7 and 3 steps, of 2 x 2 frames whose every pixel tells the step: 1 to 12, last ones included."""
    levels = np.array([1, 2, 3, 4, 5, 6, 7, 9, 10, 11], np.uint8)
    terminals = np.zeros(10, bool)
    timeouts = np.zeros(10, bool)
    terminals[6] = timeouts[9] = True
    return Trajectories(
        observations=np.broadcast_to(levels[:, None, None], (10, 2, 2)).copy(),
        actions=np.arange(10, dtype=np.int64) % 4,
        rewards=np.array([0, 4, 0, -7, 0, 0, 1, 0.5, 20, 0], np.float32),
        terminals=terminals,
        timeouts=timeouts,
        offsets=np.array([0, 7, 10]),
        last_observations=np.full((2, 2, 2), [[[8]], [[12]]], np.uint8),
        provenance=Provenance("breakout-medium", "recorded", "a test", "ALE/Breakout-v5", "ale-py 0.12.1"),
    )
