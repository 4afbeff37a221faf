"""`lamobench report`: every finished run on one page."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...datasets.counts import count
from ...datasets.errors import UserError
from .options import RUNS

if TYPE_CHECKING:
    from ..report.contents import Contents, Setting


@dataclass(frozen=True)
class Report:
    """Every finished run on one HTML page: tables, curves, aggregates, provenance; a file that needs no network."""

    runs: tuple[Path, ...] = (RUNS,)
    """Folders of runs; those in folders inside them count too."""
    output: Path = Path("results/report.html")
    """File to write."""
    render: bool = False
    """Play each method's policy of most data and lowest seed first, and keep frames of an episode beside the run."""
    device: str = "auto"
    """Device to play on: auto, cpu or cuda."""

    def run(self) -> None:
        """Write the page and say what is in it."""
        from ...datasets.storage import check_folder
        from ..report.contents import read_contents
        from ..report.page import write_report
        from ..scores.collect import unverified

        for root in self.runs:
            check_folder(root)
        contents = read_contents(*self.runs)
        if self.render:
            _picture(contents, self.device)
        problems = write_report(contents, self.output)
        runs = sum(page.runs for page in contents.pages)
        size = self.output.stat().st_size / 1e6
        about = f"{count(runs, 'run')}, {', '.join(count(n, kind) for kind, n in contents.kinds.items())}"
        print(f"written to {self.output}: {about}, {size:.1f} MB; for any browser")
        for line in [*contents.left_out, *problems]:
            print(f"left out: {line}", file=sys.stderr)
        for line in unverified(contents.runs):
            print(f"note: {line}", file=sys.stderr)


def _picture(contents: "Contents", device: str) -> None:
    """Draw the strips that are not there yet; whatever can't be is named, once for each reason, and left out."""
    from ..report.strips import picture_run

    folders = [folder for setting in contents.settings for folder in runs_to_picture(setting)]
    problems: dict[str, list[str]] = {}
    for place, folder in enumerate(folders, 1):
        print(f"picturing {place} of {len(folders)}: {folder.name}", file=sys.stderr, flush=True)
        try:
            picture_run(folder, device)
        except UserError as error:
            problems.setdefault(str(error), []).append(folder.name)
    for reason, names in problems.items():
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        print(f"not pictured: {names[0]}{others}: {reason}", file=sys.stderr)


def runs_to_picture(setting: "Setting") -> list[Path]:
    """The run of lowest seed of each method, at the largest share of the data that it has; no variants."""
    last = {row.title: row for row in setting.rows if not row.variant}  # rows are in order of the share
    return [row.runs[0].folder for row in last.values()]
