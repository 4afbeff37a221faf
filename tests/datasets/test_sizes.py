from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gymnasium
import pytest

from lamobench.datasets import cache, catalog, sizes
from lamobench.datasets.catalog import find_dataset, find_task, recording_of
from lamobench.datasets.entries import DATASETS, Minari
from lamobench.datasets.environments.simulators import make_environment
from lamobench.datasets.trajectories import Trajectories


@pytest.mark.parametrize("task", sizes.SIZES)
def test_sizes_are_those_of_the_environments(task: str) -> None:
    env = make_environment(find_task(task))
    assert (env.observation_space.shape, env.action_space.shape) == tuple((size,) for size in sizes.SIZES[task])
    env.close()


def test_image_tasks_keep_single_frames() -> None:
    env = make_environment(find_task("pong"))
    assert isinstance(env.action_space, gymnasium.spaces.Discrete)
    assert env.observation_space.shape == (84, 84)
    assert sizes.step_bytes("pong") == 84 * 84 + 8 + 4 + 1 + 1
    env.close()


@pytest.mark.usefixtures("lamobench_home")
def test_a_step_takes_what_is_said(make_trajectories: Callable[..., Trajectories]) -> None:
    data = make_trajectories()
    cache.save(data)
    per_step = sum(
        getattr(data, name).nbytes for name in ("observations", "actions", "rewards", "terminals", "timeouts")
    )
    assert per_step == data.num_steps * sizes.step_bytes("reacher2d")


def test_what_each_source_would_take() -> None:
    reacher = find_dataset("reacher2d-medium")
    most = recording_of(reacher).episodes * 100 * (4 * (12 + 2 + 1) + 2)
    assert sizes.expected_megabytes(reacher, recording_of(reacher)) == pytest.approx(most / 1e6)
    breakout = find_dataset("breakout-medium")
    assert sizes.expected_megabytes(breakout, breakout.sources[0]) == pytest.approx(7070.0)
    hopper = catalog.file_of(find_dataset("hopper-medium"))
    assert sizes.expected_megabytes(find_dataset("hopper-medium"), hopper) == pytest.approx(62.0)
    assert sizes.expected_megabytes(find_dataset("hopper-medium"), replace(hopper, steps=None)) is None
    assert sizes.expected_megabytes(reacher, Minari("me/mine-v0")) is None


@pytest.mark.usefixtures("lamobench_home")
def test_every_absent_data_set_gets_an_answer(lamobench_home: Path) -> None:
    for row in catalog.status():
        assert row["state"] == "absent"
        assert row["megabytes"] is None or row["megabytes"] > 0
    assert {row["dataset"] for row in catalog.status()} == set(DATASETS)
    assert not lamobench_home.exists()
