"""Tasks of data sets that a user imports from environments that no task of the catalog has.

Such a task has its data set's name, belongs to it alone, and is stored with it. What a catalog task fixes by hand comes
from the data set: its environment with the options it names, the environment's step limit, Minari's reference scores.
What a data set leaves open is taken from its episodes, and the task's `score_source` says so: a score of 100 is then
its best episode, and is compared with nobody else's.
"""

import contextlib
import importlib
import io
import json
import math
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
from gymnasium.spaces import Dict, Discrete

from .actions import ActionForm, action_form, same_actions, with_plain_actions
from .errors import UserError
from .json_files import parse_python_json
from .observations import VectorObservation
from .tasks import Task
from .trajectories import Trajectories

# The package that decides the physics, by the package that an environment is from.
SIMULATORS = {"gymnasium_robotics": "mujoco", "gymnasium.envs.mujoco": "mujoco", "ale_py": "ale-py"}
MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
IMAGE = (84, 84)  # frames of this shape are stacked, as those of the catalog's Atari tasks
MINARI_SCORES = "Minari's metadata: ref_min_score and ref_max_score"
OWN_SCORES = "the data set's own worst and best episode, or one more than all of them where all are the same"


@dataclass(frozen=True)
class Environment:
    """The environment to evaluate in, as a data set describes it."""

    env_id: str
    options: dict[str, Any]  # Gymnasium's keyword arguments
    horizon: int | None  # steps after which it cuts an episode, if it does
    reference_scores: tuple[float, float] | None  # returns that score 0 and 100, if the data set has them
    module: str = ""  # that registers it, if the user has named one


def choose_environment(named: Environment | None, minari_id: str, env_id: str, env_module: str) -> Environment:
    """The environment that a data set names, if it does, or the user's own choice of one, `env_id`.

    Both ids may have Gymnasium's form MODULE:ENV_ID. A module is imported where the user has named it, in `env_id` or
    `env_module`. Raises a `UserError` if only the data set has, or if no environment is named.
    """
    theirs, _, there = (named.env_id if named else "").rpartition(":")
    mine, _, wanted = env_id.rpartition(":")
    module = env_module or mine
    if mine and mine != module:
        raise UserError(f"--env names the module '{mine}', --env-module '{env_module}'; give one of them")
    if module and not MODULE.fullmatch(module):
        raise UserError(f"'{module}' is no name of a Python module; give one like package.module")
    if wanted and wanted != there:
        return Environment(wanted, {}, None, None, module)
    if named is None:
        raise UserError(
            f"Minari data set '{minari_id}' names no environment, so no policy can be evaluated on it; name one with "
            "--env ENV_ID, or --env MODULE:ENV_ID where importing a module registers it"
        )
    if theirs and theirs != module:
        raise UserError(
            f"Minari data set '{minari_id}' is of environment '{named.env_id}', but no module is imported because a "
            f"data set names it; if you trust '{theirs}', add --env-module {theirs}"
        )
    return replace(named, env_id=there, module=module)


def make_own_task(trajectories: Trajectories, environment: Environment, actions: gymnasium.Space) -> Task:
    """The task of an imported data set whose actions are in the space `actions`.

    The target return is the data set's best, the return scale its power of ten, as the catalog's tasks have it. Raises
    a `UserError` if its environment can't be made here, or is not one that the data fit.
    """
    worst = float(trajectories.returns.min())
    best = float(trajectories.returns.max())
    known = environment.reference_scores
    largest = max(abs(worst), abs(best))
    name = trajectories.provenance.dataset
    _register(environment.module, name)
    task = Task(
        name=name,
        env_id=environment.env_id,
        simulator=_simulator(environment),
        horizon=environment.horizon or int(trajectories.lengths.max()),
        reference_scores=known or (worst, best if worst < best else worst + 1.0),
        score_source=MINARI_SCORES if known else OWN_SCORES,
        target_returns=(best,),
        return_scale=10.0 ** math.floor(math.log10(largest)) if largest > 0 else 1.0,
        frame_stack=4 if trajectories.observations.shape[1:] == IMAGE else 0,
        env_options=json.dumps(environment.options),
        env_module=environment.module,
    )
    env = _make(task)
    env.close()
    _check_fit(trajectories, task, env, actions)
    form = action_form(env.action_space, trajectories)
    return replace(task, action_start=form.start, action_low=form.low, action_high=form.high)


def _check_fit(trajectories: Trajectories, task: Task, env: gymnasium.Env, actions: gymnasium.Space) -> None:
    """Raise a `UserError` unless a policy trained on the data could play in the environment."""
    ours = trajectories.observations.shape[1:]
    theirs = env.observation_space.shape
    if ours != theirs:
        raise UserError(
            f"data set '{task.name}' has observations of shape {ours}, but its environment '{task.env_id}' as it is "
            f"made here has {theirs}"
        )
    if not same_actions(actions, env.action_space):
        raise UserError(
            f"data set '{task.name}' has actions in {actions}, but its environment '{task.env_id}' as it is made here "
            f"has {env.action_space}"
        )


def outdated(task: Task, actions: gymnasium.Space) -> UserError:
    """The error for data whose stored actions are not in the form that such an environment needs now."""
    module = f" --env-module {task.env_module}" if task.env_module else ""
    return UserError(
        f"data set '{task.name}' was imported by an earlier version, or from another one of its environment, whose "
        f"actions are in {actions}; import it again: lamobench data import {task.name} --minari ID --force{module}"
    )


def make_own_environment(task: Task, **options: Any) -> gymnasium.Env:
    """The environment of such a task, cut at its horizon; a `UserError` if it can't be made here.

    It is made by its id from what is registered here. A data set's metadata could also name code to run; that part of
    it is never used.
    """
    env = _make(task, **options)
    space = env.action_space
    moved = isinstance(space, Discrete) and space.start != task.action_start
    if moved or (task.action_low and len(task.action_low) != math.prod(space.shape)):
        raise outdated(task, space)
    return with_plain_actions(env, ActionForm(task.action_start, task.action_low, task.action_high))


def _make(task: Task, **options: Any) -> gymnasium.Env:
    """The same with the environment's own actions."""
    _register(task.env_module, task.name)
    if task.env_id not in gymnasium.registry:
        raise UserError(
            f"data set '{task.name}' is of environment '{task.env_id}', which nothing that is imported here registers; "
            "Gymnasium imports no package by itself: install the one that does, and name its module in "
            f"lamobench data import {task.name} --minari ID --force --env-module MODULE, or --env MODULE:{task.env_id}"
        )
    try:
        given = parse_python_json(task.env_options or "{}")
        with _passing_files():
            env = gymnasium.make(task.env_id, max_episode_steps=task.horizon, **(given | options))
    except Exception as error:  # an environment is anybody's code, and raises what it likes
        raise UserError(
            f"environment '{task.env_id}' of data set '{task.name}' can't be made with {task.env_options}: "
            f"{_in_one_line(error)}"
        ) from None
    return VectorObservation(env) if isinstance(env.observation_space, Dict) else env


@contextlib.contextmanager
def _passing_files() -> Iterator[None]:
    """A folder for files that are only read while an environment is made, and that the mazes never delete."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before


def _register(module: str, name: str) -> None:
    """Let Gymnasium know the environments of all packages that this suite needs anyway, and of a data set's module."""
    with contextlib.redirect_stderr(io.StringIO()):  # importing it prints a notice on robot hands
        import gymnasium_robotics
    import ale_py

    from . import reacher2d  # noqa: F401 -- importing it registers it

    gymnasium.register_envs(gymnasium_robotics)
    gymnasium.register_envs(ale_py)
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # or every process prints the emulator's banner
    if not module:
        return
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a module does while it is imported
        raise UserError(
            f"module '{module}', which registers the environment of data set '{name}', can't be imported "
            f"({_in_one_line(error)}); install it, or name the folder that it is in in PYTHONPATH"
        ) from None


def _in_one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _simulator(environment: Environment) -> str:
    spec = gymnasium.registry.get(environment.env_id)
    entry = str(spec.entry_point) if spec else ""
    return next((simulator for package, simulator in SIMULATORS.items() if entry.startswith(package)), "gymnasium")
