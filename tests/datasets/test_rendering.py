from typing import Any

import numpy as np
import pytest

from lamobench.datasets.catalog import find_task
from lamobench.datasets.environments.simulators import make_environment
from lamobench.datasets.errors import UserError
from lamobench.datasets.rendering import joint_positions, render, renderable


def played(task: str, steps: int) -> tuple[Any, Any]:
    """Observations of a few random steps, and the simulator's joint positions in the same states."""
    env = make_environment(find_task(task))
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    simulator: Any = env.unwrapped
    data = simulator.data if hasattr(simulator, "data") else simulator._data
    observations = [observation]
    positions = [data.qpos.copy()]
    for _ in range(steps):
        observation, *_ = env.step(env.action_space.sample())
        observations.append(observation)
        positions.append(data.qpos.copy())
    env.close()
    return np.stack(observations), np.stack(positions)


@pytest.mark.parametrize(
    ("task", "unseen", "blur"),
    [
        ("hopper", 1, 0.0),
        ("halfcheetah", 1, 0.0),
        ("walker2d", 1, 0.0),
        ("ant", 2, 0.0),
        ("kitchen", 0, 0.02),  # its observations are blurred
    ],
)
def test_joint_positions_are_the_simulator_s(task: str, unseen: int, blur: float) -> None:
    observations, positions = played(task, 5)
    found = joint_positions(find_task(task), observations)
    assert found.shape == positions.shape
    assert (found[:, :unseen] == 0.0).all()
    np.testing.assert_allclose(found[:, unseen:], positions[:, unseen:], atol=max(blur, 1e-6))


def test_joint_positions_of_the_arm_are_its_angles() -> None:
    observations, positions = played("reacher2d", 5)
    found = joint_positions(find_task("reacher2d"), observations)
    np.testing.assert_allclose(np.cos(found - positions), 1.0, atol=1e-9)


def test_what_has_a_scene() -> None:
    assert all(renderable(find_task(task)) for task in ("reacher2d", "hopper", "ant", "kitchen", "kitchen-mixed"))
    assert not renderable(find_task("breakout"))


def test_frames_show_the_states_they_were_asked_for() -> None:
    observations, _ = played("reacher2d", 8)
    try:
        frames = render(find_task("reacher2d"), observations[[0, 0, 8]], height=48, width=64)
    except UserError as error:
        pytest.skip(str(error))
    assert (frames.shape, frames.dtype) == ((3, 48, 64, 3), np.uint8)
    assert (frames[0] == frames[1]).all()
    assert (frames[0] != frames[2]).any()


def test_without_a_renderer_one_line_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    with pytest.raises(UserError, match=r"nothing here can draw a MuJoCo scene \(nonsense: .*install EGL") as caught:
        render(find_task("reacher2d"), np.zeros((1, 12), np.float32), height=8, width=8)
    assert "\n" not in str(caught.value)
