"""What a run's folder may hold: which files, how large, what must be in them. For runs that come from elsewhere.

Nothing that is read here is run or unpickled: JSON, CSV and safetensors.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from ..datasets.errors import UserError
from ..datasets.storage import LOCK, scratch_folder
from .config import RUN_ID, RunConfig
from .run_layout import CHECKPOINT, DATA_FACTS, FILES, MB
from .runs import read_config

LIMITS = {name: file.most for name, file in FILES.items() if file.most}  # of the files that are shared, in bytes
OF_FINISHED = tuple(name for name, file in FILES.items() if file.of_finished)
OPTIONAL = (DATA_FACTS,)  # what the policy has to know of its data: a run that was pulled from a hub has it
DONE = {"params_total": int, "params_trainable": int, "train_seconds": float, "simulator": str}
TENSORS = ("policy.", "optimizer.", "random.")

# They begin the names of folders for runs that are not checked yet, and of those that are on the way to their places.
ARRIVING, IMPORTED = ".arriving.", "being-imported-"
BATCH = "batch"

Facts = dict[str, Any]  # of a file: {"sha256": hex, "size": bytes}


@dataclass(frozen=True)
class Placed:
    """What came of bringing runs to a folder of runs."""

    added: list[str]  # run ids
    there: list[str]  # that were there already, equal to what was brought


def known_files(folder: Path) -> list[Path]:
    """The files of a run that are shared, in the order of `LIMITS`."""
    return [folder / name for name in LIMITS if (folder / name).is_file()]


def file_facts(path: Path) -> Facts:
    """SHA-256 and size of a file."""
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "size": path.stat().st_size}


def check_run(folder: Path) -> str:
    """Refuse, with a `UserError`, a run whose files do not fit together; its status otherwise.

    The folder's name must be the id that its configuration hashes to; every file must parse, hold finite numbers and
    agree with the others. Status: "finished", "unfinished" or "failed".
    """
    from .collect import read_run

    config = checked_config(folder)
    run = read_run(folder)
    if run["status"] == "damaged":
        raise UserError(f"run {folder.name} is damaged: {run['problem']}")
    rows = _check_metrics(folder / "metrics.jsonl", config)
    if run["status"] == "finished":
        _check_finished(folder, config, rows)
    if (folder / CHECKPOINT).is_file():
        _check_checkpoint(folder, rows, finished=run["status"] == "finished")
    return str(run["status"])


def checked_config(folder: Path) -> RunConfig:
    """A run's configuration; a `UserError` unless every field is of its kind and the folder's name is the id."""
    for path in known_files(folder):
        if path.stat().st_size > LIMITS[path.name]:
            raise UserError(f"{path} is larger than the {LIMITS[path.name] // MB} MB that such a file may have")
        if path.suffix == ".json":
            read_json(path)
    config = read_config(folder)
    if problem := _misfit(config):
        raise UserError(f"{folder / 'config.json'} is no run's configuration: {problem}")
    if config.id != folder.name or not RUN_ID.fullmatch(folder.name):
        raise UserError(f"{folder} has the configuration of another run, {config.id!r}: it was changed or renamed")
    return config


def read_json(path: Path) -> Any:
    """The content of a JSON file; a `UserError` if it is none, or holds a number that is not finite."""
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} can't be read ({error})") from None


def parse_json(text: str) -> Any:
    """JSON as the standard has it: no NaN, no infinity; a `ValueError` also for what is nested too deeply."""
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _refuse(digits)


def _misfit(config: RunConfig) -> str:
    """Which field of a configuration is of the wrong kind; empty if none is."""
    for name, kind in get_type_hints(RunConfig).items():
        if not _is(getattr(config, name), kind):
            return f"{name} is {str(getattr(config, name))[:80]!r}"
    counts = ("steps", "batch_size", "evaluate_every", "evaluation_episodes", "headline_evaluations")
    wrong = [name for name in counts if getattr(config, name) < 1]
    if wrong or not config.target_returns:
        return f"{(wrong or ['target_returns'])[0]} must be 1 or more"
    return ""


def _is(value: Any, kind: Any) -> bool:
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_is(part, get_args(kind)[0]) for part in value)
    if get_origin(kind) is dict:
        return isinstance(value, dict)
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is kind


def _check_metrics(path: Path, config: RunConfig) -> list[dict[str, Any]]:
    """The rows of `metrics.jsonl`, none if there is no such file yet."""
    if not path.is_file():
        return []
    try:
        rows = [parse_json(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise UserError(f"{path} can't be read ({error})") from None
    steps: list[Any] = [row.get("step") if isinstance(row, dict) else None for row in rows]
    if not all(type(step) is int and 0 < step <= config.steps for step in steps) or steps != sorted(set(steps)):
        raise UserError(f"{path} must hold one JSON object a line, with steps that grow up to {config.steps}")
    if not all(_is(value, float) for row in rows for value in row.values()):
        raise UserError(f"{path} holds values that are not finite numbers")
    return rows


def _check_finished(folder: Path, config: RunConfig, rows: Sequence[Mapping[str, Any]]) -> None:
    for name in OF_FINISHED:
        if not (folder / name).is_file():
            raise UserError(f"run {folder.name} is finished, but there is no {name}")
    done = read_json(folder / "done.json")
    for name, kind in DONE.items():
        if not _is(done.get(name), kind):
            raise UserError(f"{folder / 'done.json'} has no {kind.__name__} as its {name}")
    if not rows or rows[-1]["step"] != config.steps:
        raise UserError(f"{folder / 'metrics.jsonl'} does not reach the run's last step, {config.steps}")


def _check_checkpoint(folder: Path, rows: list[dict[str, Any]], *, finished: bool) -> None:
    """The checkpoint can be read, holds only what a run's holds and, of a finished run, the same logs."""
    names, state = checkpoint_state(folder / CHECKPOINT)
    if not names or not all(name.startswith(TENSORS) for name in names):
        raise UserError(f"{folder / CHECKPOINT} is no run's checkpoint: it holds other tensors")
    if finished and (state.get("metrics"), state.get("episodes")) != (rows, _text(folder / "episodes.csv")):
        raise UserError(f"run {folder.name} has other metrics or episodes than its checkpoint: they were changed")


def checkpoint_state(path: Path) -> tuple[list[str], dict[str, Any]]:
    """The names of a checkpoint's tensors, and its state; no tensor is read. A `UserError` if it can't be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            state = parse_json(file.metadata()["state"])
            names = list(file.keys())
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} can't be read ({error}); it was cut short or is no checkpoint") from None
    if not isinstance(state, dict):
        raise UserError(f"{path} is no run's checkpoint: it says nothing of where the run stands")
    return names, state


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8")  # as it is: no line end is translated


def different_files(ours: Path, theirs: Path) -> list[str]:
    """The files that two folders of one run have both, and that differ; then those of `theirs` that `ours` lacks.

    Checkpoints that hold the same weights and logs are the same: a policy from a hub has no optimiser's state.
    """
    different, lacking = [], []
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
