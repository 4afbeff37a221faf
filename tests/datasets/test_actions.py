from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from lamobench.datasets.actions import (
    ActionForm,
    action_form,
    check_actions,
    is_bounded,
    native_actions,
    native_space,
    notes_on,
    plain_actions,
    same_actions,
    with_plain_actions,
)
from lamobench.datasets.environments.simulators import make_environment
from lamobench.datasets.errors import UserError
from lamobench.datasets.summary import describe_actions
from lamobench.datasets.tasks import TASKS
from lamobench.datasets.trajectories import Array, Trajectories

BELOW = spaces.Discrete(3, start=-1)
GRID = spaces.Box(-2.0, 2.0, (2, 3), np.float32)
Make = Callable[..., Trajectories]


class Listening(gymnasium.Env):
    """An environment that remembers the actions that it is given; only such as are in its space."""

    observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, action_space: gymnasium.Space) -> None:
        self.action_space = action_space
        self.heard = list[Any]()

    def reset(self, **_: Any) -> tuple[Array, dict[str, Any]]:
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        self.heard.append(action)
        return np.zeros(1, np.float32), 0.0, False, False, {}


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_every_task_of_the_catalog_has_plain_actions_in_the_box_from_minus_1_to_1(task: Any) -> None:
    """Trajectory models leave the actions of these tasks as they are."""
    env = make_environment(task)
    env.close()
    space = env.action_space
    assert with_plain_actions(env, ActionForm()) is env
    if isinstance(space, spaces.Box):
        assert ((space.low == -1.0) & (space.high == 1.0)).all()


@pytest.mark.parametrize("start", [-1, 1])
def test_discrete_actions_are_numbered_from_0_and_back(start: int) -> None:
    space = spaces.Discrete(3, start=start)
    actions = plain_actions(space, np.array([start + 2, start, start + 1]))
    np.testing.assert_array_equal(actions, np.array([2, 0, 1]), strict=True)
    assert notes_on(space) == (f"actions, stored from {start} on, numbered from 0",)
    heard = Listening(space)
    env = with_plain_actions(heard, ActionForm(start=start))
    assert (env.action_space, native_space(env)) == (spaces.Discrete(3), space)
    for action in actions:
        env.step(action)
    assert heard.heard == [start + 2, start, start + 1]


@pytest.mark.parametrize("wrong", [2, -2, 0.5])
def test_discrete_actions_that_are_none_of_the_space_are_refused(wrong: float) -> None:
    with pytest.raises(UserError, match=rf"action {wrong} is none of Discrete\(3, start=-1\), which has -1 to 1"):
        plain_actions(BELOW, np.array([1, wrong]))


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_actions_of_any_shape_are_vectors_and_back(shape: tuple[int, ...]) -> None:
    space = spaces.Box(-2.0, 2.0, shape, np.float32)
    space.seed(0)
    stored = np.stack([space.sample() for _ in range(4)])
    actions = plain_actions(space, stored)
    assert (actions.shape, actions.dtype) == ((4, int(np.prod(shape))), np.float32)
    heard = Listening(space)
    env = with_plain_actions(heard, ActionForm())
    assert env.action_space == spaces.Box(-2.0, 2.0, actions.shape[1:], np.float32)
    np.testing.assert_array_equal(native_actions(env, actions), stored, strict=True)
    for action in actions:
        env.step(action)
    np.testing.assert_array_equal(heard.heard, stored)


def test_actions_of_another_shape_than_their_space_are_refused() -> None:
    with pytest.raises(UserError, match=r"actions have the shape \(1,\), but their space has \(2, 3\)"):
        plain_actions(GRID, np.zeros((4, 1)))


@pytest.mark.parametrize("space", [spaces.MultiDiscrete([2, 2]), spaces.Box(0, 5, (2,), np.int32)])
def test_spaces_that_no_method_has_are_refused(space: gymnasium.Space) -> None:
    with pytest.raises(UserError, match="expected a Box of real numbers or a Discrete space"):
        check_actions(space)


def test_what_rounding_moves_out_of_the_box_is_moved_back_and_nothing_else() -> None:
    """The float32 next to 0.1 lies above it."""
    heard = Listening(spaces.Box(-0.1, 0.1, (2,), np.float64))
    env = with_plain_actions(heard, ActionForm())
    inside = np.array([0.05, -0.03], np.float32)
    env.step(inside)
    env.step(np.array([0.1, -0.1], np.float32))
    np.testing.assert_array_equal(heard.heard[0], inside, strict=True)
    np.testing.assert_array_equal(heard.heard[1], [0.1, -0.1])


def test_open_sides_end_where_the_data_do(make_trajectories: Make) -> None:
    data = replace(make_trajectories(), actions=np.array([[0.5, -3.0], [0.25, 7.0], [2.0, 0.0]], np.float32))
    space = spaces.Box(np.array([0.0, -np.inf], np.float32), np.array([np.inf, 3e38], np.float32))
    assert not is_bounded(space)
    form = action_form(space, data)
    assert form == ActionForm(low=(0.0, -3.0), high=(2.0, 7.0))
    env = with_plain_actions(Listening(space), form)
    assert is_bounded(env.action_space)
    assert env.action_space == spaces.Box(np.float32([0, -3]), np.float32([2, 7]))
    assert action_form(spaces.Box(-1.0, 1.0, (2,)), data) == ActionForm(), "and nothing is noted of closed ones"


def test_a_dimension_without_a_range_is_refused(make_trajectories: Make) -> None:
    data = replace(make_trajectories(), actions=np.array([[0.5, 7.0], [0.25, 7.0]], np.float32))
    with pytest.raises(UserError, match="dimension 1 of its actions goes from 7 to 7, which is no range"):
        action_form(spaces.Box(-np.inf, np.inf, (2,)), data)


def test_which_actions_fit_which_environment() -> None:
    assert same_actions(GRID, spaces.Box(-1.0, 1.0, (2, 3)))
    assert not same_actions(GRID, spaces.Box(-2.0, 2.0, (6,)))
    assert same_actions(BELOW, spaces.Discrete(3, start=-1))
    assert not same_actions(BELOW, spaces.Discrete(3))
    assert not same_actions(BELOW, spaces.Discrete(4, start=-1))
    assert not same_actions(BELOW, spaces.Box(-1.0, 1.0, ()))


def test_what_lies_outside_the_box_is_said(make_trajectories: Make) -> None:
    actions = np.array([[0.5, -1.0], [1.0, 1.5], [-3.0, 1.25], [0.0, 1.0]], np.float32)
    data = replace(make_trajectories(), actions=actions)
    described = describe_actions(data, spaces.Box(-1.0, 1.0, (2,)))
    assert described["action_box"] == {"low": "-1", "high": "1"}
    assert described["outside_the_box"] == {"steps": 2, "farthest": "2"}
    wide = describe_actions(data, spaces.Box(np.float32([-3, -1]), np.float32([1, 2])))
    assert wide == {"action_box": {"low": "-3 -1", "high": "1 2"}, "outside_the_box": {"steps": 0, "farthest": "0"}}
    discrete = replace(data, actions=np.array([0, 1, 1, 0]))
    assert describe_actions(discrete, spaces.Discrete(5)) == {"number_of_actions": 5}
