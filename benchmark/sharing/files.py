"""Check what a run's folder may hold: which files, how large, what is in them. For runs that come from elsewhere.

Nothing that is read here is run or unpickled: JSON, CSV and safetensors.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...datasets.errors import UserError
from ...datasets.file_checks import check_regular_file
from ...datasets.storage import LOCK, scratch_folder
from ..runs.config import RUN_ID, RunConfig
from ..runs.layout import CHECKPOINT, DATA_FACTS, FILES
from ..runs.methods import find_method
from ..runs.records import (
    check_checkpoint,
    check_content,
    check_id,
    file_hash,
    read_config,
    read_done,
    read_metrics,
    state_in,
)

LIMITS = {name: file.most for name, file in FILES.items() if file.most}  # most bytes of each file that is shared
OF_FINISHED = tuple(name for name, file in FILES.items() if file.of_finished)
OPTIONAL = (DATA_FACTS,)  # what the policy has to know of its data: a run that was pulled from a hub has it
TENSORS = ("policy.", "optimizer.", "random.")

# They begin the names of folders for runs that are not checked yet, and of those that are on the way to their places.
ARRIVING = ".arriving."
IMPORTED = "being-imported-"
BATCH = "batch"

Facts = dict[str, Any]  # of a file: {"sha256": hex, "size": bytes}


@dataclass(frozen=True)
class Placed:
    """The outcome of bringing runs to a folder of runs."""

    added: list[str]  # run ids
    there: list[str]  # that were there already, equal to what was brought


def known_files(folder: Path) -> list[Path]:
    """The files of a run that are shared, in the order of `LIMITS`."""
    return [folder / name for name in LIMITS if (folder / name).is_file()]


def file_facts(path: Path) -> Facts:
    """SHA-256 and size of a file."""
    return {"sha256": file_hash(path), "size": path.stat().st_size}


def check_run(folder: Path) -> str:
    """Refuse, with a `UserError`, a run whose files do not fit together; its status otherwise.

    The folder's name must be the id that its configuration hashes to; every file must parse, hold finite numbers and
    agree with the others. Status: "finished", "unfinished" or "failed".
    """
    from ..scores.collect import read_run

    config = checked_config(folder)
    find_method(config.method)
    run = read_run(folder)
    if run.status == "damaged":
        raise UserError(f"run {folder.name} is damaged: {run.problem}")
    rows = _checked_rows(folder, config)
    if run.status == "finished":
        _check_finished(folder, config, rows)
    if (folder / CHECKPOINT).is_file():
        _check_checkpoint(folder, rows, finished=run.status == "finished")
    return run.status


def checked_config(folder: Path) -> RunConfig:
    """A run's configuration; a `UserError` unless every field is in its range and the folder's name is the id."""
    for path in known_files(folder):
        check_regular_file(path, LIMITS[path.name])
    config = read_config(folder)
    check_id(config, folder)
    if not RUN_ID.fullmatch(folder.name):
        raise UserError(f"{folder.name[:200]!r} is no run's id")
    return config


def _checked_rows(folder: Path, config: RunConfig) -> list[dict[str, Any]]:
    """The rows of `metrics.jsonl`, none if there is no such file yet."""
    try:
        rows = read_metrics(folder, config.steps)
        if (folder / "done.json").exists() and rows:
            check_content("metrics.jsonl", (folder / "metrics.jsonl").read_bytes(), read_done(folder))
    except UserError as error:
        raise UserError(f"run {folder.name} is damaged: {error}") from None
    return rows


def _check_finished(folder: Path, config: RunConfig, rows: Sequence[Mapping[str, Any]]) -> None:
    for name in OF_FINISHED:
        if not (folder / name).is_file():
            raise UserError(f"run {folder.name} is finished, but there is no {name}")
    if not rows or rows[-1]["step"] != config.steps:
        raise UserError(f"{folder / 'metrics.jsonl'} does not reach the run's last step, {config.steps}")


def _check_checkpoint(folder: Path, rows: list[dict[str, Any]], *, finished: bool) -> None:
    """The checkpoint can be read, holds only what a run's holds and, of a finished run, the same logs."""
    names, state = checkpoint_state(folder / CHECKPOINT)
    if not names or not all(name.startswith(TENSORS) for name in names):
        raise UserError(f"{folder / CHECKPOINT} is no run's checkpoint: it holds other tensors")
    kept = (state["metrics"], state["episodes"], state.get("stages", ""), state.get("meters", ""))
    more = [_text(path) if (path := folder / name).is_file() else "" for name in ("stages.csv", "meters.csv")]
    if finished and kept != (rows, _text(folder / "episodes.csv"), *more):
        raise UserError(f"run {folder.name} has other metrics or episodes than its checkpoint: they were changed")
    check_checkpoint(folder)


def checkpoint_state(path: Path) -> tuple[list[str], dict[str, Any]]:
    """The names of a checkpoint's tensors, and its state; no tensor is read. A `UserError` if it can't be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return list(file.keys()), state_in(file.metadata())
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"{path} can't be read ({error}); it was cut short or is no checkpoint") from None


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8")  # as it is: no line end is translated


def different_files(ours: Path, theirs: Path) -> list[str]:
    """The files that two folders of one run have both, and that differ; then those of `theirs` that `ours` lacks.

    Checkpoints that hold the same weights and logs are the same: a policy from a hub has no optimiser's state.
    """
    different = []
    lacking = []
    for path in known_files(theirs):
        if not (ours / path.name).is_file():
            lacking += [] if path.name in OPTIONAL else [path.name]
        elif file_facts(path) != file_facts(ours / path.name) and not _same_policy(path, ours / path.name):
            different.append(path.name)
    return different + lacking


def _same_policy(first: Path, second: Path) -> bool:
    return first.name == CHECKPOINT and policy_digest(first) == policy_digest(second)


def policy_digest(path: Path) -> str:
    """SHA-256 of the weights and logs in a checkpoint, whatever else it holds."""
    import torch
    from safetensors.torch import load_file

    _, state = checkpoint_state(path)
    digest = hashlib.sha256(json.dumps([state.get("step"), state.get("metrics"), state.get("episodes")]).encode())
    for name, tensor in sorted(load_file(path).items()):
        if name.startswith("policy."):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def waiting_room(root: Path) -> Iterator[Path]:
    """A hidden folder in `root` for runs that are not checked yet; deleted in the end, or by whoever comes next."""
    with scratch_folder(root, ARRIVING) as folder:
        yield folder


def place(folders: Sequence[Path], root: Path) -> Placed:
    """Move checked runs, all from one waiting room, to `root`: all of them, or none. A run that is there stays.

    Several appear in one step, as a folder of runs in `root`, from which each then moves to its place: a process that
    is killed meanwhile leaves all of them to be seen, and the next one moves the rest.

    Raises a `UserError`, and moves nothing, if a run that is there differs from the one that was brought.
    """
    _finish_placing(root)
    there = [folder.name for folder in folders if (root / folder.name).exists()]
    for folder in folders:
        if folder.name in there and (names := different_files(root / folder.name, folder)):
            raise UserError(
                f"{root / folder.name} is there already and has other content, or none, in {', '.join(names)}; nothing "
                "was changed: give --runs another folder, or remove it with `lamobench runs remove`"
            )
    new = [folder for folder in folders if folder.name not in there]
    for folder in new:
        os.chmod(folder, 0o755)
    if len(new) == 1:
        os.rename(new[0], root / new[0].name)
    elif new:
        batch = new[0].parent / BATCH
        batch.mkdir()
        for folder in new:
            os.rename(folder, batch / folder.name)
        shown = root / f"{IMPORTED}{batch.parent.name.removeprefix(ARRIVING)}"
        os.rename(batch, shown)
        _move_out(shown, root)
    return Placed([folder.name for folder in new], there)


def _finish_placing(root: Path) -> None:
    """Move the runs of imports that were killed to their places."""
    for shown in root.glob(f"{IMPORTED}????????"):
        if not (root / f"{ARRIVING}{shown.name.removeprefix(IMPORTED)}{LOCK}").exists():  # else its process lives
            _move_out(shown, root)


def _move_out(shown: Path, root: Path) -> None:
    """Move each run in a folder to `root`, but for those that are there meanwhile; an empty folder goes."""
    for folder in sorted(shown.iterdir()):
        with suppress(OSError):  # another process has made a run of that name: this one is still seen where it is
            os.rename(folder, root / folder.name)
    with suppress(OSError):
        shown.rmdir()
