"""Read the files of a run's folder, and check that they are of the right kind, in range, and what was written.

Runs come from colleagues, archives and hubs, and disks fail, so their content is never trusted. Every problem is a
`UserError` of one line that begins with the file's name; a missing file is a `FileNotFoundError`. Light: the
leaderboard reads ten thousand runs with it.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Annotated, Any, get_type_hints

from ...baselines.fields import Bounds, Count
from ...datasets.errors import UserError
from ...datasets.file_checks import check_regular_file
from ...datasets.json_files import parse_json
from .config import MOST, RunConfig
from .kinds import LONGEST, Fields, checked, of_kind, shown
from .layout import CHECKPOINT, DATA_FACTS, FILES
from .tracks import BEFORE_TRACKS, Track, find_track

MOST_SETTINGS = 1000  # of a method; numbers in a list of them
HASHED = "sha256"  # where `done.json` keeps the hashes of the run's files, and `data.json` that of a pulled checkpoint

Total = Annotated[int, Bounds(0)]  # of parameters, bytes, runs
Seconds = Annotated[float, Bounds(0.0, 1e10)]

DONE_KINDS: dict[str, Any] = {
    "params_total": Count,
    "params_trainable": Total,
    "train_seconds": Seconds,
    "simulator": str,
}
LATER_DONE_KINDS: dict[str, Any] = {  # what runs did not always note
    "evaluation_seconds": Seconds,
    "finished_at": str,
    "device": str,
    "threads": Count,
    "cpus": Count,
    "torch": str,
    "files": dict[str, Total],  # sizes in bytes
    HASHED: dict[str, str],
}
STATE_KINDS: dict[str, Any] = {"step": Annotated[int, Bounds(0, MOST)], "train_seconds": Seconds, "metrics": list[Any]}
LATER_STATE_KINDS: dict[str, Any] = {"evaluation_seconds": Seconds}


def content_of(folder: Path, name: str) -> bytes:
    """The bytes of one of a run's files, a regular one of bounded size."""
    path = folder / name
    try:
        check_regular_file(path, FILES[name].most or None)
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except UserError:
        if not os.path.lexists(path):
            raise FileNotFoundError(f"{name} is missing") from None
        raise
    except OSError as error:
        raise UserError(f"{name} can't be read ({error.strerror})") from None


def object_in(content: bytes, name: str) -> Fields:
    """The object in the content of a JSON file of that name."""
    try:
        value = parse_json(content.decode("utf-8"))
    except ValueError as error:
        raise UserError(f"{name} can't be read ({error})") from None
    if not isinstance(value, dict):
        raise UserError(f"{name} can't be read (it holds no object)")
    return value


def read_config(folder: Path) -> RunConfig:
    """The configuration of the run in `folder`; a `UserError` that says so where there is no run."""
    try:
        return config_in(content_of(folder, "config.json"))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{folder} holds no run: there is no config.json in it") from None
    except UserError as error:
        what = str(error).removeprefix("config.json").lstrip(": ")
        raise UserError(
            f"{folder / 'config.json'} is no run's configuration ({what}); give the folder of a run"
        ) from None


def config_in(content: bytes) -> RunConfig:
    """The configuration in the content of a `config.json`."""
    values = object_in(content, "config.json")
    track = values.pop("track", BEFORE_TRACKS)
    if not isinstance(track, str):
        raise UserError(f"config.json: track is {shown(track)}; expected a name")
    kind, kinds = config_kinds(find_track(track[:80]))
    values = {name: value for name, value in kind.later_fields.items() if name in kinds} | values
    if unknown := values.keys() - kinds.keys():
        raise UserError(f"config.json has {sorted(unknown)[0][:80]!r}, which is no field of this version's")
    config = kind(**checked(values, kinds, {}, "config.json"))
    for name, given, known in config.choices():
        for value in given:
            if value not in known:
                raise UserError(f"config.json: {name} is {value[:80]!r}; expected one of {', '.join(known)}")
    if not config.target_returns:
        raise UserError("config.json: target_returns is []; expected one or more")
    _check_settings(config.policy)
    return config


@cache
def config_kinds(track: Track) -> tuple[type[RunConfig], dict[str, Any]]:
    """The class of a track's configurations, and the types of its fields by name."""
    kind = track.config_class()
    types = get_type_hints(kind, include_extras=True)
    return kind, {field.name: types[field.name] for field in fields(kind)}


def _check_settings(settings: Mapping[str, Any]) -> None:
    """Check that settings are numbers, texts, truths or nothing, or lists of these; the method's class checks more."""
    text = of_kind(str)
    plain = (int, float, bool, NoneType)  # finite, as all numbers of JSON
    for name, value in settings.items():
        parts = value if type(value) is list else [value]
        sound = text(name) and all(type(part) in plain or text(part) for part in parts)
        if not sound or max(len(parts), len(settings)) > MOST_SETTINGS:
            raise UserError(f"config.json: the setting {name[:80]!r} is {shown(value)}; expected a number or a text")


def check_id(config: RunConfig, folder: Path) -> None:
    """Refuse a run whose folder does not have the name that its configuration hashes to."""
    if config.id != folder.name:
        raise UserError(f"{folder} has the configuration of another run, {config.id!r}: it was changed or renamed")


def read_done(folder: Path) -> Fields:
    """The fields of a finished run's `done.json` that are known here."""
    return read_object(folder, "done.json", DONE_KINDS, LATER_DONE_KINDS)


def read_object(
    folder: Path, name: str, kinds: Fields, later_kinds: Mapping[str, Any] = MappingProxyType({})
) -> Fields:
    """The fields of a run's JSON file that are known, each of its kind: those that it must have, and later ones."""
    return checked(object_in(content_of(folder, name), name), kinds, later_kinds, name)


def read_failure(folder: Path) -> str:
    """The reason why a run failed, as its `failed.json` says."""
    message = object_in(content_of(folder, "failed.json"), "failed.json").get("message")
    if not isinstance(message, str):
        raise UserError(f"failed.json: message is {shown(message)}; expected a line of text")
    return message[:LONGEST]


def check_content(name: str, content: bytes, done: Mapping[str, Any]) -> None:
    """Refuse a file of a finished run that is not what was written; older runs have sizes without hashes, and pass."""
    _check_hash(name, hashlib.sha256(content).hexdigest(), [done.get(HASHED, {}).get(name)])


def is_verified(done: Mapping[str, Any]) -> bool:
    """Check that nobody could change a finished run's score unseen: the hashes of its files are known."""
    return all(name in done.get(HASHED, {}) for name in ("config.json", "episodes.csv"))


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_checkpoint(folder: Path) -> None:
    """Refuse a finished run's checkpoint that is not what was written.

    A checkpoint from a hub has no optimiser state: its hash is noted with the facts about its data.
    """
    if not (folder / "done.json").exists() or not (folder / CHECKPOINT).exists():
        return
    try:
        expected = read_done(folder).get(HASHED, {}).get(CHECKPOINT)
        facts = object_in(content_of(folder, DATA_FACTS), DATA_FACTS) if (folder / DATA_FACTS).exists() else {}
        _check_hash(CHECKPOINT, file_hash(folder / CHECKPOINT) if expected else "", [expected, facts.get(HASHED)])
    except UserError as error:
        raise UserError(f"run {folder.name} is damaged: {error}; bring the file back, or delete {folder}") from None


def _check_hash(name: str, found: str, expected: Sequence[Any]) -> None:
    if expected[0] is not None and found not in expected:
        raise UserError(
            f"{name} was changed after the run finished: its SHA-256 is {found[:16]}..., expected {expected[0][:16]}..."
        )


def read_metrics(folder: Path, last: int) -> list[Fields]:
    """The rows of `metrics.jsonl`, of a run of `last` steps; none if there is no such file yet."""
    try:
        lines = content_of(folder, "metrics.jsonl").decode("utf-8").splitlines()
        rows = [parse_json(line) for line in lines]
    except FileNotFoundError:
        return []
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"metrics.jsonl can't be read ({error})") from None
    return check_rows(rows, last, "metrics.jsonl")


def check_rows(rows: Sequence[Any], last: int, name: str) -> list[Fields]:
    """Check rows of metrics: objects of finite numbers, with steps that grow up to `last`; 0 is before training."""
    steps: list[Any] = [row.get("step") if isinstance(row, dict) else None for row in rows]
    if not all(type(step) is int and 0 <= step <= last for step in steps) or steps != sorted(set(steps)):
        raise UserError(f"{name} must hold one JSON object a line, with steps that grow up to {last}")
    number = of_kind(float)
    if not all(number(value) for row in rows for value in row.values()):
        raise UserError(f"{name} holds values that are not finite numbers")
    return list(rows)


def state_in(metadata: Mapping[str, str] | None) -> Fields:
    """The progress of a run, from the metadata of its checkpoint; a `ValueError` for anything else."""
    text = (metadata or {}).get("state")
    if text is None:
        raise ValueError("it says nothing of where the run stands")
    state = parse_json(text)
    if not isinstance(state, dict) or not isinstance(state.get("episodes"), str):
        raise ValueError("it says nothing of where the run stands")
    if not all(isinstance(state.get(name, ""), str) for name in ("stages", "meters")):
        raise ValueError("it says nothing of where the run stands")
    checked(state, STATE_KINDS, LATER_STATE_KINDS, "its state")
    rows = check_rows(state["metrics"], state["step"], "its state")
    if rows and rows[-1]["step"] != state["step"]:
        raise ValueError("its metrics end at another step than it says")
    return state
