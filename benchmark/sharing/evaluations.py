"""The raw evaluations of runs as one small file, to be committed beside the tables that they were ranked in.

It is the archive of `lamobench runs export --without-checkpoints`, compressed with xz. So `unxz` and `lamobench runs
import` bring the runs back for another table or a report, and `lamobench recompute` makes the tables again.
"""

import lzma
from collections.abc import Sequence
from pathlib import Path

from ...datasets.errors import UserError
from ...datasets.storage import scratch_folder, whole_file
from ..runs.layout import EVALUATIONS, EVALUATIONS_MOST, MB
from .archive import export_runs

PRESET = 9  # of xz: as small as it gets, in memory that `recompute` allows for


def write_evaluations(folders: Sequence[Path], output: Path) -> Path:
    """Write `evaluations.tar.xz` of finished runs to the folder `output`, whole or not at all; its path.

    The same runs give the same bytes. Raises the errors of `export_runs`, and a `UserError` if the file would be larger
    than what a repository should hold: `EVALUATIONS_MOST` bytes.
    """
    path = output / EVALUATIONS
    with scratch_folder(output, ".evaluations.") as scratch:
        plain = scratch / "runs.tar"
        export_runs(plain, folders, checkpoints=False)
        packed = lzma.compress(plain.read_bytes(), format=lzma.FORMAT_XZ, preset=PRESET)
    if len(packed) > EVALUATIONS_MOST:
        raise UserError(
            f"{path} would have {len(packed) / MB:.1f} MB, more than the {EVALUATIONS_MOST // MB} MB that are committed; "
            "rank fewer runs, or leave --archive out"
        )
    with whole_file(path) as temporary:
        temporary.write_bytes(packed)
    return path
