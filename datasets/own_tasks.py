"""Tasks of data sets that a user imports from environments that no task of the catalog has.

Such a task has its data set's name, belongs to it alone, and is stored with it. What the catalog fixes by hand comes
from the data set: its environment with the options it names, the environment's step limit, Minari's reference scores.
What a data set leaves open is taken from its episodes, and the task's `score_source` says so: a score of 100 is then
its best episode, and is compared with nobody else's.
"""

import contextlib
import io
import json
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium
from gymnasium.spaces import Dict

from .errors import UserError
from .json_files import parse_python_json
from .observations import VectorObservation
from .tasks import Task
from .trajectories import Trajectories

# The package that decides the physics, by the package that an environment is from.
SIMULATORS = {"gymnasium_robotics": "mujoco", "gymnasium.envs.mujoco": "mujoco", "ale_py": "ale-py"}
IMAGE = (84, 84)  # frames of this shape are stacked, as those of the catalog's Atari tasks
MINARI_SCORES = "Minari's metadata: ref_min_score and ref_max_score"
OWN_SCORES = "the data set's own worst and best episode, or one more than all of them where all are the same"


@dataclass(frozen=True)
class Environment:
    """What a data set says of the environment to evaluate in."""

    env_id: str
    options: dict[str, Any]  # Gymnasium's keyword arguments
    horizon: int | None  # steps after which it cuts an episode, if it does
    reference_scores: tuple[float, float] | None  # returns that score 0 and 100, if the data set has them


def make_own_task(trajectories: Trajectories, environment: Environment) -> Task:
    """The task of an imported data set; a `UserError` if its environment can't be made here.

    The target return is the data set's best, the return scale its power of ten, as the catalog's tasks have it.
    """
    worst, best = float(trajectories.returns.min()), float(trajectories.returns.max())
    known = environment.reference_scores
    largest = max(abs(worst), abs(best))
    task = Task(
        name=trajectories.provenance.dataset,
        env_id=environment.env_id,
        simulator=_simulator(environment),
        horizon=environment.horizon or int(trajectories.lengths.max()),
        reference_scores=known or (worst, best if worst < best else worst + 1.0),
        score_source=MINARI_SCORES if known else OWN_SCORES,
        target_returns=(best,),
        return_scale=10.0 ** math.floor(math.log10(largest)) if largest > 0 else 1.0,
        frame_stack=4 if trajectories.observations.shape[1:] == IMAGE else 0,
        env_options=json.dumps(environment.options),
    )
    make_own_environment(task).close()
    return task


def make_own_environment(task: Task, **options: Any) -> gymnasium.Env:
    """The environment of such a task, cut at its horizon; a `UserError` if it can't be made here.

    It is made by its id from what is registered here. A data set's metadata could also name code to run; that part of
    it is never used.
    """
    _register()
    if task.env_id not in gymnasium.registry:
        raise UserError(
            f"data set '{task.name}' is of environment '{task.env_id}', which no installed package registers; "
            "install the one that does, and import the data set again"
        )
    try:
        given = parse_python_json(task.env_options or "{}")
        with _passing_files():
            env = gymnasium.make(task.env_id, max_episode_steps=task.horizon, **(given | options))
    except (gymnasium.error.Error, TypeError, ValueError, AssertionError) as error:
        raise UserError(
            f"environment '{task.env_id}' of data set '{task.name}' can't be made with {task.env_options}: "
            f"{' '.join(str(error).split())}"
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


def _register() -> None:
    """Let Gymnasium know the environments of all packages that this suite needs anyway."""
    with contextlib.redirect_stderr(io.StringIO()):  # importing it prints a notice on robot hands
        import gymnasium_robotics
    import ale_py

    from . import reacher2d  # noqa: F401 -- importing it registers it

    gymnasium.register_envs(gymnasium_robotics)
    gymnasium.register_envs(ale_py)
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # or every process prints the emulator's banner


def _simulator(environment: Environment) -> str:
    _register()
    spec = gymnasium.registry.get(environment.env_id)
    entry = str(spec.entry_point) if spec else ""
    return next((simulator for package, simulator in SIMULATORS.items() if entry.startswith(package)), "gymnasium")
