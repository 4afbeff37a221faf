import os
import subprocess
import sys
import warnings

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from lamobench.datasets.reacher2d import ENV_ID, HORIZON, Reacher2d, shared_model
from lamobench.datasets.trajectories import Array


def played(env: gymnasium.Env, seed: int, actions: Array) -> Array:
    """Observations and rewards of an episode, (steps + 1, 13)."""
    rows = [np.append(env.reset(seed=seed)[0], 0.0)]
    for action in actions:
        observation, reward, *_ = env.step(action)
        rows.append(np.append(observation, reward))
    return np.array(rows)


def random_actions(seed: int, steps: int = HORIZON) -> Array:
    return np.random.default_rng(seed).uniform(-1, 1, (steps, 2)).astype(np.float32)


def tip_of(shoulder: float, elbow: float) -> Array:
    """Link 1 points along shoulder + 0.785; the elbow's own rotation of -0.785 takes that back for link 2."""
    first = shoulder + 0.785
    second = shoulder + 0.785 + elbow - 0.785
    return 0.6 * np.array([np.cos(first), np.sin(first)]) + 0.45 * np.array([np.cos(second), np.sin(second)])


def test_gymnasium_finds_nothing_but_unbounded_velocities() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(Reacher2d(), skip_render_check=True)
    assert [str(warning.message) for warning in caught if "infinity" not in str(warning.message)] == []


def test_an_episode_is_cut_after_100_steps_and_never_terminates() -> None:
    env = gymnasium.make(ENV_ID)
    env.reset(seed=0)
    ends = [env.step(action)[2:4] for action in random_actions(0)]
    assert ends == [(False, False)] * 99 + [(False, True)]


def test_the_model_has_the_published_numbers() -> None:
    model = shared_model()
    assert model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4
    assert (model.opt.timestep, list(model.opt.gravity)) == (0.01, [0, 0, 0])
    assert model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_CONTACT
    assert (list(model.dof_damping), list(model.dof_armature)) == ([1, 1], [0.05, 0.05])
    assert list(model.jnt_limited) == [0, 1]
    assert list(model.jnt_range[1]) == [-2.0, 3.5]
    assert list(model.actuator_gear[:, 0]) == [1, 1]
    assert model.actuator_ctrlrange.tolist() == [[-1, 1], [-1, 1]]
    capsules = [1000 * np.pi * 0.05**2 * (length + 4 / 3 * 0.05) for length in (0.6, 0.4)]
    assert model.body_mass[[model.body("upper").id, model.body("lower").id]] == pytest.approx(capsules)
    assert model.body_mass.sum() == pytest.approx(sum(capsules)), "tip and target have no mass"


def test_observations_are_those_of_hand_computed_kinematics() -> None:
    env = Reacher2d()
    env.reset(seed=5)
    for action in (*-np.ones((40, 2)), *random_actions(1, 30)):  # the elbow meets its limit
        observation, *_ = env.step(action)
        q = env._data.qpos
        velocity = env._data.qvel
        tip = tip_of(*q)
        target = np.array(env._target)
        expected = np.concatenate([np.sin(q), np.cos(q), 0.15 * velocity, tip, target, tip - target])
        np.testing.assert_allclose(observation, expected, atol=1e-6)
    assert observation.dtype == np.float32


def test_at_zero_the_links_point_to_45_and_0_degrees() -> None:
    env = Reacher2d()
    env.reset(seed=0)
    env._data.qpos[:] = 0
    observation, *_ = env.step(np.zeros(2, np.float32))
    np.testing.assert_allclose(observation[6:8], [0.6 * np.cos(0.785) + 0.45, 0.6 * np.sin(0.785)], atol=1e-6)


def test_starts_and_targets_are_uniform_in_their_ranges() -> None:
    env = Reacher2d()
    starts = []
    targets = []
    for seed in range(2000):
        observation, _ = env.reset(seed=seed)
        starts.append(env._data.qpos.copy())
        targets.append(observation[8:10])
        assert not env._data.qvel.any()
    radii = np.linalg.norm(targets, axis=1)
    assert 0.5 <= radii.min() < 0.51 < 0.99 < radii.max() <= 1.0
    assert np.mean(radii < 0.75) == pytest.approx((0.75**2 - 0.25) / 0.75, abs=0.03), "uniform by area"
    assert np.mean(np.array(targets) > 0, axis=0) == pytest.approx([0.5, 0.5], abs=0.04)
    assert -2 <= np.min(starts) < -1.99 < 1.99 < np.max(starts) <= 2
    assert np.std(starts, axis=0) == pytest.approx([4 / 12**0.5] * 2, rel=0.03)


@pytest.mark.parametrize(
    ("offset", "reward"),
    [
        ((0.0, 0.0), 1.0),
        ((0.05, 0.049), 1.0),
        ((-0.05, 0.051), 0.0),
        ((-0.099, 0.0), 1.0),
        ((0.0, 0.101), 0.0),
        ((0.06, -0.06), 0.0),  # within 0.1 as the crow flies, but |dx| + |dy| = 0.12
    ],
)
def test_the_reward_is_a_diamond_around_the_target(offset: tuple[float, float], reward: float) -> None:
    env = Reacher2d()
    env.reset(seed=2)
    tip = tip_of(*env._data.qpos)
    env._target = (tip[0] + offset[0], tip[1] + offset[1])
    assert env.step(np.zeros(2, np.float32))[1] == reward, "an arm at rest stays where it is"


def test_the_elbow_stops_at_its_limits_and_the_shoulder_turns_freely() -> None:
    env = Reacher2d()
    for torque, limit in ((1.0, 3.5), (-1.0, -2.0)):
        env.reset(seed=0)
        elbow = []
        for _ in range(HORIZON):
            env.step(np.array([torque, torque], np.float32))
            elbow.append(env._data.qpos[1])
        assert np.abs(np.array(elbow[-10:]) - limit).max() < 0.05
        assert abs(env._data.qpos[0]) > 2 * np.pi


def test_a_constant_torque_meets_the_damping() -> None:
    env = Reacher2d()
    env.reset(seed=0)
    for _ in range(2 * HORIZON):
        env.step(np.array([0.5, 0.0], np.float32))
    assert env._data.qvel[0] == pytest.approx(0.5, abs=0.01), "damping 1 balances 0.5 N m at 0.5 rad/s"


def test_episodes_depend_on_seed_and_actions_alone() -> None:
    used = Reacher2d()
    other = Reacher2d()
    first = played(used, 3, random_actions(3))
    played(other, 4, random_actions(4))
    np.testing.assert_array_equal(played(used, 3, random_actions(3)), first)
    np.testing.assert_array_equal(played(Reacher2d(), 3, random_actions(3)), first)
    assert not np.array_equal(played(used, 4, random_actions(3))[0], first[0])


def test_interleaved_environments_share_the_model_and_nothing_else() -> None:
    alone = [played(Reacher2d(), seed, random_actions(seed)) for seed in (0, 1)]
    envs = [Reacher2d(), Reacher2d()]
    rows = [[np.append(env.reset(seed=seed)[0], 0.0)] for seed, env in enumerate(envs)]
    for actions in zip(random_actions(0), random_actions(1), strict=True):
        for env, action, row in zip(envs, actions, rows, strict=True):
            observation, reward, *_ = env.step(action)
            row.append(np.append(observation, reward))
    np.testing.assert_array_equal(rows, alone)
    assert envs[0]._model is envs[1]._model


def test_torques_are_clipped_and_must_be_finite() -> None:
    strong = np.full((5, 2), [7.0, -3.0])
    weak = np.full((5, 2), [1.0, -1.0])
    np.testing.assert_array_equal(played(Reacher2d(), 0, strong), played(Reacher2d(), 0, weak))
    env = Reacher2d()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="not finite"):
        env.step(np.array([np.nan, 0.0]))


RENDER = """
import numpy as np
from lamobench.datasets.reacher2d import Reacher2d
shown, plain = Reacher2d(render_mode="rgb_array", width=96, height=64), Reacher2d()
shown.reset(seed=1), plain.reset(seed=1)
at_reset = shown.render()
shown.step(np.zeros(2)), plain.step(np.zeros(2))
assert np.array_equal(at_reset, shown.render()), "an arm at rest looks the same after a step"
for _ in range(60):
    image = shown.render()
    a, b = shown.step(np.ones(2))[0], plain.step(np.ones(2))[0]
    assert np.array_equal(a, b), "rendering must not change the simulation"
print(image.shape, image.dtype, image.std() > 10, (image != shown.render()).any(), plain.render())
shown.close()
"""


def test_rendering_shows_the_arm_and_changes_nothing() -> None:
    probe = "import mujoco; mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 8, 8).close()"
    environment = os.environ | {"MUJOCO_GL": "egl"}
    if subprocess.run([sys.executable, "-c", probe], env=environment, capture_output=True, check=False).returncode:
        pytest.skip("no EGL on this machine")
    done = subprocess.run([sys.executable, "-c", RENDER], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "(64, 96, 3) uint8 True True None\n", done.stderr
