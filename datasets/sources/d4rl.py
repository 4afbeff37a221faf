"""Read D4RL's HDF5 files with h5py; neither D4RL's package nor anything it needs is imported.

The files are flat arrays of T steps, episodes end to end. They differ in what separates episodes:

- locomotion: `terminals` and `timeouts`; versions 1 and 2 also have `next_observations`. A file without `timeouts`, as
  early ones are, is cut where an episode reaches the task's horizon.
- kitchen: `terminals` alone, set where a demonstration stops, whether or not its sub-goals are done. They stay
  terminals, as in D4RL: what lies beyond was never recorded.

Every step is kept, and none is made up. What a file does not tell is decided here and said in the `origin`:

- Without `next_observations`, the observation after an episode's last action is unknown, and the one before it stands
  in. After a terminal nothing looks at it; after a timeout a value function bootstraps from a state one step early.
- Steps after the last end are an episode that the end of the file cuts: a timeout.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from ..catalog import find_task
from ..conversions import check_numbers, to_flags, to_floats
from ..counts import count
from ..entries import D4RL, DATASETS, OLDER, Dataset
from ..errors import UserError
from ..file_checks import check_regular_file
from ..kitchen import done_so_far, satisfied
from ..tasks import Task
from ..trajectories import Array, Provenance, Trajectories
from .hdf5 import open_hdf5, read_array, read_through

REQUIRED = ("observations", "actions", "rewards", "terminals")
OPTIONAL = ("timeouts", "next_observations")
SIMULATOR = "mujoco-py"  # D4RL says no more about what its data were made with


def read(path: Path, dataset: Dataset, file: D4RL) -> Trajectories:
    """Read a D4RL file as the source `file` of `dataset`, whole and checked.

    Observations (T, S), actions (T, A) and rewards (T,) become float32. Kitchen rewards become +1 once per sub-goal,
    paid on the step that leads to it, as the environment pays; the source `d4rl-legacy` keeps what is stored.

    Raises a `UserError` that says what is wrong with the file.
    """
    _check_version(path, dataset, file)
    task = find_task(dataset.task)
    with ThreadPoolExecutor(1) as pool, open_hdf5(path) as content:
        digest = pool.submit(_sha256, path)
        _check_shapes(content, path, file)
        observations, actions, stored_rewards = (_floats(content, name, path) for name in REQUIRED[:3])
        terminals = _flags(content, "terminals", path)
        timeouts = _flags(content, "timeouts", path) if "timeouts" in content else None
        ends, notes = _ends(terminals, timeouts, task)
        last_observations, note = _last_observations(content, observations, ends, path)
    notes += note
    offsets = np.concatenate([[0], np.flatnonzero(ends) + 1]).astype(np.int64)
    rewards = stored_rewards.reshape(-1)
    if task.sub_goals and not file.legacy:
        rewards, note = sub_goal_rewards(rewards, observations, offsets, task, path)
        notes += note
    origin = "; ".join([path.name, f"sha256 {digest.result()[:16]}", *notes])
    return Trajectories(
        observations=observations,
        actions=actions,
        rewards=rewards,
        terminals=terminals,
        timeouts=ends & ~terminals,
        offsets=offsets,
        last_observations=last_observations,
        provenance=Provenance(dataset.name, file.name, origin, file.d4rl_id, SIMULATOR),
    ).check()


def check_file(path: Path) -> None:
    """Open an HDF5 file and read all of every array in it; a `UserError` if it is no HDF5 file or damaged."""
    if not path.exists():
        raise UserError(f"no file {path}; give the path of a D4RL HDF5 file")
    check_regular_file(path)
    if not h5py.is_hdf5(path):
        with path.open("rb") as file:
            beginning = file.read(40)
        raise UserError(f"{path} is no HDF5 file: it begins with {beginning!r}")
    arrays: list[h5py.Dataset] = []
    with open_hdf5(path) as content:
        content.visititems(lambda _, item: arrays.append(item) if isinstance(item, h5py.Dataset) else None)
        for array in arrays:
            read_through(array)


def episode_ends(terminals: Array, timeouts: Array | None, horizon: int | None) -> Array:
    """A mask (T,) of the last step of each episode, from the flags (T,) of a file.

    Without `timeouts`, an episode that reaches `horizon` steps ends there; with a `horizon` of None only terminals end
    one. The last step of all is no end unless it says so.
    """
    if timeouts is not None:
        ends: Array = terminals | timeouts
        return ends
    if horizon is None:
        return terminals.copy()
    starts = np.concatenate([[0], np.flatnonzero(terminals[:-1]) + 1])
    step = np.arange(len(terminals)) - np.repeat(starts, np.diff(np.append(starts, len(terminals))))
    ends = terminals | ((step + 1) % horizon == 0)
    return ends


def sub_goal_rewards(
    counts: Array, observations: Array, offsets: Array, task: Task, path: Path
) -> tuple[Array, list[str]]:
    """Rewards (T,) of +1 once per sub-goal, and what has to be said about them, from the stored counts (T,).

    A file's reward t is the number of sub-goals that observation t satisfies; the environment pays 1 on the step that
    leads to the first observation that satisfies a sub-goal. So step t gets what is new in observation t + 1, the first
    step also what its own observation satisfies, and the last step, whose outcome nobody recorded, nothing. What was
    done is decided by `kitchen.done_so_far`.
    """
    most = len(task.sub_goals)
    if not np.isin(counts, np.arange(most + 1)).all():
        wrong = counts[~np.isin(counts, np.arange(most + 1))][0]
        raise UserError(
            f"{path} is no kitchen file: a reward is {wrong:g}, but rewards there count sub-goals, 0 to {most}"
        )
    done = satisfied(observations, task.sub_goals)
    rewards = np.zeros(len(counts), np.float32)
    doubtful = 0
    for start, end in pairwise(offsets):
        so_far, agree = done_so_far(done[start:end], counts[start:end])
        doubtful += not agree
        new = np.diff(so_far, prepend=0)
        rewards[start : end - 1] = new[1:]
        rewards[start] += new[0]
    if not doubtful:
        return rewards, []
    return rewards, [
        f"the stored counts of {doubtful} of {len(offsets) - 1} episodes are not those of the observations"
    ]


def _check_version(path: Path, dataset: Dataset, file: D4RL) -> None:
    """Refuse a file that by its name is another of D4RL's: scores on versions 0, 1 and 2 are not comparable."""
    for other in (*DATASETS.values(), *OLDER.values()):
        files = [source for source in other.sources if isinstance(source, D4RL)]
        if files and files[0].file_name == path.name and files[0].address != file.address:
            raise UserError(
                f"{path.name} is D4RL's {files[0].d4rl_id}, not {file.d4rl_id}; "
                f"type: lamobench data fetch {other.name} --from {path}"
            )


def _check_shapes(content: h5py.File, path: Path, file: D4RL) -> None:
    missing = [name for name in REQUIRED if not isinstance(content.get(name), h5py.Dataset)]
    if missing:
        raise UserError(f"{path} has no {' and no '.join(missing)}; a D4RL file has {', '.join(REQUIRED)}")
    for name in (*REQUIRED, *(name for name in OPTIONAL if name in content)):
        if not isinstance(content[name], h5py.Dataset) or not content[name].shape:
            raise UserError(f"{path} has no array of steps as its {name}; is it a D4RL file?")
        check_numbers(content[name].dtype, f"{path}: {name}")
    steps = len(content["rewards"])
    if steps == 0:
        raise UserError(f"{path} is empty: it holds no steps; download or copy it again")
    sizes = {"observations": file.observation_size, "actions": file.action_size}
    sizes |= {"next_observations": file.observation_size} if "next_observations" in content else {}
    for name, size in sizes.items():
        if content[name].shape != (steps, size):
            raise UserError(
                f"{path} has {name} of shape {content[name].shape}, but {file.d4rl_id} has {(steps, size)}; "
                "is it another data set's file, or cut short?"
            )
    for name in ("rewards", "terminals", *(["timeouts"] if "timeouts" in content else [])):
        if content[name].shape not in ((steps,), (steps, 1)):  # D4RL itself reads both
            raise UserError(f"{path} has {name} of shape {content[name].shape}, expected {(steps,)}; is it cut short?")


def _ends(terminals: Array, timeouts: Array | None, task: Task) -> tuple[Array, list[str]]:
    """The last step of each episode, the last step of all included, and what has to be said about it."""
    ends = episode_ends(terminals, timeouts, None if task.sub_goals else task.horizon)
    if ends[-1]:
        return ends, []
    ends[-1] = True
    last = np.flatnonzero(ends)
    steps = last[-1] - (last[-2] if len(last) > 1 else -1)
    return ends, [f"the end of the file cuts the last episode after {count(steps, 'step')}"]


def _last_observations(content: h5py.File, observations: Array, ends: Array, path: Path) -> tuple[Array, list[str]]:
    """The observation (N, S) after each episode's last action, and what has to be said about it."""
    if "next_observations" in content:
        last = read_array(content["next_observations"], np.flatnonzero(ends))
        return to_floats(last, f"{path}: next_observations"), []
    return observations[ends], ["no next observations are stored: the last ones stand in"]


def _floats(content: h5py.File, name: str, path: Path) -> Array:
    return to_floats(read_array(content[name]), f"{path}: {name}")


def _flags(content: h5py.File, name: str, path: Path) -> Array:
    """A mask (T,) from flags (T,) or (T, 1) that may be bool, 0 and 1, or 0.0 and 1.0."""
    return to_flags(read_array(content[name]), f"{path}: {name}").reshape(-1)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
