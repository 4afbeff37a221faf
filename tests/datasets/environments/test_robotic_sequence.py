import re
from typing import Any

import numpy as np
import pytest

from lamobench.datasets.environments.robotic_sequence import RoboticSequence, touching_object
from lamobench.datasets.environments.staged_tasks import find_staged_task
from lamobench.datasets.errors import UserError
from lamobench.tests.datasets.environments.meta_world import needs_meta_world

needs_meta_world()

TWO = ("handle-press", "push-wall")


def two(**changes: Any) -> RoboticSequence:
    options: dict[str, Any] = {"stages": TWO, "known": (1,), "horizon": 40, "repeat": 4, "reward_scale": 0.1}
    return RoboticSequence(**options | changes)


def test_experts_go_through_all_stages() -> None:
    env = two()
    first = env.reset(np.arange(3))
    assert first.shape == (3, 40)
    assert (first[:, -1] == 0).all()
    done = np.zeros((3, 2), bool)
    for _ in range(env.longest):
        step = env.step(env.expert())
        done[np.arange(3), step.stages_before] |= step.stage_success
        assert (step.stage_success <= step.stage_ended).all()
        np.testing.assert_array_equal(step.episode_ended, step.stage_ended & (step.stages_before == 1))
        if done.all():
            break
    assert done.all()
    assert env.longest == 80 == find_staged_task("robotic-sequence-2").horizon


def test_rewards_and_observations_are_those_of_the_simulator_alone() -> None:
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS

    env = two(shift=0.5)
    env.reset(np.array([7]))
    alone = env._make(ALL_V3_ENVIRONMENTS["handle-press-v3"])
    alone.np_random = np.random.default_rng(env.drawn[0])
    alone.reset()
    for number in range(1, 41):
        action = env.expert()
        step = env.step(action)
        paid = []
        for _ in range(4):
            seen, reward, _, _, info = alone.step(action[0])
            paid.append(reward)
            if info["success"]:
                break
        expected = 0.1 * np.mean(paid) * (1.5 * max(1, 40 - number) if info["success"] else 1)
        assert step.rewards[0] == pytest.approx(expected)
        np.testing.assert_allclose(step.next_observations[0, :39], seen + 0.5, rtol=1e-6)
        assert step.next_observations[0, 39] == pytest.approx(number / 40)
        if info["success"]:
            break
    assert step.stage_success.all()
    assert step.stages.tolist() == [1]
    assert step.observations[0, 39] == 0  # the next stage's clock
    np.testing.assert_allclose(step.observations[0, :39], env.seen[0].astype(np.float32))  # a stage that is known


def test_what_the_gripper_touches_is_what_meta_world_says() -> None:
    env = two()
    env.reset(np.arange(1), 1)
    simulator = env._simulator(0)
    answers = []
    for _ in range(40):
        env.step(env.expert())
        for geometry in range(simulator.model.ngeom):
            answers.append(touching_object(simulator, geometry))
            assert answers[-1] == type(simulator).touching_object(simulator, geometry)
        assert simulator.touching_main_object == type(simulator).touching_object(
            simulator, simulator._get_id_main_object()
        )
    assert set(answers) == {False, True}


def test_a_stage_by_itself_ends_with_success_or_with_its_time() -> None:
    env = two(horizon=12)
    env.reset(np.array([1]), stage=1, only=True)
    still = np.zeros((1, 4), np.float32)
    steps = [env.step(still) for _ in range(12)]
    assert [bool(step.stage_ended[0]) for step in steps] == [False] * 11 + [True]
    assert steps[-1].episode_ended.all()
    assert not steps[-1].stage_success.any()
    assert steps[-1].next_observations[0, 39] == 1.0
    assert steps[-1].observations[0, 39] == 0.0
    assert env.stage.tolist() == [1]


def test_a_clone_of_the_state_goes_on_to_the_same_steps() -> None:
    env = two()
    env.reset(np.arange(2))
    rng = np.random.default_rng(0)
    for _ in range(20):
        noise = rng.normal(0, 0.3, (2, 4)).astype(np.float32)
        env.step(np.clip(env.expert() + noise, -1, 1))
    other = two()
    np.testing.assert_array_equal(other.load_state_dict(env.state_dict()), env.observe())
    for _ in range(30):
        action = env.expert()
        ours = env.step(action)
        theirs = other.step(action)
        for name, values in vars(ours).items():
            np.testing.assert_array_equal(getattr(theirs, name), values, err_msg=name)


def test_a_simulator_that_comes_elsewhere_is_told() -> None:
    env = two()
    env.reset(np.arange(1))
    env.step(env.expert())
    state = env.state_dict()
    state["seen"] = state["seen"] + 1e-9
    with pytest.raises(ValueError, match="does not come to the state that it was left in"):
        two().load_state_dict(state)


def test_arms_side_by_side_do_what_each_does_alone() -> None:
    env = two()
    together = env.reset(np.array([3, 4]))
    alone = two()
    np.testing.assert_array_equal(alone.reset(np.array([4]))[0], together[1])
    for _ in range(25):
        both = env.step(env.expert())
        one = alone.step(alone.expert())
        np.testing.assert_array_equal(one.observations[0], both.observations[1])
        assert one.rewards[0] == both.rewards[1]


def test_starts_differ_from_seed_to_seed_and_from_stage_to_stage() -> None:
    env = RoboticSequence(stages=("push-wall", "push-wall"), known=(1,), horizon=3)
    seen = env.reset(np.array([0, 1]))
    assert (seen[0] != seen[1]).any()
    assert len({*env.drawn}) == 2
    env.reset(np.array([0, 1]), stage=1)
    assert env.stage.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"stages": ("hamer", "push-wall")}, "unknown task of Meta-World 'hamer'; did you mean 'hammer'"),
        ({"stages": ("hammer-v3", "push-wall")}, "unknown task of Meta-World 'hammer-v3'; did you mean 'hammer'"),
        ({"known": (2,)}, "known stages are [2] of 2 stages; give numbers from 0 to 1"),
        ({"known": (0, 1)}, "known stages are [0, 1] of 2 stages"),
        ({"known": ()}, "known stages are [] of 2 stages"),
        ({"known": (1, 1)}, "known stages are [1, 1] of 2 stages"),
        ({"horizon": 0}, "horizon is 0 and repeat 4; expected 1 or more of each"),
        ({"reward_scale": 0.0}, "reward_scale is 0.0"),
        ({"shift": float("nan")}, "shift nan"),
    ],
)
def test_options_that_make_no_sense_are_one_line(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=re.escape(line)) as caught:
        two(**changes)
    assert "\n" not in str(caught.value)


def test_there_is_no_third_stage_of_two() -> None:
    with pytest.raises(UserError, match=r"there is no stage 2; the stages are 0 \(handle-press\), 1 \(push-wall\)"):
        two().reset(np.arange(1), stage=2)
