"""The raw evaluations of runs as one small file, to be committed beside the tables that they were ranked in.

It is the archive of `lamobench runs export --without-checkpoints`, compressed with xz. So `unxz` and `lamobench runs
import` bring the runs back for another table or a report, and `lamobench recompute` makes the tables again.
"""

import lzma
from collections.abc import Sequence
from pathlib import Path

from ...datasets.errors import UserError
from ...datasets.storage import scratch_folder, whole_file
from ..runs.layout import EVALUATIONS, EVALUATIONS_MOST, EVALUATIONS_UNPACKED, MB
from .archive import export_runs

PRESET = 9  # of xz: as small as it gets, in memory that `recompute` allows for


def write_evaluations(folders: Sequence[Path], output: Path) -> Path:
    """Write `evaluations.tar.xz` of finished runs to the folder `output`, whole or not at all; its path.

    The same runs give the same bytes. Raises the errors of `export_runs`, and a `UserError` if the file would be larger
    than what a repository should hold, `EVALUATIONS_MOST`, or more than `EVALUATIONS_UNPACKED` bytes were in it.
    """
    path = output / EVALUATIONS
    with scratch_folder(output, ".evaluations.") as scratch:
        plain = scratch / "runs.tar"
        export_runs(plain, folders, checkpoints=False)
        _check_size(path, plain.stat().st_size, EVALUATIONS_UNPACKED)
        packed = lzma.compress(plain.read_bytes(), format=lzma.FORMAT_XZ, preset=PRESET)
    _check_size(path, len(packed), EVALUATIONS_MOST)
    with whole_file(path) as temporary:
        temporary.write_bytes(packed)
    return path


def _check_size(path: Path, size: int, limit: int) -> None:
    if size > limit:
        raise UserError(
            f"{path} is for {limit // MB} MB, and these runs make {size / MB:.1f}; rank fewer, or leave --archive out"
        )
