"""Check that a run's files are what was written: find cut or overwritten ones without reading them whole.

Our own writers replace files whole, but disks fail, copies are interrupted, and people edit. To check ten thousand
finished runs in a second, only sizes, beginnings and ends are read. Hashes are checked where a file is read anyway
(`records.py`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...datasets.errors import UserError
from ...datasets.json_files import parse_json
from .kinds import Fields
from .layout import CHECKPOINT, FILES
from .records import HASHED, check_id, config_in, content_of, file_hash, read_done

SIZED = [name for name, file in FILES.items() if file.sized]
OPTIONAL = CHECKPOINT  # a finished run's score stands without it; a hub's has no optimiser's state
LONGEST_HEADER = 100_000_000  # bytes of a safetensors file, as its format has it


def damage(folder: Path) -> str:
    """Say what is wrong with the run in `folder`, as "FILE ..."; empty if nothing is, or if there is no run."""
    try:
        if (folder / "done.json").exists():
            done = read_done(folder)
            return missized(folder, done) if "files" in done else _of_older(folder)
        if (folder / "config.json").exists():
            check_id(config_in(content_of(folder, "config.json")), folder)
        checkpoint = folder / OPTIONAL
        return f"{OPTIONAL} {problem}" if checkpoint.exists() and (problem := _of_tensors(checkpoint)) else ""
    except UserError as error:
        return str(error)
    except FileNotFoundError:  # another process has just set it aside
        return ""


def sizes_and_hashes(folder: Path) -> Fields:
    """Bytes and SHA-256 of a finished run's files, for its `done.json`."""
    files = [name for name in SIZED if (folder / name).exists()]
    return {
        "files": {name: (folder / name).stat().st_size for name in files},
        HASHED: {name: file_hash(folder / name) for name in files},
    }


def missized(folder: Path, done: Mapping[str, Any]) -> str:
    """Name the file of a finished run whose size is not that in its `done.json`, as "FILE ..."; empty for none."""
    expected = done.get("files", {})  # runs of an earlier version have none
    for name in SIZED:  # no path of the file's own choice: it may be from elsewhere
        if name not in expected:
            continue
        size = expected[name]
        try:
            found = (folder / name).stat().st_size
        except FileNotFoundError:
            if name != OPTIONAL:
                return f"{name} is missing"
            continue
        if found != size and (name != OPTIONAL or _of_tensors(folder / name)):
            return f"{name} has {found} bytes instead of {size}"
    return ""


def _of_older(folder: Path) -> str:
    for name in ("config.json", "episodes.csv"):
        if not (folder / name).exists():
            return f"{name} is missing"
    try:
        config_in(content_of(folder, "config.json"))
    except UserError as error:
        return str(error)
    whole = (folder / "episodes.csv").read_bytes().endswith(b"\n")
    return "" if whole else "episodes.csv is cut short"


def _of_tensors(path: Path) -> str:
    """Say what is wrong with a safetensors file: 8 bytes with the header's length, a JSON header, tensors."""
    with path.open("rb") as file:
        size = path.stat().st_size
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, LONGEST_HEADER):
            return "is cut short" if size < 8 or length > size - 8 else "is no checkpoint"
        try:
            header = parse_json(file.read(length).decode("utf-8"))
            ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            return "is no checkpoint"
    end = 8 + length + max(ends, default=0)
    return "" if end == size else f"has {size} bytes instead of {end}"
