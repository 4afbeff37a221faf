"""`lamobench watch`: running sweeps in a terminal, from the files that they leave beside their runs.

It needs nothing of the sweep's process, so it works from any terminal and any node that sees the folder, whichever
engine trains. See `sweep/record.py` for the files.
"""

import math
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...datasets.counts import count
from ...datasets.errors import UserError
from ..streams import control
from ..terminal import Right, aligned, duration, progress_bar
from .options import RUNS

CLEAR = "\x1b[{lines}A\x1b[J"  # that many lines up, and nothing below
SHOWN = 12  # runs of a sweep that are listed
NARROWEST = 40
UNBOUNDED = 1000  # columns: of the smallest terminal, and where there is none


@dataclass(frozen=True)
class Watch:
    """Show the sweeps that are running, from any terminal: how far they are, what is left, the last scores."""

    runs: Path = RUNS
    """Folder of runs, or of folders of runs."""
    once: bool = False
    """Show them once; otherwise until the last sweep has ended."""
    interval: float = 2.0
    """Seconds between two looks."""

    def run(self) -> None:
        """Show, and come back when there is nothing left to watch."""
        watch(self.runs, self.once, self.interval)


@dataclass(frozen=True)
class Sighting:
    """A sweep as its files show it."""

    root: Path  # folder of its runs
    plan: Mapping[str, Any]
    state: Mapping[str, Any]  # empty until the sweep writes it for the first time
    alive: bool


def watch(root: Path, once: bool = False, interval: float = 2.0) -> None:
    """Print the sweeps under `root`, again and again until none runs; on a terminal each time in the same place."""
    if not 0.0 < interval < math.inf:
        raise UserError(f"interval {interval:g}: give seconds above 0")
    if not root.is_dir():
        raise UserError(f"no folder '{root}'; give the folder of the runs with --runs")
    drawn = 0
    while True:
        sightings = find_sweeps(root)
        width = max(NARROWEST, shutil.get_terminal_size((UNBOUNDED, 24)).columns)
        lines = [line[: width - 1].rstrip() for line in describe(root, sightings)]
        if sys.stdout.isatty() and drawn:
            control(sys.stdout, CLEAR.format(lines=drawn))
        print("\n".join(lines), flush=True)
        drawn = len(lines)
        if once or not any(sighting.alive for sighting in sightings):
            return
        time.sleep(interval)


def find_sweeps(root: Path) -> list[Sighting]:
    """The sweeps over runs in `root` or in folders inside it, those that were killed included until the next begins."""
    from ..runs.layout import walk
    from ..sweep.record import FOLDER, is_alive, read_plan, read_state

    found = []
    for folder in sorted(folder for place, _ in walk(root) for folder in place.glob(f"{FOLDER}/[!.]*")):
        if plan := read_plan(folder):
            found.append(Sighting(folder.parent.parent, plan, read_state(folder, plan), is_alive(folder)))
    return found


def describe(root: Path, sightings: list[Sighting]) -> list[str]:
    """Lines that say where sweeps stand, or that none is running."""
    if not any(sighting.alive for sighting in sightings):
        killed = [line for sighting in sightings for line in _lines(sighting)]
        return [*killed, f"no sweep is running in {root}", *_counts(root)]
    return [line for sighting in sightings for line in _lines(sighting)]


def _lines(sighting: Sighting) -> list[str]:
    """One sweep's: its title, how far it is, its running runs, what failed."""
    state = sighting.state
    runs = {run[0]: run for run in sighting.plan["runs"]}
    failures = state.get("failures", 0)
    running = state.get("running", {})
    over = state.get("finished", sighting.plan["done"]) + failures
    what = ", ".join(sorted({run[5] for run in runs.values()}))
    at_a_time = f", {state['slots']} at a time" if state else ""
    lines = [f"{sighting.root}: {sighting.plan['engine']}{at_a_time}: {what}"]
    if not sighting.alive:
        return [*lines, "  was killed; start the same command again to go on"]
    share = min(max(state.get("share", over / max(1, len(runs))), 0.0), 1.0)
    failed = f", {failures} failed" if failures else ""
    waiting = len(runs) - over - len(running)
    counts = f"{over - failures} done, {len(running)} running{failed}, {waiting} waiting"
    lines.append(f"  {progress_bar(share, 16)} {share:4.0%}  {counts}")
    rates = {run: 1.0 / seconds for run, seconds in state.get("seconds_per_step", {}).items() if seconds > 0}
    left = state.get("seconds_left")
    time_left = "starting" if left is None else f"about {duration(left)} left"
    lines.append(f"  {time_left}, {sum(rates.values()):,.0f} steps/s")
    shown = [
        [*_run(runs[run]), Right(f"{step / runs[run][4]:.0%}"), _rate(rates.get(run)), _score(sighting.root / run)]
        for run, step in list(running.items())[:SHOWN]
    ]
    lines += [f"  {line}" for line in aligned(shown)]
    if len(running) > SHOWN:
        lines.append(f"  and {len(running) - SHOWN} more")
    if (last := state.get("last_finished", "")) in runs:
        lines.append(
            f"  last done: {' '.join(filter(None, _run(runs[last])))}  {_score(sighting.root / last)}".rstrip()
        )
    return lines + [f"  failed: {line}" for line in list(state.get("failed", {}).values())[-3:]]


def _run(run: list[Any]) -> list[str]:
    _, method, share, seed, *_ = run
    return [method, Right(share), f"s{seed}"]


def _rate(steps: float | None) -> str:
    return Right(f"{steps:,.1f} steps/s" if steps else "")


def _score(folder: Path) -> str:
    score = last_score(folder)
    return "" if score is None else f"score {score:.1f}"


def last_score(folder: Path) -> float | None:
    """The mean score of a run's last evaluation, at the target that is ranked; None before the first."""
    from ..runs.episodes import read_episodes
    from ..runs.records import content_of, read_config
    from ..runs.tracks import find_track

    try:
        config = read_config(folder)
        table = read_episodes(content_of(folder, "episodes.csv"))
        own = table[(table[:, 1] == config.target_returns[0]) & (table[:, 0] == table[-1, 0]), 4]
        return float(find_track(config.track).find_task(config.task).normalise(own).mean()) if len(own) else None
    except (OSError, UserError):  # not written yet, or damaged: the sweep itself reports damage
        return None


def _counts(root: Path) -> list[str]:
    """A line with the number of runs, and of those that are done."""
    from ..runs.layout import run_folders

    folders = list(run_folders(root))
    done = sum((folder / "done.json").exists() for folder in folders)
    failed = sum((folder / "failed.json").exists() for folder in folders)
    unfinished = len(folders) - done - failed
    return [f"{count(len(folders), 'run')}: {done} done, {failed} failed, {unfinished} unfinished"] if folders else []
