import gymnasium
import numpy as np
import pytest
from gymnasium_robotics.envs.franka_kitchen import kitchen_env

from lamobench.datasets.catalog import find_task
from lamobench.datasets.environments.simulators import make_environment
from lamobench.datasets.kitchen import DONE_WITHIN, ELEMENTS, achieved, goal_vector, next_goals, satisfied

KITCHEN = find_task("kitchen")
MIXED = find_task("kitchen-mixed")


def test_sub_goals_are_those_of_the_environment() -> None:
    assert DONE_WITHIN == kitchen_env.BONUS_THRESH
    for name, (entries, wanted) in ELEMENTS.items():
        assert list(range(30))[entries] == list(kitchen_env.OBS_ELEMENT_INDICES[name])
        assert list(wanted) == list(kitchen_env.OBS_ELEMENT_GOALS[name])


def test_the_goal_holds_the_sub_goals_and_nothing_else() -> None:
    goal = goal_vector(KITCHEN.sub_goals)
    assert [goal[entry] for entry in (17, 18, 19, 22, 23)] == [-0.69, -0.05, 0.37, -0.75, -0.23]
    assert not goal[:17].any()
    assert not goal[20:22].any()
    assert not goal_vector(MIXED.sub_goals)[19:22].any()
    assert goal_vector(MIXED.sub_goals)[11] == -0.88


@pytest.fixture
def env() -> gymnasium.Env:
    return make_environment(KITCHEN)


def put(env: gymnasium.Env, *sub_goals: str) -> None:
    """Move the objects of these sub-goals to where they are wanted, and nothing else."""
    inner = env.unwrapped
    for name in sub_goals:
        entries, wanted = ELEMENTS[name]
        inner.data.qpos[entries] = wanted
    inner.data.qvel[:] = 0


def test_observations_are_joints_objects_and_goal(env: gymnasium.Env) -> None:
    observation, _ = env.reset(seed=0)
    inner = env.unwrapped
    assert observation.shape == (60,)
    np.testing.assert_allclose(observation[:30], inner.data.qpos, atol=0.05)  # but for the observation noise
    np.testing.assert_array_equal(observation[30:], goal_vector(KITCHEN.sub_goals))


def test_a_sub_goal_pays_once_and_the_last_one_ends_the_episode(env: gymnasium.Env) -> None:
    env.reset(seed=0)
    nothing = np.zeros(9)
    assert env.step(nothing)[1:3] == (0.0, False)
    put(env, "slide cabinet")
    observation, reward, terminated, *_ = env.step(nothing)
    assert (reward, terminated) == (1.0, False)
    assert list(satisfied(observation[None], KITCHEN.sub_goals)[0]) == [False, False, False, True]
    assert env.step(nothing)[1] == 0.0, "it is done, and pays no more"
    put(env, "microwave", "light switch", "kettle")
    rewards = 1.0
    terminated = False
    while not terminated and rewards < 4:
        _, reward, terminated, truncated, _ = env.step(nothing)
        rewards += reward
        assert not truncated
    assert (rewards, terminated) == (4.0, True)
    env.reset(seed=0)
    assert env.step(nothing)[1:3] == (0.0, False), "a new episode begins with nothing done"


def test_the_next_goal_moves_the_first_unfinished_object_alone() -> None:
    observations = np.random.default_rng(0).normal(5.0, 0.1, (3, 60))  # far from every sub-goal
    observations[1:, 22] = -0.75  # the microwave is open
    observations[2, :30] = goal_vector(KITCHEN.sub_goals)  # everything is done
    wanted = next_goals(observations, KITCHEN.sub_goals)
    assert KITCHEN.sub_goals[:2] == ("microwave", "kettle")
    expected = observations.copy()
    expected[0, 22] = -0.75
    expected[1, 23:30] = ELEMENTS["kettle"][1]
    np.testing.assert_array_equal(wanted, expected)


@pytest.mark.parametrize("shape", [(3, 1), (3, 3), (3,)])
def test_positions_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="positions of the light switch have the shape"):
        achieved({"light switch": np.zeros(shape)}, ("light switch",))
