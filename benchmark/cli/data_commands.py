"""The work behind `data list`, `data show` and `data survey`; `data.py` only declares them."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...datasets.catalog import find_dataset, load, status
from ...datasets.entries import Dataset
from ...datasets.errors import UserError
from ...datasets.own_datasets import own_tasks
from ...datasets.storage import home
from ...datasets.tasks import TASKS, Task
from ..terminal import table_lines
from .display import print_description

if TYPE_CHECKING:
    from ...datasets.trajectories import Trajectories
    from .data import DataRecord, DataShow, DataSurvey

LIST_FOOTER = """
Mean and best: scores of episodes. ~: an estimate of what it would take. To get a data set, type `lamobench data`, the
command of the last column and the name, for instance: lamobench data record reacher2d-medium"""
STATES = {"ready": "yes", "absent": "no: ", "damaged": "damaged: "}
HISTOGRAMS = ("return_histogram", "length_histogram")


def list_data(as_json: bool) -> None:
    """`lamobench data list`: every data set, a block for each task."""
    rows = status()
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    blocks: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        blocks.setdefault(row["task"], []).append(row)
    head, *lines = table_lines([_listed(row) for block in blocks.values() for row in block])
    print(head)
    for task, block in blocks.items():
        print(f"\n{_title(task)}")
        print("\n".join(lines[: len(block)]))
        del lines[: len(block)]
    print(LIST_FOOTER)


def show_data(command: "DataShow") -> None:
    """`lamobench data show`: what there is to say, then the figures, then where they are."""
    dataset = find_dataset(command.name)
    data, task = load(command.name, command.source), (TASKS | own_tasks()).get(dataset.task)
    description = _description(data, dataset, task, as_table=not command.json)
    if not command.json:
        print_description(description, as_json=False)
    figures = write_figures(data, task, command.output or home() / "figures") if command.figures else []
    if command.json:
        print_description(description | {"figures": [str(path) for path in figures]}, as_json=True)
    elif figures:
        print("\n" + "\n".join(f"written: {path}" for path in figures))


def record_data(command: "DataRecord") -> "Trajectories":
    """`lamobench data record`; with `--if-absent`, a recorded copy that is damaged is as good as none."""
    from ...datasets import cache
    from ...datasets.sources.recorded import SOURCE, mend_recorded, record_dataset

    dataset = find_dataset(command.name)
    if command.if_absent and command.force:
        raise UserError("--if-absent keeps what is there, --force replaces it; give one of them")
    automatic = [source.name for source in dataset.sources if source.automatic]
    at_hand = [name for name in automatic if cache.folder_of(dataset.name, name).is_dir()]
    if not command.if_absent or not at_hand:
        return record_dataset(dataset.name, command.force)
    try:
        return load(dataset.name)
    except UserError as error:
        if at_hand[0] != SOURCE:
            raise
        print(f"lamobench: it is made again now: {error}", file=sys.stderr)
        return mend_recorded(dataset.name)


def survey_data(command: "DataSurvey") -> None:
    """`lamobench data survey`: one line a data set as it goes, then where the table is."""
    from ..offline.survey import survey
    from ..terminal import duration

    for row in survey(command.names, command.output):
        took = f", recorded in {duration(float(row['seconds']))}" if row["seconds"] else ""
        print(
            f"{row['dataset']}: {row['episodes']} episodes, {row['steps']} steps, mean return {row['return_mean']}, "
            f"mean score {row['score_mean']}, best {row['score_best']}{took}",
            flush=True,
        )
    print(f"written: {command.output}")


def write_figures(data: "Trajectories", task: Task | None, folder: Path) -> list[Path]:
    """Write the histograms, and a contact sheet where there are frames; returns the files.

    Where nothing can draw the task's scene, a line on standard error says so; the histograms are written all the same.
    """
    from ..figures.data import spread_figure
    from ..figures.frames import camera_of, contact_sheet

    name = f"{data.provenance.dataset}-{data.provenance.source}"
    histograms, sheet = folder / f"{name}.png", folder / f"{name}-frames.png"
    spread_figure(data, task, histograms)
    camera = camera_of(data, task)
    if camera is None:
        return [histograms]
    try:
        contact_sheet(data, task, camera, sheet)
    except UserError as error:
        print(f"lamobench: no contact sheet: {error}", file=sys.stderr)
        return [histograms]
    return [histograms, sheet]


def _description(data: "Trajectories", dataset: Dataset, task: Task | None, *, as_table: bool) -> dict[str, Any]:
    """What there is to say of a data set: facts, then histograms, then what is published, as a table or in full."""
    from ...datasets.summary import describe, describe_scores
    from ..scores.reported import PAPER_SOURCES, published_rows, published_tables

    facts = describe(data)
    histograms = {name: facts.pop(name) for name in HISTOGRAMS}
    facts |= describe_scores(data, dataset, task) | _actions(data, task) if task else {}
    tables = published_tables(dataset.name)
    if not tables:
        return facts | histograms
    which = "this" if data.provenance.source in PAPER_SOURCES else "other"
    facts["published_by"] = f"{', '.join(tables)}, on {which} data"
    if as_table:
        return facts | histograms | {f"published scores: {title}": table for title, table in tables.items()}
    return facts | histograms | {"published_scores": published_rows(dataset.name)}


def _actions(data: "Trajectories", task: Task) -> dict[str, Any]:
    """What there is to say of the data's actions in the task's environment, or why it can't be said."""
    from ...datasets.environments import space_of_actions
    from ...datasets.summary import describe_actions

    try:
        return describe_actions(data, space_of_actions(data, task))
    except UserError as error:
        return {"actions": str(error)}


def _listed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `catalog.status` in the words of the table."""
    _, _, verb, _, *options = row["command"].split() or [""] * 4
    size = "" if row["megabytes"] is None else _size(row["megabytes"])
    size = f"~{size}" if size and row["state"] == "absent" else size
    return {
        "data set": row["dataset"],
        "source": row["source"],
        "episodes": row["episodes"],
        "steps": row["steps"],
        "mean": row["score_mean"],
        "best": row["score_best"],
        "size": f"{size:>8}",
        "on disk": STATES[row["state"]] + " ".join([verb, *options]),
    }


def _size(megabytes: float) -> str:
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.{0 if megabytes >= 10 else 1}f} MB"


def _title(task: str) -> str:
    known = TASKS | own_tasks()
    if task not in known:
        return task
    low, high = known[task].reference_scores
    return f"{task}: a return of {low:g} scores 0, {high:g} scores 100"
