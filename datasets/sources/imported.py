"""A user's own data sets: imported from any local Minari data set of a task's environment."""

import re
from pathlib import Path

from .. import cache, storage
from ..catalog import ALIASES, DATASETS, OLDER
from ..environments import make_environment
from ..errors import UserError
from ..tasks import TASKS, Task
from ..trajectories import Trajectories
from . import minari

SOURCE = "minari"


def import_dataset(name: str, minari_id: str, root: Path | None = None, force: bool = False) -> Trajectories:
    """Read a Minari data set below `root` (Minari's own folder if None) and keep it as the data set `name`.

    From then on it is loaded, listed and trained on by that name. With `force` it takes the place of one that is there.
    Raises a `UserError`, and changes nothing, if the name is taken or unusable, if the data are no good, or if they are
    not of a task's environment.
    """
    if name in DATASETS | OLDER | ALIASES:
        raise UserError(f"'{name}' is a data set of the catalog; give the import another name, e.g. my-{name}")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UserError(f"'{name}' is no name for a data set; use letters, digits, dots and dashes")
    trajectories = minari.read(minari_id, root or minari.local_root(), dataset=name, source=SOURCE)
    _check_fits(trajectories, _task_of(minari_id, trajectories.provenance.env_id))
    with storage.plain_disk_errors():
        store = cache.replace if force else cache.save
        store(trajectories)
    return trajectories


def _task_of(minari_id: str, env_id: str) -> Task:
    for task in TASKS.values():
        if task.env_id == env_id:
            return task
    known = ", ".join(sorted({task.env_id for task in TASKS.values()}))
    raise UserError(
        f"Minari data set '{minari_id}' is of environment '{env_id}', which no task has (they have: {known})"
    )


def _check_fits(trajectories: Trajectories, task: Task) -> None:
    """A policy trained on the data has to be able to play in the task's environment."""
    env = make_environment(task)
    wanted = (env.observation_space.shape, env.action_space.shape)
    env.close()
    found = (trajectories.observations.shape[1:], trajectories.actions.shape[1:])
    if found != wanted:
        raise UserError(
            f"data set '{trajectories.provenance.dataset}' has observations and actions of shapes {found}, "
            f"but task '{task.name}' has {wanted}"
        )
