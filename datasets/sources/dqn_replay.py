"""Read DQN replay: what a DQN agent saw and did during its training on an Atari game (Agarwal et al. 2020).

A checkpoint is four gzip'd `.npy` files with a million rows each: `observation` (T, 84, 84) uint8, `action`, `reward`
and `terminal` (T,). Row t holds the frame before action t, the action, and what followed. Frames are unpacked to disk
as they come, so that memory never holds more than a block of them.

The files are the agent's replay buffer (Dopamine, `circular_replay_buffer.py`; batch_rl, `logged_replay_buffer.py`):

- Each episode begins with three rows of zeros, there to be stacked with the first frame. They are no steps and are left
  out; `windows.py` stacks with black frames on its own.
- The buffer is written just before its last row is filled, so that row is a step of a million steps earlier. It is left
  out.
- Rewards are those the agent learned from: clipped to [-1, 1]. Unclipped ones were never stored.
- A terminal is the end of a game, or of the 27,000 steps after which Dopamine breaks one off.
- What is seen after an episode's last action is not stored. The frame before it stands in. Nothing looks at it after a
  terminal; the steps after the last terminal are an episode that the end of the file cuts, a timeout.
"""

import gzip
import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from tqdm import tqdm

from ..conversions import to_flags, to_floats
from ..counts import count
from ..entries import Dataset, DQNReplay
from ..errors import UserError
from ..file_checks import check_regular_file, check_unpacked_size
from ..npy_files import read_header
from ..sizes import REPLAY_STEPS
from ..storage import check_room
from ..trajectories import Array, Provenance, Trajectories

FRAME = (84, 84)
BLOCK = 4096  # frames unpacked at a time: 29 MB
PADDING = 3  # rows of zeros before each episode: Dopamine stacks four frames
ACTIONS = 18  # that an Atari 2600 has
TYPES = {"action": "iu", "reward": "fiu", "terminal": "ub"}  # kinds of NumPy types
# The agents played in Gym's `NoFrameskip-v0` environments: four emulator frames a step, sticky actions with 0.25.
ENVIRONMENT = "{game}NoFrameskip-v0"
SIMULATOR = "ale, version not recorded"


def read(folder: Path, dataset: Dataset, source: DQNReplay, scratch: Path) -> Trajectories:
    """Read the four files of a checkpoint in `folder` as the source `source` of `dataset`, whole and checked.

    Frames stay (84, 84) uint8, one to a row, and become memory maps of files in `scratch`; actions become int64,
    rewards float32. Raises a `UserError` that names the file and says what is wrong with it.
    """
    paths = {kind: folder / name for kind, name in source.file_names.items()}
    missing = [str(path) for path in paths.values() if not path.exists()]
    if missing:
        raise UserError(f"no file {missing[0]}; give the folder with the files {', '.join(source.file_names.values())}")
    actions, rewards, terminals = _columns(paths)
    ends = terminals.copy()
    ends[-1] = True
    blank = (actions == 0) & (rewards == 0) & ~terminals
    padding = _unpack(paths["observation"], scratch, np.flatnonzero(ends) + 1, blank, dataset.name)
    kept = _kept(ends, padding)
    offsets = np.concatenate([[0], np.flatnonzero(ends[kept]) + 1]).astype(np.int64)
    return Trajectories(
        observations=np.load(scratch / "observations.npy", mmap_mode="r", allow_pickle=False),
        actions=actions[kept].astype(np.int64),
        rewards=rewards[kept],
        terminals=terminals[kept],
        timeouts=(ends & ~terminals)[kept],
        offsets=offsets,
        last_observations=np.load(scratch / "last_observations.npy", mmap_mode="r", allow_pickle=False),
        provenance=Provenance(
            dataset=dataset.name,
            source=source.name,
            origin=_origin(source, int(padding.sum()), cut=not terminals[kept][-1]),
            env_id=ENVIRONMENT.format(game=source.game),
            simulator=SIMULATOR,
        ),
    ).check()


def check_file(path: Path) -> None:
    """Unpack a file and forget it again; a `UserError` if it is no gzip'd array, damaged, or cut short."""
    with _content(path) as (file, shape, dtype):
        size = math.prod(shape[1:]) * dtype.itemsize
        check_unpacked_size(path, min(BLOCK, shape[0]) * size)
        for start in range(0, shape[0], BLOCK):
            _bytes(file, min(BLOCK, shape[0] - start) * size)


def _origin(source: DQNReplay, padding: int, cut: bool) -> str:
    notes = [
        f"DQN replay, {source.game}, run {source.run}, checkpoint {source.checkpoint}",
        "rewards were stored clipped to [-1, 1]",
        f"{count(padding, 'row')} of padding and the last row, which is of another time, are left out",
        "no frames after an episode's last action are stored: the last ones stand in",
    ]
    return "; ".join([*notes, "the end of the file cuts the last episode"] if cut else notes)


def _kept(ends: Array, padding: Array) -> Array:
    """A mask (T,) of the rows that are steps, from each episode's number of rows of padding at its start (N,)."""
    starts = np.concatenate([[0], np.flatnonzero(ends)[:-1] + 1])
    kept = np.ones(len(ends), bool)
    for row in range(PADDING):
        kept[starts[padding > row] + row] = False
    return kept


def _unpack(path: Path, scratch: Path, stops: Array, blank: Array, name: str) -> Array:
    """Write the frames of all episodes to `observations.npy`, the last of each to `last_observations.npy`.

    `stops` (N,) is where each episode stops; `blank` (T,) says which rows may be padding if their frames are black.
    Returns how many rows of padding were found at each episode's start, (N,).
    """
    padding = np.zeros(len(stops), np.int64)
    bar = tqdm(total=len(blank), desc=f"unpacking {name}", unit=" frames", leave=False, disable=None)
    files = (scratch / "observations.npy", scratch / "last_observations.npy")
    with _content(path) as (file, shape, dtype), _frames(files[0]) as write, _frames(files[1]) as write_last, bar:
        if shape != (len(blank) + 1, *FRAME) or dtype != np.uint8:
            raise UserError(
                f"{path} holds {shape} {dtype}, expected {(len(blank) + 1, *FRAME)} uint8 like its siblings"
            )
        check_room(scratch, name, len(blank) * FRAME[0] * FRAME[1])
        for episode, (start, stop) in enumerate(pairwise([0, *stops.tolist()])):
            for begin in range(start, stop, BLOCK):
                count = min(BLOCK, stop - begin)
                frames = np.frombuffer(_bytes(file, count * FRAME[0] * FRAME[1]), np.uint8).reshape(count, *FRAME)
                if begin == start:
                    padding[episode] = _leading_padding(frames, blank[start:stop])
                    frames = frames[padding[episode] :]
                write(frames)
                bar.update(count)
            write_last(frames[-1:])
        _bytes(file, FRAME[0] * FRAME[1])
    return padding


def _leading_padding(frames: Array, blank: Array) -> int:
    """The number of an episode's first rows, at most three, that are padding: nothing but zeros."""
    count = 0
    while count < min(PADDING, len(frames)) and blank[count] and not frames[count].any():
        count += 1
    return count


def _column(path: Path, kind: str) -> Array:
    """The whole content (T,) of one of the small files."""
    with _content(path) as (file, shape, dtype):
        if len(shape) != 1 or dtype.kind not in TYPES[kind]:
            raise UserError(f"{path} holds {shape} {dtype}, expected one {kind} a row")
        return np.frombuffer(_bytes(file, shape[0] * dtype.itemsize), dtype)


def _columns(paths: dict[str, Path]) -> tuple[Array, Array, Array]:
    """Actions, rewards and terminals, each (T,), without the last row, which is of another time."""
    actions, rewards, terminals = (_column(paths[kind], kind) for kind in DQNReplay.KINDS[1:])
    rows = len(terminals)
    for kind, column in (("action", actions), ("reward", rewards)):
        if len(column) != rows:
            raise UserError(f"{paths[kind]} has {count(len(column), 'row')}, but {paths['terminal'].name} has {rows}")
    if rows < 2:
        raise UserError(f"{paths['terminal']} has {count(rows, 'row')}, which hold no step; download or copy it again")
    actions = actions[:-1]
    terminals = to_flags(terminals[:-1], str(paths["terminal"]))
    if actions.min() < 0 or actions.max() >= ACTIONS:
        raise UserError(f"{paths['action']} has actions from {actions.min()} to {actions.max()}, expected 0 to 17")
    return actions, to_floats(rewards[:-1], str(paths["reward"])), terminals


@contextmanager
def _content(path: Path) -> Iterator[tuple[gzip.GzipFile, tuple[int, ...], np.dtype[Any]]]:
    """The array in a gzip'd `.npy` file, to be read to its end: what follows its header, its shape and its type."""
    check_regular_file(path)
    try:
        with gzip.open(path, "rb") as file:
            shape, dtype = _header(file, path)
            yield file, shape, dtype
            if file.read(1):  # this also compares the checksum, which follows the content
                raise UserError(f"{path} holds more than the {shape[0]} rows it says; download or copy it again")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} is damaged or cut short ({error}); download or copy it again") from None


def _header(file: gzip.GzipFile, path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        shape, by_columns, dtype = read_header(file)
    except ValueError:
        raise UserError(f"{path} holds no NumPy array; is it a file of DQN replay?") from None
    if by_columns or not shape:
        raise UserError(f"{path} holds {shape} {dtype}, expected rows of numbers")
    if shape[0] > REPLAY_STEPS:
        raise UserError(f"{path} says that it has {shape[0]} rows; a checkpoint of DQN replay has {REPLAY_STEPS}")
    return shape, dtype


def _bytes(file: gzip.GzipFile, count: int) -> bytes:
    content = file.read(count)
    if len(content) < count:
        raise EOFError("fewer rows than it says")
    return content


@contextmanager
def _frames(path: Path) -> Iterator[Callable[[Array], None]]:
    """Yield what appends frames (n, 84, 84) uint8 to a new `.npy` file.

    Plain writes, not a memory map: on a full disk they are an error that can be caught, and they take no memory.
    """
    count = 0
    with path.open("wb") as file:

        def write(frames: Array) -> None:
            nonlocal count
            file.write(frames.data)
            count += len(frames)

        _write_header(file, 0)
        yield write
        file.seek(0)
        _write_header(file, count)  # as long as the first one: NumPy leaves room for the first axis to grow


def _write_header(file: IO[bytes], count: int) -> None:
    npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (count, *FRAME)})
