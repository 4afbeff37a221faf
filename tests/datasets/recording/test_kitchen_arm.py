from collections.abc import Iterator

import gymnasium
import mujoco
import numpy as np
import pytest

from lamobench.datasets.catalog import find_task
from lamobench.datasets.environments.simulators import make_environment
from lamobench.datasets.recording.kitchen_arm import (
    ARM,
    CLOSED,
    LOWER,
    OPEN,
    RADIANS_PER_STEP,
    UPPER,
    Arm,
    Kinematics,
    facing,
    rotation_between,
)
from lamobench.datasets.recording.kitchen_scripts import ENTRIES, START, entry_postures

POINT = np.array([-0.35, 0.30, 2.10])


@pytest.fixture(scope="module")
def env() -> Iterator[gymnasium.Env]:
    environment = make_environment(find_task("kitchen"))
    yield environment
    environment.close()


def test_facing_is_a_rotation_whose_last_axis_turns_towards_minus_x() -> None:
    for yaw in (-0.5, 0.0, 0.8):
        np.testing.assert_allclose(facing(yaw) @ facing(yaw).T, np.eye(3), atol=1e-12)
        assert np.linalg.det(facing(yaw)) == pytest.approx(1.0)
    np.testing.assert_allclose(facing(0.0)[:, 2], [0.0, 1.0, 0.0])
    assert facing(0.3)[0, 2] < 0


def test_rotation_between_is_the_turn_for_small_angles() -> None:
    np.testing.assert_allclose(rotation_between(facing(0.0), facing(0.01)), [0.0, 0.0, 0.01], atol=1e-6)
    np.testing.assert_array_equal(rotation_between(facing(0.4), facing(0.4)), np.zeros(3))


def test_entry_postures_reach_their_places_inside_the_joints_ranges_and_touch_nothing(env: gymnasium.Env) -> None:
    model = env.unwrapped.model
    data = mujoco.MjData(model)
    site = model.site("end_effector").id
    postures = entry_postures(model)
    assert postures.keys() == ENTRIES.keys()
    for name, posture in postures.items():
        data.qpos[:ARM] = posture
        mujoco.mj_forward(model, data)
        point, yaw = ENTRIES[name]
        assert np.linalg.norm(data.site_xpos[site] - point) < 0.005, name
        assert np.linalg.norm(rotation_between(data.site_xmat[site].reshape(3, 3), facing(yaw))) < 0.05, name
        assert (posture >= LOWER).all()
        assert (posture <= UPPER).all()
        touched = [contact for contact in list(data.contact)[: data.ncon] if contact.dist < -1e-3]
        bodies = [model.body(model.geom_bodyid[geom]).name for c in touched for geom in (c.geom1, c.geom2)]
        assert not [body for body in bodies if "panda" in body], name


def test_a_posture_is_found_anew_and_its_absence_said(env: gymnasium.Env) -> None:
    kinematics = Kinematics(env.unwrapped.model)
    objects = np.array(env.unwrapped.model.qpos0[9:])
    first = kinematics.find_posture(POINT, facing(), START, objects, tries=8)
    np.testing.assert_array_equal(kinematics.find_posture(POINT, facing(), START, objects, tries=8), first)
    with pytest.raises(ValueError, match="can't be brought to"):
        kinematics.find_posture(np.array([0.0, 3.0, 2.0]), facing(), START, objects, tries=4)


def test_the_servo_brings_the_hand_to_a_point_and_keeps_it_there(env: gymnasium.Env) -> None:
    env.reset(seed=0)
    arm = Arm(env)
    for action in arm.reach(POINT, facing(), OPEN, tolerance=0.01, steps=60):
        assert np.abs(action).max() <= 1.0
        env.step(action)
    assert np.linalg.norm(arm.position - POINT) < 0.01
    assert arm.opening > 0.07
    held = arm.position
    for action in arm.hold(CLOSED, steps=8):
        env.step(action)
    assert np.linalg.norm(arm.position - held) < 0.02
    assert arm.opening < 0.01


def test_an_action_out_of_reach_is_shortened_and_speed_scales_one_within(env: gymnasium.Env) -> None:
    env.reset(seed=0)
    arm = Arm(env)
    slow = Arm(env, speed=0.5)
    far = arm.towards(arm.position + np.array([0.0, 0.5, 0.0]), arm.orientation, OPEN)
    assert np.abs(far[:ARM]).max() == pytest.approx(1.0)
    assert list(far[ARM:]) == [OPEN, OPEN]
    near = arm.position + np.array([0.0, 0.002, 0.0])
    fast, half = (someone.towards(near, arm.orientation, OPEN)[:ARM] for someone in (arm, slow))
    sag = arm.data.qfrc_bias[:ARM] / arm.model.actuator_gainprm[:ARM, 0] / RADIANS_PER_STEP
    np.testing.assert_allclose(half - sag, 0.5 * (fast - sag))
