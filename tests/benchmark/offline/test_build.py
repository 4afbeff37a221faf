import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lamobench.benchmark.offline.build import data_facts
from lamobench.datasets.fractions import take_fraction
from lamobench.datasets.trajectories import Provenance, Trajectories


@pytest.mark.parametrize(("longest", "horizon"), [(60, 100), (130, 130)])
def test_the_longest_episode_fits_whatever_the_fraction(longest: int, horizon: int) -> None:
    lengths = [longest, 3, 3, 3]
    steps = sum(lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    timeouts = np.isin(np.arange(steps), offsets[1:] - 1)
    data = Trajectories(
        np.zeros((steps, 12), np.float32),
        np.zeros((steps, 2), np.float32),
        np.zeros(steps, np.float32),
        np.zeros(steps, bool),
        timeouts,
        offsets,
        np.zeros((4, 12), np.float32),
        Provenance("some", "minari", "a test", "lamobench/Reacher2d-v0", "mujoco 3.3.0"),
    )
    config: Any = SimpleNamespace(task="reacher2d", legacy=[])
    assert {data_facts(config, take_fraction(data, fraction, 0)).horizon for fraction in (0.25, 0.5, 1)} == {horizon}


@pytest.mark.usefixtures("home")
def test_a_method_without_a_language_model_does_not_wait_for_transformers() -> None:
    program = """
import sys
import torch
import lamobench.benchmark.offline.track
from lamobench.benchmark.offline.build import build_policy, training_subset
from lamobench.benchmark.offline.resolve import RunRequest, resolve
config = resolve(RunRequest("reacher2d-medium", "bc"))
build_policy(config, training_subset(config), torch.device("cpu"))
print(*({"transformers", "peft"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == ""
