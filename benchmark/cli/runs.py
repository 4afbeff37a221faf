"""`lamobench runs`: what is in a folder of runs, and what comes and goes."""

import json
import os
import re
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, subcommand

from ...datasets.counts import count
from ...datasets.errors import UserError
from ..terminal import print_rows
from .options import RUNS

if TYPE_CHECKING:
    from ..scores.run import Run

FOLLOW_SECONDS = 5.0


@dataclass(frozen=True)
class RunsList:
    """List the runs of a folder: what they are, how far they are, what they scored."""

    runs: Path = RUNS
    """Folder of the runs."""
    json: bool = False
    """Print JSON instead of a table."""

    def run(self) -> None:
        """Print the table."""
        from ..runs.config import BROKEN_END
        from ..runs.layout import run_folders
        from ..scores.collect import collect

        rows = [_listed(run) for run in collect(self.runs)]
        print_rows(rows if self.json else _as_printed(rows), self.json)
        if aside := sorted(folder.name for folder in run_folders(self.runs, BROKEN_END)):
            what = f"{count(len(aside), 'damaged folder')} set aside, e.g. {aside[0]}"
            print(f"{what}; to delete one: lamobench runs remove {aside[0]}", file=sys.stderr)


@dataclass(frozen=True)
class RunsExport:
    """Write runs to one file, a tar with the SHA-256 of everything in it, for `lamobench runs import` on another
    machine. The same runs give the same bytes."""

    file: Positional[Path]
    """Archive to write, e.g. runs.tar."""
    names: Positional[tuple[str, ...]] = ()
    """Runs, by id or folder; none given: every finished run. Name an unfinished one to go on with it elsewhere."""
    runs: Path = RUNS
    """Folder of the runs."""
    without_checkpoints: bool = False
    """Leave the policies out: a small archive, enough for leaderboards, figures and reports."""
    force: bool = False
    """Replace a file that is there."""

    def run(self) -> None:
        """Export, then say what there is."""
        from ..scores.collect import collect, finished
        from ..sharing.archive import export_runs

        if self.names:
            folders = [find_run(name, self.runs) for name in self.names]
        else:
            runs = collect(self.runs)
            folders = [run.folder for run in finished(runs)]
            for run in runs:
                if run.status != "finished":
                    print(f"left out: {run.id}: {run.status}; name it to export it all the same", file=sys.stderr)
        contents = export_runs(self.file, folders, not self.without_checkpoints, self.force)
        files = sum(map(len, contents.values()))
        print(f"{self.file}: {count(len(contents), 'run')}, {files} files, {self.file.stat().st_size / 1e6:.1f} MB")


@dataclass(frozen=True)
class RunsImport:
    """Bring the runs of an archive to a folder of runs, all of them or none. Every path, size, hash and id is checked
    first; a run that is there already is never overwritten."""

    file: Positional[Path]
    """Archive of `lamobench runs export`."""
    runs: Path = RUNS
    """Folder of the runs."""
    json: bool = False
    """Print JSON instead of lines."""

    def run(self) -> None:
        """Import, then say what is new."""
        from ..sharing.archive import import_runs

        placed = import_runs(self.file, self.runs)
        if self.json:
            print(json.dumps(asdict(placed), indent=2))
            return
        print(f"{count(len(placed.added), 'run')} imported to {self.runs}, {len(placed.there)} there already")


@dataclass(frozen=True)
class RunsRemove:
    """Delete runs from this machine. One that a process is working on is left alone."""

    names: Positional[tuple[str, ...]]
    """Runs, by id or folder; ID.broken-1 too, a damaged one that was set aside."""
    runs: Path = RUNS
    """Folder of the runs."""

    def run(self) -> None:
        """Remove, then say what is gone."""
        from ...datasets.storage import scratch_folder
        from ..runs.config import BROKEN_END, RUN_ID_END
        from ..runs.store import hold

        run_or_broken = re.compile(f"{RUN_ID_END.pattern}|{BROKEN_END.pattern}")
        found = [_find(name, self.runs, run_or_broken) for name in self.names]  # if one is not there, none is removed
        for folder in dict.fromkeys(found):
            with scratch_folder(folder.parent, ".removed.") as aside:  # cleared away by the next, if this is killed
                with hold(folder):
                    os.rename(folder, aside / folder.name)  # gone in one step: never half a run
                rmtree(aside / folder.name)
            print(f"removed {folder.name}")


@dataclass(frozen=True)
class RunsTensorBoard:
    """Write runs' metrics and evaluations as TensorBoard's event files, of runs in progress too: typed again, it adds
    what is new. Needs the extra `tensorboard`."""

    names: Positional[tuple[str, ...]] = ()
    """Runs, by id or folder; none given: all of them."""
    runs: Path = RUNS
    """Folder of the runs."""
    output: Path | None = None
    """Folder for the event files, `tensorboard` in the folder of the runs by default; give it to --logdir."""
    follow: bool = False
    """Go on adding what is new, every few seconds, until stopped."""

    def run(self) -> None:
        """Write, then say what to type."""
        from ..runs.layout import EVENTS
        from ..sharing.events import check_tensorboard

        check_tensorboard()
        output = self.output or self.runs / EVENTS
        told: set[str] = set()
        while True:
            points = _new_points(self, output, told)
            if not self.follow:
                break
            if sum(points):
                print(f"{count(sum(points), 'new point')} of {count(sum(map(bool, points)), 'run')}", flush=True)
            time.sleep(FOLLOW_SECONDS)
        news = f"{count(sum(points), 'new point')} of {count(len(points), 'run')}"
        print(f"{news}; to look at them: tensorboard --logdir {output}")


@dataclass(frozen=True)
class RunsGroup:
    """Runs: list, export, import, remove, tensorboard."""

    command: (
        Annotated[RunsList, subcommand("list")]
        | Annotated[RunsExport, subcommand("export")]
        | Annotated[RunsImport, subcommand("import")]
        | Annotated[RunsRemove, subcommand("remove")]
        | Annotated[RunsTensorBoard, subcommand("tensorboard")]
    )

    def run(self) -> None:
        """Run the chosen command."""
        self.command.run()


def find_run(name: str, root: Path) -> Path:
    """The folder of a run, given by its id or by its folder; a `UserError` if there is none.

    An id is looked for as `collect` does, in folders inside `root` too: of several the finished one, or the first.
    """
    from ..runs.config import RUN_ID_END

    return _find(name, root, RUN_ID_END)


def _find(name: str, root: Path, named: re.Pattern[str]) -> Path:
    """`find_run` of folders whose names match."""
    from ..runs.layout import run_folders

    for folder in (root / name, Path(name)):
        if named.search(folder.resolve().name) and folder.is_dir():  # other folders have a config.json too
            return folder.resolve()
    if found := [folder for folder in sorted(run_folders(root, named)) if folder.name == name]:
        return next((folder for folder in found if (folder / "done.json").is_file()), found[0]).resolve()
    raise UserError(f"there is no run {name!r} in {root}; `lamobench runs list --runs {root}` shows what there is")


def _new_points(command: RunsTensorBoard, output: Path, messages: set[str]) -> list[int]:
    """Write what is new of each run, and count it. Among all runs, none hides another: its error is told once."""
    from ..scores.collect import collect
    from ..sharing.events import write_events

    if command.names:
        return [write_events(find_run(name, command.runs), output) for name in command.names]
    points = []
    for folder in (run.folder for run in collect(command.runs)):
        try:
            points.append(write_events(folder, output))
        except UserError as error:
            points.append(0)
            if str(error) not in messages:
                print(f"left out: {error}", file=sys.stderr)
            messages.add(str(error))
    return points


def _as_printed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fractions as people write them, and problems cut short, where there is any."""
    problems = any(row["problem"] for row in rows)
    return [
        {key: value for key, value in row.items() if key != "problem"}
        | {"fraction": "-" if row["fraction"] is None else f"{row['fraction']:g}"}
        | ({"problem": row["problem"].removeprefix(f"run {row['run']}: ")[:60]} if problems else {})
        for row in rows
    ]


def _listed(run: "Run") -> dict[str, Any]:
    """A run's row of the list; what a damaged one does not tell is None."""
    from ..scores.run import FinishedRun, data_of
    from ..sweep.estimate import last_row

    config = run.config
    data = data_of(run.config) if run.config else None
    return {
        "run": run.id,
        "dataset": data and data.dataset,
        "method": config and config.method,
        "fraction": data and data.fraction,
        "seed": config and config.seed,
        "step": run.config.steps if isinstance(run, FinishedRun) else last_row(run.folder).get("step", 0),
        "steps": config and config.steps,
        "score": run.result.score if isinstance(run, FinishedRun) else None,
        "status": run.status,
        "problem": run.what_and_how if run.status in ("damaged", "failed") else "",
    }
