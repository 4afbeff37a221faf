"""The run store: one folder a run, every file written whole or not at all.

`config.json` what the run is; `metrics.jsonl` training metrics; `episodes.csv` every evaluation episode;
`checkpoint.safetensors` everything needed to go on; `done.json` once it has finished; `failed.json` if it diverged.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from ..datasets.errors import UserError
from ..datasets.storage import write_json, write_text
from .checkpoint import Progress
from .config import RunConfig


def run_folder(root: Path, config: RunConfig) -> Path:
    """The folder of a run."""
    return root / config.id


def is_done(root: Path, config: RunConfig) -> bool:
    """Whether the run has finished."""
    return (run_folder(root, config) / "done.json").exists()


def read_config(folder: Path) -> RunConfig:
    """The configuration of the run in `folder`."""
    path = folder / "config.json"
    try:
        return RunConfig(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{folder} holds no run: there is no config.json in it") from None
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is no run's configuration ({error}); give the folder of a run") from None


def write_logs(folder: Path, progress: Progress) -> None:
    """Bring `metrics.jsonl` and `episodes.csv` to the checkpoint's state."""
    write_text(folder / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in progress.metrics))
    write_text(folder / "episodes.csv", progress.episodes)


@contextmanager
def open_run(root: Path, config: RunConfig, wait: bool = False) -> Iterator[Path]:
    """The run's folder, made if need be and locked against a second process until the end of the `with` block.

    While another process works on it: a `UserError`, or with `wait` patience until that process has let go.
    """
    folder = run_folder(root, config)
    folder.mkdir(parents=True, exist_ok=True)
    with hold(folder, wait):
        if not (folder / "config.json").exists():
            write_json(folder / "config.json", asdict(config))
        yield folder


@contextmanager
def hold(folder: Path, wait: bool = False) -> Iterator[None]:
    """Lock a run's folder as `open_run` does, whatever is in it."""
    with (folder / ".lock").open("a") as lock:
        try:  # the kernel drops the lock when the process dies, however it dies
            fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"run {folder.name} is being worked on by another process; wait for it or stop it"
            ) from None
        yield
