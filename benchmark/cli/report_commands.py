"""The work behind `lamobench report`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ...datasets.errors import UserError
from ...datasets.storage import check_folder
from ..report.contents import Contents, Setting, read_contents
from ..report.page import write_report
from ..report.strips import picture_run
from ..scores.collect import unverified
from ..terminal import count

if TYPE_CHECKING:
    from .report import Report


def write(command: "Report") -> None:
    """`lamobench report`."""
    for root in command.runs:
        check_folder(root)
    contents = read_contents(*command.runs)
    if command.render:
        _picture(contents, command.device)
    problems = write_report(contents, command.output)
    runs, size = sum(page.runs for page in contents.pages), command.output.stat().st_size / 1e6
    about = f"{count(runs, 'run')}, {count(len(contents.pages), 'data set')}"
    print(f"written to {command.output}: {about}, {size:.1f} MB; for any browser")
    for line in [*contents.left_out, *problems]:
        print(f"left out: {line}", file=sys.stderr)
    for line in unverified(contents.runs):
        print(f"note: {line}", file=sys.stderr)


def _picture(contents: Contents, device: str) -> None:
    """Draw the strips that are not there yet; whatever can't be is named, once for each reason, and left out."""
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


def runs_to_picture(setting: Setting) -> list[Path]:
    """The run of lowest seed of each method, at the largest share of the data that it has; no variants."""
    last = {row.title: row for row in setting.rows if not row.variant}  # rows are in order of the share
    return [row.runs[0].folder for row in last.values()]
