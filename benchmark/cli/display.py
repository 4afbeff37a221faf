"""Data sets, sweeps and searches as commands show them."""

import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ...datasets.cache import folder_of
from ...datasets.counts import count
from ...datasets.entries import Dataset
from ...datasets.errors import UserError
from ...datasets.games.families import FAMILIES
from ...datasets.games.families import describe as describe_games
from ...datasets.own_datasets import own_tasks
from ...datasets.tasks import TASKS, Task
from ...datasets.trajectories import Trajectories
from ..sweep.plan import Plan, plan_rows, source_of_estimate
from ..terminal import Right, cell, described, duration, progress_bar, table_lines, wrapped

if TYPE_CHECKING:
    from ...datasets.recording.actors import Players
    from ...datasets.recording.search import Snapshot
    from ..sweep.state import State

LIST_FOOTER = """
Mean and best: scores of episodes. ~: an estimate of what it would take. To get a data set, type `lamobench data`, the
command of the last column and the name, for instance: lamobench data record reacher2d-medium"""
STATES = {"ready": "yes", "absent": "no: ", "damaged": "damaged: "}
HISTOGRAMS = ("return_histogram", "length_histogram")
SHOWN_DAMAGES = 10


def print_datasets(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print every data set, rows of `catalog.status`, a block for each task."""
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
        "size": Right(size),
        "on disk": STATES[row["state"]] + " ".join([verb, *options]),
    }


def _size(megabytes: float) -> str:
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.{0 if megabytes >= 10 else 1}f} MB"


def _title(task: str) -> str:
    if task in FAMILIES:
        return describe_games(task)
    known = TASKS | own_tasks()
    if task not in known:
        return task
    low, high = known[task].reference_scores
    return f"{task}: a return of {low:g} scores 0, {high:g} scores 100"


def describe_data(data: Trajectories, dataset: Dataset, task: Task | None, *, as_table: bool) -> dict[str, Any]:
    """Facts of a data set, then its histograms, then what is published on it, as a table or in full."""
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


def _actions(data: Trajectories, task: Task) -> dict[str, Any]:
    """Facts of the data's actions in the task's environment, or why they can't be told."""
    from ...datasets.environments.simulators import space_of_actions
    from ...datasets.summary import describe_actions

    try:
        return describe_actions(data, space_of_actions(data, task))
    except UserError as error:
        return {"actions": str(error)}


def print_description(description: Mapping[str, Any], as_json: bool) -> None:
    """Print a data set's description: single values first, then its histograms."""
    if as_json:
        print(json.dumps(description, indent=2))
        return
    blocks = {name: value for name, value in description.items() if _is_block(value)}
    print("\n".join(described({name: _in_words(value) for name, value in description.items() if name not in blocks})))
    for name, value in blocks.items():
        lines = value if isinstance(value[0], str) else table_lines(value)
        print(f"\n{name}\n" + "\n".join(f"  {line}" for line in lines))


def _is_block(value: Any) -> bool:
    """Tell whether a value is lines, or rows of a table."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], str | Mapping)


def _in_words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {cell(part)}" for key, part in value.items())
    return cell(value)


def write_figures(data: Trajectories, task: Task | None, folder: Path) -> list[Path]:
    """Write the histograms, and a contact sheet where there are frames; returns the files.

    Where nothing can draw the task's scene, a line on standard error says so; the histograms are written all the same.
    """
    from ..figures.data import spread_figure
    from ..figures.frames import camera_of, contact_sheet

    name = f"{data.provenance.dataset}-{data.provenance.source}"
    histograms = folder / f"{name}.png"
    sheet = folder / f"{name}-frames.png"
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


def print_summary(data: Trajectories) -> None:
    """Print what a data set that was just made holds, where it comes from, and where it is."""
    dataset = data.provenance.dataset
    source = data.provenance.source
    size = f"{count(data.num_episodes, 'episode')}, {count(data.num_steps, 'step')}"
    print(f"{dataset}: {size}, mean return {data.returns.mean():.1f}")
    print(f"from {data.provenance.origin}")
    print(f"in {folder_of(dataset, source)}")


def print_snapshot(snapshot: "Snapshot") -> None:
    """Print how well a search plays so far, above its progress bar."""
    tqdm.write(f"{snapshot.step:>9,} steps: mean return {snapshot.mean_return:8.1f}, score {snapshot.score:6.1f}")
    sys.stdout.flush()


def print_players(players: "Players", output: Path) -> None:
    """Print what a search chose, and where it is."""
    for name in ("medium", "expert"):
        facts = players.facts[name]
        print(f"{name}: after {facts['step']:,} steps; on fresh episodes mean return {facts['mean_return']:.1f}")
    print(f"{len(players.replay)} actors on the way to medium\nin {output}")


def run_bar(label: str, total: int) -> tuple[tqdm, Callable[[int, int], None]]:
    """A progress bar for one run, and the function that moves it. Nothing is shown without a terminal."""
    bar = tqdm(total=total, desc=label, unit=" steps", leave=False, dynamic_ncols=True, disable=None)

    def report(step: int, _: int) -> None:
        bar.update(step - bar.n)

    return bar, report


def print_plan(plan: Plan, subject: str, root: Path, slots: int) -> None:
    """Print what a sweep will do, before it begins: how many runs of each kind, and how long they may take.

    `slots` is the number of jobs at a time, 0 if a cluster has yet to be asked.
    """
    together = any(len(job) > 1 for job in plan.jobs)
    groups = f", the others in {len(plan.jobs)} groups" if together else ""
    at_a_time = f"{slots} at a time" if slots else "as many at a time as the cluster has room for"
    print(f"{count(len(plan.runs), 'run')} on {subject}, {len(plan.done)} done already{groups}, {at_a_time}, in {root}")
    for run, problem in list(plan.damaged.items())[:SHOWN_DAMAGES]:
        print(f"damaged: {run}: {problem}; its folder will be set aside, and the run starts anew")
    if len(plan.damaged) > SHOWN_DAMAGES:
        print(f"damaged: {len(plan.damaged) - SHOWN_DAMAGES} more")
    if unmade := dict.fromkeys(run.unmade for run in plan.runs if run.unmade):
        print("\n".join(wrapped(f"made first: {'; '.join(sorted(unmade))}")))
    if plan.jobs:
        print("to do / to resume / done:")
        print("\n".join(f"  {line}" for line in table_lines(plan_rows(plan))))
        alone = "" if slots else " of one run at a time"
        print(f"about {duration(plan.seconds(slots or 1))}{alone}, by {source_of_estimate(plan)}")
    sys.stdout.flush()


class SweepBar:
    """One line that says how far a sweep is, what is running and how long it will take.

    Without a terminal, as in a log file, it writes a line every half minute.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self.bar = tqdm(total=1.0, bar_format="{desc}", leave=False, dynamic_ncols=True, disable=None)
        self.due = 0.0
        self.noted = 0

    def __call__(self, state: "State") -> None:
        """Show where the sweep stands."""
        for line in state.notes[self.noted :]:
            tqdm.write(line.rstrip(), file=sys.stderr)
        self.noted = len(state.notes)
        started = time.monotonic()
        if started < self.due:
            return
        line = sweep_line(state, state.slots or self.jobs, shutil.get_terminal_size((100, 24)).columns)
        if self.bar.disable:
            self.due = started + 30
            print(line, flush=True)
        else:
            self.bar.set_description_str(line)
            now = time.monotonic()
            self.due = now + max(0.1, 20 * (now - started))  # with ten thousand runs a line takes a while

    def close(self) -> None:
        """Clear the line."""
        self.bar.close()


def sweep_line(state: "State", jobs: int, width: int) -> str:
    """One line of at most `width` characters for a sweep's state."""
    over = len(state.finished) + len(state.failed)
    share = state.share_done()
    left = state.seconds_left(jobs)
    time_left = "starting" if left is None else f"about {duration(left)} left"
    text = f"{progress_bar(share, 20)} {share:4.0%}  {over}/{len(state.runs)} runs  {time_left}"
    running = [run for run in state.runs if run.id in state.running]
    names = [f"{run.method} {run.share} s{run.seed} {state.steps.get(run.id, 0) / run.steps:.0%}" for run in running]
    return f"{text}  [{', '.join(names)}]"[: max(20, width - 1)]
