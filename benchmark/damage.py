"""Whether a run's files are what was written: cut or overwritten ones are found without reading them whole.

Our own writers replace files whole, but disks fail, copies are interrupted, and people edit. Ten thousand finished runs
are looked through in a second, so content is not hashed: sizes, beginnings and ends are looked at.
"""

import json
from pathlib import Path

from .run_layout import CHECKPOINT, FILES, object_in

SIZED = [name for name, file in FILES.items() if file.sized]
OPTIONAL = CHECKPOINT  # a finished run's score stands without it; a hub's has no optimiser's state


def damage(folder: Path) -> str:
    """What is wrong with the run in `folder`, as "FILE ..."; empty if nothing is, or if there is no run."""
    try:
        if (folder / "done.json").exists():
            return _of_finished(folder)
        config = folder / "config.json"
        if config.exists() and not object_in(config):
            return "config.json can't be read"
        checkpoint = folder / OPTIONAL
        return f"{OPTIONAL} {problem}" if checkpoint.exists() and (problem := _of_tensors(checkpoint)) else ""
    except FileNotFoundError:  # another process has just set it aside
        return ""


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of a finished run's files, for its `done.json`."""
    return {name: (folder / name).stat().st_size for name in SIZED if (folder / name).exists()}


def _of_finished(folder: Path) -> str:
    done = object_in(folder / "done.json")
    if not done:
        return "done.json can't be read"
    expected = done.get("files")
    if not isinstance(expected, dict):  # of an earlier version
        return _of_older(folder)
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
    if not object_in(folder / "config.json"):
        return "config.json can't be read"
    whole = (folder / "episodes.csv").read_bytes().endswith(b"\n")
    return "" if whole else "episodes.csv is cut short"


def _of_tensors(path: Path) -> str:
    """What is wrong with a safetensors file: 8 bytes with the header's length, a JSON header, tensors up to the end."""
    with path.open("rb") as file:
        size = path.stat().st_size
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= size - 8:
            return "is cut short" if size < 8 or length > size - 8 else "is no checkpoint"
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, TypeError, KeyError, AttributeError):
            return "is no checkpoint"
    end = 8 + length + max(ends, default=0)
    return "" if end == size else f"has {size} bytes instead of {end}"
