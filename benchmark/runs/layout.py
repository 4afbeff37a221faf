"""The layout of runs on disk: the files of a run's folder, and where such folders lie."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .config import RUN_ID_END

MB = 1 << 20
CHECKPOINT = "checkpoint.safetensors"
DATA_FACTS = "data.json"
PICTURE = "episode.jpg"
ABOUT_PICTURE = "episode.json"
EVALUATIONS = "evaluations.tar.xz"  # beside tables: the files, but for checkpoints, of the runs that they are of
EVALUATIONS_MOST = 15 * MB  # of such an archive, which is committed with its tables
EVALUATIONS_UNPACKED = 512 * MB  # of what is in it
REWIND = "rewind.json"
PAIRS = "pairs.csv"
TRANSCRIPT = "transcript.json"
ENCODER_REWIND = "rewind.csv"
ENCODER_REWIND_EPISODES = "rewind_episodes.csv"
PERTURBED = "perturbed.csv"
FORMER_METERS = {"holders_valid": "holders_others"}  # columns of meters.csv that earlier runs call otherwise
EVENTS = "tensorboard"  # a folder of TensorBoard's files, which has a folder of each run's name


@dataclass(frozen=True)
class File:
    """A file that a run's folder may hold."""

    most: int = 0  # bytes that one from elsewhere may have; 0: it is not shared
    of_finished: bool = False  # whether every finished run has it
    sized: bool = False  # whether `done.json` holds its size and hash


# What each one holds: `store.py`.
FILES = {
    "config.json": File(MB, of_finished=True, sized=True),
    "metrics.jsonl": File(256 * MB, of_finished=True, sized=True),
    "episodes.csv": File(256 * MB, of_finished=True, sized=True),
    "stages.csv": File(256 * MB, sized=True),
    "meters.csv": File(16 * MB, sized=True),
    PAIRS: File(64 * MB, sized=True),
    TRANSCRIPT: File(MB, sized=True),
    "done.json": File(MB, of_finished=True),
    "failed.json": File(MB),
    DATA_FACTS: File(16 * MB),
    CHECKPOINT: File(8192 * MB - 1, sized=True),  # as much as a tar's header can say
    PICTURE: File(),
    ABOUT_PICTURE: File(),
    REWIND: File(),
    ENCODER_REWIND: File(MB),
    ENCODER_REWIND_EPISODES: File(64 * MB),
    PERTURBED: File(MB),
}


def run_folders(root: Path, named: re.Pattern[str] = RUN_ID_END) -> Iterator[Path]:
    """Folders of runs in `root` and in the folders inside it: those whose names match `named`."""
    return (place / name for place, inside in walk(root) for name in inside if named.search(name))


def walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """`root` and each folder inside it that is no run's, with the names of the folders in it.

    Hidden ones and TensorBoard's are left out; links are not followed.
    """
    inside: list[str] = []
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(root) as entries:
        shown = (entry for entry in entries if not entry.name.startswith(".") and entry.name != EVENTS)
        inside = [entry.name for entry in shown if entry.is_dir(follow_symlinks=False)]
    yield root, inside
    for name in inside:
        if not RUN_ID_END.search(name):
            yield from walk(root / name)
