from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lamobench.datasets import cache
from lamobench.datasets.entries import DATASETS, Recorded
from lamobench.datasets.trajectories import Provenance, Trajectories


@pytest.fixture
def breakout_data(home: Path, monkeypatch: pytest.MonkeyPatch) -> Trajectories:
    """Three games of six frames of noise, in which every second step pays 4; stored as "breakout-medium"."""
    rng = np.random.default_rng(0)
    ends = np.arange(18) % 6 == 5
    data = Trajectories(
        observations=rng.integers(0, 256, (18, 84, 84), np.uint8),
        actions=rng.integers(0, 4, 18),
        rewards=np.tile([0, 4], 9).astype(np.float32),
        terminals=ends,
        timeouts=np.zeros(18, bool),
        offsets=np.array([0, 6, 12, 18]),
        last_observations=rng.integers(0, 256, (3, 84, 84), np.uint8),
        provenance=Provenance("breakout-medium", "recorded", "a test", "ALE/Breakout-v5", "ale-py"),
    )
    source = Recorded(episodes=3, minari_id="lamobench/breakout/medium-v0", record_seed=0)
    monkeypatch.setitem(DATASETS, "breakout-medium", replace(DATASETS["breakout-medium"], sources=(source,)))
    cache.save(data)
    return data
