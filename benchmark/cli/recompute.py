"""`lamobench recompute`: committed tables, made again from their raw evaluations."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from ...datasets.counts import count
from ...datasets.errors import UserError

if TYPE_CHECKING:
    from ..recompute.check import Checked

SHOWN = 10  # faults of a table; a changed episode moves many cells


@dataclass(frozen=True)
class Recompute:
    """Make committed tables again from the raw evaluations beside them, and compare every cell.

    The code shares nothing with what wrote them but file formats. A line says that a table agrees, or which cells do
    not: then the status is 1."""

    folders: Positional[tuple[Path, ...]] = (Path("results"),)
    """Folders with an evaluations.tar.xz of `lamobench leaderboard --archive`; those inside them count too."""

    def run(self) -> None:
        """Print what was compared, and exit with status 1 where something differs."""
        from ..recompute.check import check_folder

        faults = 0
        for folder in _archived(self.folders):
            for checked in check_folder(folder):
                print(f"{checked.path}: {_outcome(checked)}")
                for fault in checked.faults[:SHOWN]:
                    print(f"  {fault}")
                if len(checked.faults) > SHOWN:
                    print(f"  and {len(checked.faults) - SHOWN} more")
                faults += len(checked.faults)
        if faults:
            sys.exit(1)


def _archived(folders: tuple[Path, ...]) -> list[Path]:
    """The folders that have an archive, those inside the given ones included; a `UserError` where one has none."""
    from ..runs.layout import EVALUATIONS

    found = []
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"there is no folder '{folder}'; give one that has an {EVALUATIONS}, e.g. results/demo")
        inside = sorted(path.parent for path in folder.rglob(EVALUATIONS))
        if not inside:
            raise UserError(
                f"there is no {EVALUATIONS} in '{folder}'; "
                f"`lamobench leaderboard --archive --output {folder}` writes one beside the tables"
            )
        found += inside
    return list(dict.fromkeys(found))


def _outcome(checked: "Checked") -> str:
    if not checked.cells and checked.rows:
        return "not checked: nothing makes such a table of evaluations"
    what = f"{count(checked.rows, 'row')}, {count(checked.cells, 'cell')}"
    return f"{what}, as recomputed" if not checked.faults else f"{what}, {count(len(checked.faults), 'fault')}"
