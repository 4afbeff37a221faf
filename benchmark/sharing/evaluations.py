"""The raw evaluations of runs as one small file, to be committed beside the tables that they were ranked in.

It is the archive of `lamobench runs export --without-checkpoints`, compressed with xz. So `unxz` and `lamobench runs
import` bring the runs back for another table or a report, and `lamobench recompute` makes the tables again.
"""

import lzma
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...datasets.errors import UserError
from ...datasets.json_files import parse_json
from ...datasets.storage import scratch_folder, whole_file
from ..recompute.archive import read_archive
from ..runs.layout import (
    ENCODER_REWIND,
    ENCODER_REWIND_EPISODES,
    EVALUATIONS,
    EVALUATIONS_MOST,
    EVALUATIONS_UNPACKED,
    MB,
    PAIRS,
    PERTURBED,
)
from .archive import export_runs

METRICS = "metrics.jsonl"
# The files of which tables are made.
TOLD = (
    "config.json",
    "episodes.csv",
    "stages.csv",
    "meters.csv",
    PAIRS,
    ENCODER_REWIND,
    ENCODER_REWIND_EPISODES,
    PERTURBED,
    METRICS,
)
PRESET = 9  # of xz: as small as it gets, in memory that `recompute` allows for


def write_evaluations(folders: Sequence[Path], output: Path) -> Path:
    """Write `evaluations.tar.xz` of finished runs to the folder `output`, whole or not at all; its path.

    The same runs give the same bytes, and a file that says the same of runs that were trained again, which differ in
    their times alone, stays as it is. Raises the errors of `export_runs`, and a `UserError` if the file would be larger
    than what a repository should hold, `EVALUATIONS_MOST`, or more than `EVALUATIONS_UNPACKED` bytes were in it.
    """
    path = output / EVALUATIONS
    if path.is_file() and _is_of(path, folders):
        return path
    with scratch_folder(output, ".evaluations.") as scratch:
        plain = scratch / "runs.tar"
        export_runs(plain, folders, checkpoints=False)
        _check_size(path, plain.stat().st_size, EVALUATIONS_UNPACKED)
        packed = lzma.compress(plain.read_bytes(), format=lzma.FORMAT_XZ, preset=PRESET)
    _check_size(path, len(packed), EVALUATIONS_MOST)
    with whole_file(path) as temporary:
        temporary.write_bytes(packed)
    return path


def _is_of(path: Path, folders: Sequence[Path]) -> bool:
    """Check whether the archive at `path` says of these runs what they say, but for times."""
    try:
        held = read_archive(path)
    except UserError:
        return False
    if held.keys() != {folder.name for folder in folders}:
        return False
    for folder in folders:
        there = {name: (folder / name).read_bytes() for name in TOLD if (folder / name).is_file()}
        if _told(held[folder.name]) != _told(there):
            return False
    return True


def _told(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The content of a run's files without times."""
    told: dict[str, Any] = {name: files[name] for name in TOLD if name in files}
    rows = [parse_json(line.decode("utf-8")) for line in told.pop(METRICS, b"").splitlines()]
    return told | {METRICS: [{name: row[name] for name in row if "second" not in name} for row in rows]}


def _check_size(path: Path, size: int, limit: int) -> None:
    if size > limit:
        raise UserError(
            f"{path} may have {limit // MB} MB, and these runs make {size / MB:.1f}; rank fewer, or leave --archive out"
        )
