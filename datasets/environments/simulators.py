"""The environments that policies are evaluated and data recorded in."""

from importlib.metadata import version
from typing import Any

import gymnasium
import numpy as np

from ..actions import is_bounded, native_space
from ..tasks import Task
from ..trajectories import Array, Trajectories


def make_environment(task: Task, render_mode: str | None = None) -> gymnasium.Env:
    """One environment of `task`, cut at its horizon.

    Gymnasium's own checker is left out: it costs time and warns about environments that the tests check once.
    """
    options: dict[str, Any] = {"render_mode": render_mode, "disable_env_checker": True}
    if task.env_options is not None:
        from ..own_tasks import make_own_environment

        return make_own_environment(task, **options)
    if task.env_id == "lamobench/Reacher2d-v0":
        from .. import reacher2d  # noqa: F401 -- importing it registers it
    if task.frame_stack:
        from ..atari import make_atari

        return make_atari(task, **options)
    if task.env_id == "FrankaKitchen-v1":
        from ..kitchen import make_kitchen

        return make_kitchen(task, **options)
    if task.env_id == "Ant-v5":
        # The contact forces in D4RL's data are all zero: mujoco-py did not compute them ("Contact forces are zero in
        # Ant-v2 dataset", reported to D4RL), so neither observations nor rewards may hold them here.
        ant = gymnasium.make(task.env_id, include_cfrc_ext_in_observation=False, contact_cost_weight=0.0, **options)
        return ZeroContactForces(ant)
    return gymnasium.make(task.env_id, **options)


def space_of_actions(trajectories: Trajectories, task: Task) -> gymnasium.Space:
    """The action space of policies that learn from data, in the task's environment: a finite box, or discrete.

    Raises a `UserError` for data that an earlier version imported, and this one would import otherwise: with actions
    that are no vectors, or in a box that is open somewhere.
    """
    env = make_environment(task)
    env.close()
    space = env.action_space
    if trajectories.actions.shape[1:] != space.shape or not is_bounded(space):
        from ..own_tasks import outdated

        raise outdated(task, native_space(env))
    return space


class ZeroContactForces(gymnasium.ObservationWrapper):  # type: ignore[misc]
    """Ant with Ant-v2's 111 observations: the 27 of positions and velocities, and 14 bodies' contact forces, zero."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (27 + 14 * 6,), np.float64)

    def observation(self, observation: Array) -> Array:
        """An observation (111,) float64 from (27,)."""
        return np.pad(observation, (0, 14 * 6))


def simulator_version(task: Task) -> str:
    """Package and version that decide the task's physics, e.g. "mujoco 3.3.0"; part of every leaderboard row."""
    return f"{task.simulator} {version(task.simulator)}"
