"""A user's own data sets: imported from any Minari data set whose environment can be made here."""

import logging
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import gymnasium
import numpy as np

from .. import cache, storage
from ..actions import same_actions
from ..entries import ALIASES, DATASETS, UNLISTED
from ..environments.simulators import make_environment
from ..errors import UserError
from ..kitchen import goal_vector
from ..own_tasks import choose_environment, make_own_task
from ..tasks import TASKS, Task
from ..trajectories import Trajectories
from . import minari

SOURCE = "minari"


def import_dataset(
    name: str,
    minari_id: str,
    root: Path | None = None,
    force: bool = False,
    remote: bool = False,
    env_id: str = "",
    env_module: str = "",
) -> Trajectories:
    """Read a Minari data set below `root` (Minari's own folder if None) and keep it as the data set `name`.

    With `remote` it is downloaded first, by Minari. From then on it is loaded, listed and trained on by that name: on
    the catalog's task with its environment, shapes and actions, or else on a task of its own. Its environment is then
    the one that the data set names, or `env_id`, registered by the module `env_module` if one is given
    (`choose_environment`). With `force` it takes the place of one that is there. Raises a `UserError`, and changes
    nothing, if the name is taken or unusable, if the data can't be had or are no good, or if their environment can't be
    made here.
    """
    if name in DATASETS | UNLISTED | ALIASES | TASKS:
        raise UserError(f"'{name}' is a name of the catalog; give the import another name, e.g. my-{name}")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UserError(f"'{name}' is no name for a data set; use letters, digits, dots and dashes")
    if remote and root is not None:
        raise UserError("--remote downloads the data set, --root says where it is already; give one of them")
    with _downloaded(minari_id) if remote else nullcontext(root or minari.local_root()) as folder:
        trajectories = minari.read(minari_id, folder, dataset=name, source=SOURCE)
        actions = minari.action_space(minari_id, folder)
        task = None if env_id or env_module else _catalog_task(trajectories, actions)
        if task is None:
            named = minari.environment_of(minari_id, folder)
            environment = choose_environment(named, minari_id, env_id, env_module)
            task = make_own_task(trajectories, environment, actions)
            trajectories = _noted(trajectories, task)
    entry = task.name if task.name in TASKS else asdict(task)
    with storage.plain_disk_errors():
        store = cache.replace if force else cache.save
        store(trajectories, task=entry)
    return trajectories


@contextmanager
def _downloaded(minari_id: str) -> Iterator[Path]:
    """A folder, deleted in the end, into which Minari has downloaded a data set from its remote."""
    import minari as package

    from ..recording.collect import temporary_minari_root

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # or each of its attempts prints a line
    storage.home().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=storage.home(), prefix=".minari.") as scratch:
        try:
            with temporary_minari_root(Path(scratch)), storage.plain_disk_errors():
                package.download_dataset(minari_id)
        except UserError:
            raise
        except Exception as error:  # Minari's remotes raise whatever their HTTP libraries do
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(
                f"Minari data set '{minari_id}' can't be downloaded: {reason}; on a connected machine, type: "
                f"minari download {minari_id}; then bring Minari's folder here (there: ~/.minari/datasets), and import "
                "it with --root FOLDER instead of --remote"
            ) from None
        yield Path(scratch)


def _noted(trajectories: Trajectories, task: Task) -> Trajectories:
    """Add a word to the origin on actions whose box the environment leaves open."""
    if not task.action_low:
        return trajectories
    origin = (
        f"{trajectories.provenance.origin}; actions, which the environment leaves unbounded, within the data's range"
    )
    return replace(trajectories, provenance=replace(trajectories.provenance, origin=origin))


def _catalog_task(trajectories: Trajectories, actions: gymnasium.Space) -> Task | None:
    """The catalog's task with the environment, the shapes and, in the kitchen, the sub-goals of the data."""
    candidates = [task for task in TASKS.values() if task.env_id == trajectories.provenance.env_id]
    return next(
        (task for task in candidates if _same_goal(trajectories, task) and _fits(trajectories, task, actions)), None
    )


def _same_goal(trajectories: Trajectories, task: Task) -> bool:
    """Check whether the goal that kitchen observations end in is the task's; true of every other task."""
    if not task.sub_goals:
        return True
    goal = goal_vector(task.sub_goals).astype(np.float32)
    return np.array_equal(trajectories.observations[0, -len(goal) :], goal)


def _fits(trajectories: Trajectories, task: Task, actions: gymnasium.Space) -> bool:
    """Check whether a policy trained on the data could play in the task's environment."""
    env = make_environment(task)
    env.close()
    return trajectories.observations.shape[1:] == env.observation_space.shape and same_actions(
        actions, env.action_space
    )
