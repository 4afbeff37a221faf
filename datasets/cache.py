"""Data sets on disk: a folder of memory-mapped `.npy` files and a `meta.json` that describes them.

A folder appears whole or not at all, at `<home>/datasets/<data set>/<source>`. `meta.json` has the provenance, each
array's shape, type and SHA-256, the content hash, and a summary of the episodes' returns.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from . import storage
from .entries import command_to_get
from .errors import UserError
from .file_checks import check_regular_file
from .json_files import MOST, check_fields, from_fields, parse_json
from .npy_files import open_array
from .tasks import task_from
from .trajectories import Array, Provenance, Trajectories, array_hash, combine_hashes

FORMAT = 1  # raise it when the layout changes: older folders are then refused with a line that says what to type
META = "meta.json"
META_FIELDS = {
    "format": int,
    "provenance": dict,
    "arrays": dict,
    "content_hash": str,
    "episodes": int,
    "steps": int,
    "return_mean": float,
    "return_std": float,
    "return_best": float,
}
ARRAY_FIELDS = {"shape": list[int], "dtype": str, "sha256": str}

# Of an imported data set, which the catalog does not know: the name of its task, or all fields of a task of its own.
TaskEntry = str | dict[str, Any] | None
# How a finished folder takes its place: `storage.whole_folder` or `replaced_folder`.
Place = Callable[[Path], AbstractContextManager[Path]]


def folder_of(name: str, source: str) -> Path:
    """The folder where a data set from a source is cached, whether or not it is there."""
    return storage.home() / "datasets" / name / source


@contextmanager
def scratch_folder(name: str, source: str) -> Iterator[Path]:
    """An empty folder on the cache's disk, deleted in the end: for arrays of a data set that may not fit in memory.

    `save` and `replace`, given the folder, take over the `.npy` files in it that the data set maps.
    """
    with storage.scratch_folder(folder_of(name, source).parent, f".{source}.scratch.") as scratch:
        yield scratch


def save(trajectories: Trajectories, scratch: Path | None = None, task: TaskEntry = None) -> Path:
    """Check and store a data set; one with the same content that is there already is kept.

    Raises a `UserError`, and changes nothing, if the data break a contract or other content is there.
    """
    folder, written = _write(trajectories, storage.whole_folder, scratch, task)
    found = read_meta(folder)["content_hash"]
    if found != written:
        raise UserError(f"{folder} holds other data ({found[:12]}, not {written[:12]}); {_again(folder)}")
    return folder


def replace(trajectories: Trajectories, scratch: Path | None = None, task: TaskEntry = None) -> Path:
    """Check and store a data set in the place of whatever is there, which is kept if anything goes wrong."""
    return _write(trajectories, replaced_folder, scratch, task)[0]


def open_cached(folder: Path) -> Trajectories:
    """Open a cached data set: read-only memory maps, checked against `meta.json` in presence, shape and type.

    The content is not read, so this takes milliseconds whatever the size; `verify` reads it. Raises a `UserError` that
    names the file that is missing or damaged.
    """
    meta = read_meta(folder)
    arrays = {name: _open_array(folder / f"{name}.npy", meta["arrays"][name]) for name in Trajectories.ARRAYS}
    return Trajectories(**arrays, provenance=Provenance(**meta["provenance"]), known_hash=meta["content_hash"])


def verify(folder: Path) -> Trajectories:
    """Open a cached data set and read all of it; a `UserError` names the file or the array that is wrong."""
    trajectories = open_cached(folder)
    meta = read_meta(folder)
    hashes = {name: array_hash(getattr(trajectories, name)) for name in Trajectories.ARRAYS}
    for name, found in hashes.items():
        if found != meta["arrays"][name]["sha256"]:
            raise UserError(f"{folder / name}.npy is damaged: its content has changed; {_again(folder)}")
    if combine_hashes(hashes) != meta["content_hash"]:
        raise UserError(f"{folder / META} is damaged: its content hash is not that of its arrays; {_again(folder)}")
    return trajectories.check()


def remove(name: str, source: str) -> None:
    """Delete a cached data set; a `UserError` says so if it is not there."""
    folder = folder_of(name, source)
    if not folder.is_dir():
        raise UserError(f"data set '{name}' from '{source}' is not in the cache; `lamobench data list` shows what is")
    with suppress(FileNotFoundError):  # another process was faster
        storage.remove_folder(folder)


def read_meta(folder: Path) -> dict[str, Any]:
    """The `meta.json` of a cached data set; a `UserError` if it is missing, damaged or of another format."""
    path = folder / META
    if not path.exists():
        raise UserError(f"{path} is missing; {_again(folder)}")
    check_regular_file(path, MOST)
    try:
        meta = check_fields(parse_json(path.read_text(encoding="utf-8")), {"format": int})
        if meta["format"] != FORMAT:
            raise UserError(f"{path} is of format {meta['format']}, but this version reads {FORMAT}; {_again(folder)}")
        return _checked_meta(meta)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); {_again(folder)}") from None


def _checked_meta(meta: dict[str, Any]) -> dict[str, Any]:
    """`meta` if everything that is read of it is there and of its type; a `ValueError` otherwise."""
    check_fields(meta, META_FIELDS, {"task": str | dict})
    from_fields(Provenance, meta["provenance"])
    check_fields(meta["arrays"], dict.fromkeys(Trajectories.ARRAYS, dict))
    for name, types in Trajectories.TYPES.items():
        array = check_fields(meta["arrays"][name], ARRAY_FIELDS)
        if array["dtype"] not in types:
            raise ValueError(f"{name} are {array['dtype'][:20]!r}, expected {' or '.join(types)}")
    if isinstance(meta.get("task"), dict):
        task_from(meta["task"])
    return meta


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Do the same as `storage.whole_folder`, but the finished folder replaces one that is there.

    The old one is moved aside at the last moment, and moved back if the new one can't take its place.
    """
    aside: Path | None = None
    try:
        with storage.whole_folder(path) as temporary:
            yield temporary
            aside = _set_aside(path)
    except BaseException:
        if aside is not None:
            os.rename(aside, path)
        raise
    if aside is not None:
        shutil.rmtree(aside)


def _set_aside(path: Path) -> Path | None:
    """Rename a folder to a hidden one beside it; None if there is none, or no longer."""
    aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        aside.rmdir()
        return None
    return aside


def _write(trajectories: Trajectories, place: Place, scratch: Path | None, task: TaskEntry) -> tuple[Path, str]:
    """The folder, and the content hash of the data set that was to be written there."""
    trajectories.check()
    folder = folder_of(trajectories.provenance.dataset, trajectories.provenance.source)
    meta = _meta(trajectories) | ({} if task is None else {"task": task})
    with place(folder) as temporary:
        for name in Trajectories.ARRAYS:
            array = getattr(trajectories, name)
            target = temporary / f"{name}.npy"
            mapped = Path(array.filename or "") if isinstance(array, np.memmap) else None
            if scratch is not None and mapped is not None and mapped.parent == scratch:
                os.rename(mapped, target)  # the map stays valid: it is of the file, not of its name
            else:
                np.save(target, array, allow_pickle=False)
        storage.write_json(temporary / META, meta)
    return folder, meta["content_hash"]


def _meta(trajectories: Trajectories) -> dict[str, Any]:
    arrays = {name: getattr(trajectories, name) for name in Trajectories.ARRAYS}
    hashes = {name: array_hash(array) for name, array in arrays.items()}
    return {
        "format": FORMAT,
        "provenance": asdict(trajectories.provenance),
        "arrays": {name: _array_facts(array) | {"sha256": hashes[name]} for name, array in arrays.items()},
        "content_hash": combine_hashes(hashes),
        "episodes": trajectories.num_episodes,
        "steps": trajectories.num_steps,
        "return_mean": float(trajectories.returns.mean()),
        "return_std": float(trajectories.returns.std()),
        "return_best": float(trajectories.returns.max()),
    }


def _array_facts(array: Array) -> dict[str, Any]:
    return {"shape": list(array.shape), "dtype": array.dtype.str}


def _open_array(path: Path, expected: dict[str, Any]) -> Array:
    wanted = {"shape": expected["shape"], "dtype": expected["dtype"]}
    if not path.exists():
        raise UserError(f"{path} is missing; {_again(path.parent)}")
    try:
        array = open_array(path)
    except UserError:
        raise
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"{path} is damaged or cut short ({error}); {_again(path.parent)}") from None
    if _array_facts(array) != wanted:
        raise UserError(f"{path} is damaged: it holds {_array_facts(array)}, not {wanted}; {_again(path.parent)}")
    return array


def _again(folder: Path) -> str:
    """Say what to type when a cached folder can't be used; the folder's path ends in its data set and its source."""
    return f"to make it again, type: {command_to_get(folder.parent.name, folder.name)} --force"
