"""The run store: a folder for each run, every file written whole or not at all.

`config.json` what the run is; `metrics.jsonl` training metrics; `episodes.csv` every evaluation episode; `stages.csv`,
of tasks in stages, those that begin at a stage and end with it; `meters.csv` and `pairs.csv`, of text games, what
training makes of a language model, and of pairs of words; `transcript.json` an episode in words;
`checkpoint.safetensors` everything needed to go on; `done.json` once it has finished; `failed.json` if an error stopped
it; `data.json` of a policy from a hub; `episode.jpg`, `episode.json` frames of an episode, `rewind.json`, or
`rewind.csv` and `rewind_episodes.csv`, a rewind curve, and `perturbed.csv`, moves at random, once they were asked for.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ...datasets.errors import UserError
from ...datasets.locks import lock, try_lock
from ...datasets.storage import write_json, write_text
from .checkpoint import Progress
from .config import RunConfig
from .damage import damage
from .layout import FILES

TEMPORARIES = (*(f".{name}.*" for name in FILES), ".tmp??????")  # `storage.whole_file`'s, and safetensors' own
LOCK = ".lock"
LOOKERS = 0.2  # seconds that `is_held` may hold a lock while it looks, at the very most


def note_on_terminal(line: str) -> None:
    """Print a line that a person should read, but that is no error."""
    print(line, file=sys.stderr, flush=True)


def run_folder(root: Path, config: RunConfig) -> Path:
    """The folder of a run."""
    return root / config.id


def is_done(root: Path, config: RunConfig) -> bool:
    """Check whether the run has finished."""
    return (run_folder(root, config) / "done.json").exists()


def write_logs(folder: Path, progress: Progress) -> None:
    """Write `metrics.jsonl` and `episodes.csv` from the checkpoint's state."""
    write_text(folder / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in progress.metrics))
    write_text(folder / "episodes.csv", progress.episodes)
    if progress.stages:
        write_text(folder / "stages.csv", progress.stages)
    if progress.meters:
        write_text(folder / "meters.csv", progress.meters)


def write_failure(folder: Path, message: str, step: int) -> None:
    """Write `failed.json`: why a run stopped after that step. It is deleted when the run is begun again."""
    write_json(folder / "failed.json", {"message": message, "step": step})


def clear_temporaries(folder: Path) -> None:
    """Delete what killed processes had half written of a run."""
    for pattern in TEMPORARIES:
        for temporary in folder.glob(pattern):
            temporary.unlink(missing_ok=True)


@contextmanager
def open_run(root: Path, config: RunConfig, wait: bool = False) -> Iterator[Path]:
    """The run's folder, made if need be and locked against a second process until the end of the `with` block.

    While another process works on it, raises a `UserError`; with `wait`, waits until that process has let go. What
    killed processes had half written is deleted.
    """
    folder = run_folder(root, config)
    with hold(folder, wait):
        clear_temporaries(folder)  # who wrote them is gone, or had no lock
        if not (folder / "config.json").exists():
            write_json(folder / "config.json", config.stored())
        yield folder


@contextmanager
def hold(folder: Path, wait: bool = False) -> Iterator[None]:
    """Lock a run's folder as `open_run` does, whatever it contains."""
    with _locked(folder, wait) as held:
        if not held:
            raise UserError(f"run {folder.name} is being worked on by another process; wait for it or stop it")
        yield


def is_held(root: Path, config: RunConfig) -> bool:
    """Check whether another process works on the run."""
    try:
        with (run_folder(root, config) / LOCK).open("r+") as door:
            return not try_lock(door)
    except FileNotFoundError:
        return False


def set_damaged_aside(root: Path, config: RunConfig) -> str:
    """Rename the run's folder if a file in it is damaged, so that the run starts anew; return a line that says so.

    The line is empty if nothing is damaged. The damaged folder stays beside the new one, as ID.broken-1.
    """
    folder = run_folder(root, config)
    if not damage(folder):
        return ""
    with _locked(folder, wait=False) as held:
        what = damage(folder)  # again, now that nobody else can be at work on it
        if not held or not what:
            return ""
        number = 1
        while (aside := folder.with_name(f"{folder.name}.broken-{number}")).exists():
            number += 1
        os.rename(folder, aside)
    return f"run {config.id}: {what}; its folder is set aside as {aside.name}, and the run starts anew"


@contextmanager
def _locked(folder: Path, wait: bool) -> Iterator[bool]:
    """Lock a run's folder, made if need be; yield whether that succeeded, which it always does with `wait`."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            door = (folder / LOCK).open("a")
        except FileNotFoundError:  # it was set aside since the line before
            continue
        with door:
            held = _lock(door, wait)
            if not held or _is_file(door, folder / LOCK):  # else it was set aside while this process waited
                yield held
                return


def _lock(door: IO[str], wait: bool) -> bool:
    """Lock a file; without `wait`, give up once it is held for longer than `is_held` would hold it."""
    if wait:
        lock(door)
        return True
    until = time.monotonic() + LOOKERS
    while not (held := try_lock(door)) and time.monotonic() < until:
        time.sleep(LOOKERS / 10)
    return held


def _is_file(opened: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(opened.fileno()), path.stat())
    except FileNotFoundError:
        return False
