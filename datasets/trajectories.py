"""`Trajectories`: the only format of data that the floors above see.

Shapes: T steps in all, N episodes, S observation, A action.
"""

import hashlib
import mmap
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from .counts import count
from .errors import UserError

Array = np.ndarray[Any, Any]
PIECE = 1 << 26  # bytes of an array that are hashed at a time


@dataclass(frozen=True)
class Provenance:
    """The origin of a data set; part of every leaderboard row."""

    dataset: str  # the catalog's name, e.g. "reacher2d-medium"
    source: str  # "recorded", "minari", "d4rl" or "dqn_replay"; rows of different sources are never compared as one
    origin: str  # the file, address or Minari id it was read from
    env_id: str  # the Gymnasium id of the environment that made it
    simulator: str  # e.g. "mujoco 3.3.0"


@dataclass(frozen=True)
class Trajectories:
    """Episodes laid end to end in flat arrays, in memory or memory-mapped.

    An episode is the half-open range `offsets[n]:offsets[n + 1]` of the flat arrays. The observation after its last
    action is `last_observations[n]`, so that nothing of an episode is lost: the step t of episode n leads from
    `observations[t]` to `observations[t + 1]`, or to `last_observations[n]` at the end.
    """

    observations: Array  # (T, S) float32, or (T, H, W) uint8 for images
    actions: Array  # (T, A) float32 in the action space's units, or (T,) int64 for discrete actions
    rewards: Array  # (T,) float32
    terminals: Array  # (T,) bool: the environment ended the episode here; no value lies beyond
    timeouts: Array  # (T,) bool: the episode was cut here; a value function bootstraps beyond
    offsets: Array  # (N + 1,) int64, offsets[0] = 0, offsets[N] = T
    last_observations: Array  # (N, S): the observation after each episode's last action
    provenance: Provenance
    known_hash: str = field(default="", compare=False, repr=False)  # spares a cached data set from being read whole

    ARRAYS: ClassVar = ("observations", "actions", "rewards", "terminals", "timeouts", "offsets", "last_observations")
    TYPES: ClassVar = {  # of each array, as NumPy writes them
        "observations": ("<f4", "|u1"),
        "actions": ("<f4", "<i8"),
        "rewards": ("<f4",),
        "terminals": ("|b1",),
        "timeouts": ("|b1",),
        "offsets": ("<i8",),
        "last_observations": ("<f4", "|u1"),
    }

    @property
    def num_steps(self) -> int:
        """T, the number of steps of all episodes."""
        return len(self.rewards)

    @property
    def num_episodes(self) -> int:
        """N, the number of episodes."""
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> Array:
        """Steps (N,) int64 of each episode."""
        lengths: Array = np.diff(self.offsets)
        return lengths

    @cached_property
    def returns(self) -> Array:
        """The undiscounted return (N,) float64 of each episode."""
        returns: Array = np.add.reduceat(np.asarray(self.rewards, np.float64), self.offsets[:-1])
        return returns

    @property
    def discrete(self) -> bool:
        """Check whether actions are integers."""
        return self.actions.ndim == 1

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over the arrays' own hashes: the same content gives the same hash, whatever its source or folder."""
        return self.known_hash or combine_hashes({name: array_hash(getattr(self, name)) for name in self.ARRAYS})

    def check(self) -> "Trajectories":
        """Return self if every contract above holds; raise a `UserError` that names the array and place otherwise."""
        _check_shapes(self)
        _check_values(self)
        return self


def array_hash(array: Array) -> str:
    """SHA-256 of an array's type, shape and content."""
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    rows = max(1, PIECE // max(1, array[:1].nbytes))  # in pieces: a memory-mapped array may be larger than memory
    for start in range(0, len(array), rows):
        digest.update(np.ascontiguousarray(array[start : start + rows]).data)
        if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and array.mode == "r":
            array.base.madvise(mmap.MADV_DONTNEED)  # pages that were read would go on counting as this process's memory
    return digest.hexdigest()


def combine_hashes(hashes: dict[str, str]) -> str:
    """SHA-256 over named hashes, independent of their order."""
    return hashlib.sha256("\n".join(f"{name} {hashes[name]}" for name in sorted(hashes)).encode()).hexdigest()


def _check_shapes(data: Trajectories) -> None:
    dataset = data.provenance.dataset
    steps = data.num_steps
    episodes = data.num_episodes
    if episodes < 1 or steps < 1:
        size = f"{count(episodes, 'episode')}, {count(steps, 'step')}"
        raise UserError(f"data set '{dataset}' is empty: {size}; record or fetch it again")
    for array, types in data.TYPES.items():
        if getattr(data, array).dtype.str not in types:
            raise UserError(
                f"data set '{dataset}': {array} is of type {getattr(data, array).dtype}, expected {' or '.join(types)}"
            )
    for array in ("observations", "actions", "terminals", "timeouts"):
        if len(getattr(data, array)) != steps:
            raise UserError(
                f"data set '{dataset}': {array} has {len(getattr(data, array))} entries, but rewards has {steps}; "
                "the file may be cut short: fetch or record it again"
            )
    if data.offsets[0] != 0 or data.offsets[-1] != steps or (data.lengths < 1).any():
        raise UserError(f"data set '{dataset}': episode offsets must rise from 0 to {steps} and leave no episode empty")
    if data.last_observations.shape != (episodes, *data.observations.shape[1:]):
        raise UserError(
            f"data set '{dataset}': last_observations has shape {data.last_observations.shape}, "
            f"expected {(episodes, *data.observations.shape[1:])}"
        )


def _check_values(data: Trajectories) -> None:
    for name in ("observations", "actions", "rewards", "last_observations"):
        array = getattr(data, name)
        if array.dtype.kind != "f":
            continue
        for start in range(0, len(array), 65536):
            finite = np.isfinite(array[start : start + 65536])
            if not finite.all():
                where = start + int(np.argwhere(~finite)[0][0])
                raise UserError(
                    f"data set '{data.provenance.dataset}': {name}[{where}] is not a finite number; "
                    "correct or drop that episode before importing the data"
                )
    inside = np.ones(data.num_steps, bool)
    inside[data.offsets[1:] - 1] = False
    if (np.asarray(data.terminals) & inside).any() or (np.asarray(data.timeouts) & inside).any():
        raise UserError(f"data set '{data.provenance.dataset}': a terminal or timeout lies inside an episode")
