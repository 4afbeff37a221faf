"""Files in D4RL's formats, with the layout and types of its generation scripts, made without it."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lamobench.datasets.kitchen import ELEMENTS, goal_vector
from lamobench.datasets.trajectories import Array

# Lengths and ends of the episodes that the locomotion files hold; the last one is cut by the end of the file.
EPISODES = [(5, "terminal"), (7, "timeout"), (1, "terminal"), (4, "cut")]
STEPS = sum(length for length, _ in EPISODES)


def locomotion(path: Path, version: int = 2, sizes: tuple[int, int] = (11, 3), **changed: Any) -> dict[str, Array]:
    """Write hopper-like data; None in `changed` leaves an array out. Returns the arrays."""
    rng = np.random.default_rng(version)
    observations = [rng.normal(size=(length + 1, sizes[0])).astype(np.float32) for length, _ in EPISODES]
    ends = np.cumsum([length for length, _ in EPISODES]) - 1
    terminals = np.zeros(STEPS, bool)
    timeouts = np.zeros(STEPS, bool)
    for end, (_, kind) in zip(ends, EPISODES, strict=True):
        terminals[end] = kind == "terminal"
        timeouts[end] = kind == "timeout"
    arrays: dict[str, Any] = {
        "observations": np.concatenate([episode[:-1] for episode in observations]),
        "actions": rng.uniform(-1, 1, (STEPS, sizes[1])).astype(np.float32),
        "rewards": rng.normal(size=STEPS).astype(np.float32),
        "terminals": terminals,
        "timeouts": timeouts,
        "infos/qpos": rng.normal(size=(STEPS, 6)),
    }
    if version > 0:
        arrays["next_observations"] = np.concatenate([episode[1:] for episode in observations])
        arrays["metadata/algorithm"] = np.bytes_(b"SAC")
    write(path, {name: array for name, array in (arrays | changed).items() if array is not None})
    return arrays | changed


def kitchen(path: Path, demonstrations: list[list[set[str]]], sub_goals: tuple[str, ...], **changed: Any) -> None:
    """Write one demonstration for each list; an item is the set of sub-goals that one observation satisfies."""
    observations = [observation(done, sub_goals) for demonstration in demonstrations for done in demonstration]
    lengths = [len(demonstration) for demonstration in demonstrations]
    terminals = np.concatenate([np.arange(length) == length - 1 for length in lengths])
    counts = [len(done & set(sub_goals)) for demonstration in demonstrations for done in demonstration]
    arrays: dict[str, Any] = {
        "observations": np.array(observations, np.float32),
        "actions": np.random.default_rng(0).uniform(-1, 1, (len(counts), 9)).astype(np.float32),
        "rewards": np.array(counts, np.float32),
        "terminals": terminals.astype(np.float32),
        "infos": np.repeat(np.arange(len(lengths)), lengths),
    }
    write(path, arrays | changed)


def observation(done: set[str], sub_goals: tuple[str, ...]) -> Array:
    """An observation (60,): the objects of the sub-goals in `done` where they are wanted, the others far from it."""
    values = np.full(30, 5.0)
    for name in done:
        entries, wanted = ELEMENTS[name]
        values[entries] = wanted
    return np.concatenate([values, goal_vector(sub_goals)])


def write(path: Path, arrays: dict[str, Any]) -> None:
    """Write arrays as D4RL's scripts do: gzip for all that is not a scalar."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, compression="gzip" if np.ndim(array) else None)
