"""Files in DQN replay's layout, made without it: as Dopamine's replay buffer would have written them."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np

from lamobench.datasets.entries import DQNReplay
from lamobench.datasets.trajectories import Array

SOURCE = DQNReplay("Breakout", run=1, checkpoint=10)
# Steps of each game: the first began in the file before, the last goes on in the next.
GAMES = (5, 7, 1, 4)
PADDING = 3


def games(lengths: tuple[int, ...] = GAMES, seed: int = 0) -> dict[str, list[Array]]:
    """Frames, actions and rewards of some games, without padding: what a reader should give back."""
    rng = np.random.default_rng(seed)
    return {
        "observation": [rng.integers(1, 256, (n, 84, 84)).astype(np.uint8) for n in lengths],
        "action": [rng.integers(0, 4, n).astype(np.int32) for n in lengths],
        "reward": [rng.integers(-1, 2, n).astype(np.float32) for n in lengths],
    }


def rows(played: dict[str, list[Array]]) -> dict[str, Array]:
    """The buffer's rows: three of zeros before each game but the first, and a last one of another time."""

    def padded(kind: str) -> Array:
        parts = [np.pad(part, [(PADDING, 0)] + [(0, 0)] * (part.ndim - 1)) for part in played[kind]]
        return np.concatenate([parts[0][PADDING:], *parts[1:], parts[0][-1:]])

    ends = [np.arange(len(part)) == len(part) - 1 for part in played["reward"]]
    ends[-1][:] = False
    terminals = np.concatenate([ends[0], *(np.pad(e, (PADDING, 0)) for e in ends[1:]), [True]])
    return {kind: padded(kind) for kind in played} | {"terminal": terminals.astype(np.uint8)}


def write(folder: Path, arrays: dict[str, Array], source: DQNReplay = SOURCE, **changed: Any) -> None:
    """Write the four files; None in `changed` leaves one out."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, array in (arrays | changed).items():
        if array is not None:
            with gzip.open(folder / source.file_names[kind], "wb", compresslevel=1) as file:
                np.save(file, array, allow_pickle=False)
