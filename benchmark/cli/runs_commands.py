"""The work behind the `runs` and `hub` commands; `runs.py` only declares them."""

import json
import os
import re
import sys
import time
from dataclasses import asdict
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

from ...datasets.errors import UserError
from ...datasets.storage import scratch_folder
from ..runs.config import BROKEN_END, RUN_ID_END
from ..runs.layout import EVENTS, run_folders
from ..runs.records import read_config
from ..runs.store import hold
from ..scores.collect import collect, finished
from ..scores.run import FinishedRun, Run, data_of
from ..sweep.estimate import last_row
from ..terminal import count, print_rows

if TYPE_CHECKING:
    from .runs import HubPull, HubPush, RunsExport, RunsImport, RunsList, RunsRemove, RunsTensorBoard

FOLLOW_SECONDS = 5.0
RUN_OR_BROKEN = re.compile(f"{RUN_ID_END.pattern}|{BROKEN_END.pattern}")


def find_run(name: str, root: Path, named: re.Pattern[str] = RUN_ID_END) -> Path:
    """The folder of a run, given by its id or by its folder; a `UserError` if there is none.

    An id is looked for as `collect` does, in folders inside `root` too: of several the finished one, or the first.
    """
    for folder in (root / name, Path(name)):
        if named.search(folder.resolve().name) and folder.is_dir():  # other folders have a config.json too
            return folder.resolve()
    if found := [folder for folder in sorted(run_folders(root, named)) if folder.name == name]:
        return next((folder for folder in found if (folder / "done.json").is_file()), found[0]).resolve()
    raise UserError(f"there is no run {name!r} in {root}; `lamobench runs list --runs {root}` shows what there is")


def list_runs(command: "RunsList") -> None:
    """`lamobench runs list`."""
    rows = [_listed(run) for run in collect(command.runs)]
    print_rows(rows if command.json else _as_printed(rows), command.json)
    if aside := sorted(folder.name for folder in run_folders(command.runs, BROKEN_END)):
        what = f"{count(len(aside), 'damaged folder')} set aside, e.g. {aside[0]}"
        print(f"{what}; to delete one: lamobench runs remove {aside[0]}", file=sys.stderr)


def _as_printed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fractions as people write them, and problems cut short, where there is any."""
    problems = any(row["problem"] for row in rows)
    return [
        {key: value for key, value in row.items() if key != "problem"}
        | {"fraction": "-" if row["fraction"] is None else f"{row['fraction']:g}"}
        | ({"problem": row["problem"].removeprefix(f"run {row['run']}: ")[:60]} if problems else {})
        for row in rows
    ]


def _listed(run: Run) -> dict[str, Any]:
    """What the list says of a run; what a damaged one does not tell is None."""
    config, data = run.config, data_of(run.config) if run.config else None
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


def export(command: "RunsExport") -> None:
    """`lamobench runs export`."""
    from ..sharing.archive import export_runs

    if command.names:
        folders = [find_run(name, command.runs) for name in command.names]
    else:
        runs = collect(command.runs)
        folders = [run.folder for run in finished(runs)]
        for run in runs:
            if run.status != "finished":
                print(f"left out: {run.id}: {run.status}; name it to export it all the same", file=sys.stderr)
    contents = export_runs(command.file, folders, not command.without_checkpoints, command.force)
    files = sum(map(len, contents.values()))
    print(f"{command.file}: {count(len(contents), 'run')}, {files} files, {command.file.stat().st_size / 1e6:.1f} MB")


def bring_in(command: "RunsImport") -> None:
    """`lamobench runs import`."""
    from ..sharing.archive import import_runs

    placed = import_runs(command.file, command.runs)
    if command.json:
        print(json.dumps(asdict(placed), indent=2))
        return
    print(f"{count(len(placed.added), 'run')} imported to {command.runs}, {len(placed.there)} there already")


def remove(command: "RunsRemove") -> None:
    """`lamobench runs remove`: none if one of them is not there."""
    for folder in dict.fromkeys([find_run(name, command.runs, RUN_OR_BROKEN) for name in command.names]):
        with scratch_folder(folder.parent, ".removed.") as aside:  # which the next one clears away if this is killed
            with hold(folder):
                os.rename(folder, aside / folder.name)  # gone in one step: never half a run
            rmtree(aside / folder.name)
        print(f"removed {folder.name}")


def push(command: "HubPush") -> None:
    """`lamobench hub push`."""
    from ..sharing import hub as policy_hub

    folder = find_run(command.name, command.runs)
    if places := policy_hub.local_paths(read_config(folder)):
        print(f"note: its config.json names places on this machine: {', '.join(places)}", file=sys.stderr)
    print(f"{folder.name} is published: {policy_hub.push(folder, command.to, command.private)}")


def pull(command: "HubPull") -> None:
    """`lamobench hub pull`."""
    from ..sharing import hub as policy_hub

    pulled = policy_hub.pull(command.from_, command.runs, command.revision)
    folder = command.runs / pulled.run
    if command.json:
        row = {"run": pulled.run, "folder": str(folder), "added": bool(pulled.placed.added)}
        print(json.dumps(row | {"commit": pulled.commit, "missing": pulled.missing}, indent=2))
        return
    print(f"{'' if pulled.placed.added else 'there already: '}{folder}")
    if pulled.commit:
        print(f"from {command.from_}, for ever the same with: --revision {pulled.commit}")
    if pulled.missing:
        print(f"to play it: {pulled.missing}")
    else:
        print(f"to play it: lamobench evaluate {folder}")


def write_tensorboard(command: "RunsTensorBoard") -> None:
    """`lamobench runs tensorboard`."""
    from ..sharing.events import check_tensorboard, write_events

    check_tensorboard()
    output, told = command.output or command.runs / EVENTS, set[str]()

    def write(folder: Path) -> int:
        """Of one run among all, which hides no other."""
        try:
            return write_events(folder, output)
        except UserError as error:
            if str(error) not in told:
                print(f"left out: {error}", file=sys.stderr)
            told.add(str(error))
            return 0

    while True:
        if command.names:
            folders = [find_run(name, command.runs) for name in command.names]
            points = [write_events(folder, output) for folder in folders]
        else:
            folders = [run.folder for run in collect(command.runs)]
            points = [write(folder) for folder in folders]
        if not command.follow:
            break
        if sum(points):
            print(f"{count(sum(points), 'new point')} of {count(sum(map(bool, points)), 'run')}", flush=True)
        time.sleep(FOLLOW_SECONDS)
    news = f"{count(sum(points), 'new point')} of {count(len(folders), 'run')}"
    print(f"{news}; to look at them: tensorboard --logdir {output}")
