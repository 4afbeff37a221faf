"""The environments that policies are evaluated and data recorded in."""

from importlib.metadata import version

import gymnasium

from .catalog import Task


def make_environment(task: Task, render_mode: str | None = None) -> gymnasium.Env:
    """One environment of `task`, cut at its horizon.

    Gymnasium's own checker is left out: it costs time and warns about environments that the tests check once.
    """
    _register(task.env_id)
    return gymnasium.make(task.env_id, render_mode=render_mode, disable_env_checker=True)


def simulator_version(task: Task) -> str:
    """Package and version that decide the task's physics, e.g. "mujoco 3.3.0"; part of every leaderboard row."""
    return f"{task.simulator} {version(task.simulator)}"


def _register(env_id: str) -> None:
    """Make `env_id` known to Gymnasium, importing only the simulator it needs."""
    if env_id == "lamobench/Reacher2d-v0":
        from . import reacher2d  # noqa: F401 -- importing it registers it
