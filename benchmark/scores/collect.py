"""Read run folders: what each run is, whether it finished, and what it scored.

A run's score is the mean normalised return over all episodes at the ranked target in the last `headline_evaluations`
evaluations of training; its best score, a side column, is the best single evaluation's mean. See `docs/protocol.md`.
Only under legacy "best-target" are there several targets to choose from, and the best is ranked.
Beside it stands the held-out error of the same evaluations, where it was measured (`runs/held_out.py`). Nothing else of
a run folder is read, so that ten thousand runs take seconds.
"""

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.counts import count
from ...datasets.errors import UserError
from ...datasets.trajectories import Array
from ..runs.config import RunConfig
from ..runs.damage import damage, missized
from ..runs.episodes import read_episodes
from ..runs.held_out import HeldOut, held_out_in
from ..runs.layout import run_folders
from ..runs.records import check_content, check_id, config_in, content_of, read_done, read_failure
from ..runs.tracks import find_track
from .run import FinishedRun, Result, Run

AGAIN = "start the same command again"
UNFINISHED = f"{AGAIN} to go on"
SET_ASIDE = f"{AGAIN}, which sets its folder aside"  # as it does with all damage that sizes tell
NAMED = 10  # unfinished runs that are named; a sweep that is under way may have hundreds
UNVERIFIED = "their done.json has no hashes, so a number that was changed in their files would not be seen"


def collect(*roots: Path) -> list[Run]:
    """Read every run in the folders and in those inside them, sorted by id; finished ones are `FinishedRun`s.

    A run that is found twice counts once: the finished one, or else the one found first.

    Raises a `UserError` if a folder holds no run. A damaged run is listed, so that it does not hide the others.
    """
    runs: dict[str, Run] = {}
    for root in roots:
        folders = sorted(run_folders(root))
        if not folders:
            raise UserError(f"no runs in '{root}'; make some with `lamobench sweep`")
        with uncollected():
            for run in map(read_run, folders):
                known = runs.get(run.id)
                if known is None or (run.status == "finished" and known.status != "finished"):
                    runs[run.id] = run
    return [runs[name] for name in sorted(runs)]


def finished(runs: Iterable[Run]) -> list[FinishedRun]:
    """The finished ones of the runs."""
    return [run for run in runs if isinstance(run, FinishedRun)]


def left_out(runs: Sequence[Run]) -> list[str]:
    """Lines for the runs that the leaderboard can't count, and what to do: one for all that are not finished, and one
    for each that failed or is damaged."""
    unfinished = [run.id for run in runs if run.status == "unfinished"]
    lines = [f"{run.id}: {run.status}: {run.what_and_how}" for run in runs if run.status in ("failed", "damaged")]
    if unfinished:
        named = ", ".join(unfinished[:NAMED]) + (f" and {len(unfinished) - NAMED} more" * (len(unfinished) > NAMED))
        are = "is" if len(unfinished) == 1 else "are"
        lines.insert(0, f"{count(len(unfinished), 'run')} {are} unfinished ({named}); {UNFINISHED}")
    return lines


def unverified(runs: Sequence[Run]) -> list[str]:
    """A line on the number of finished runs that have no hashes of their files; no line where all have."""
    sound = finished(runs)
    missing = sum(not run.verified for run in sound)
    return [f"{missing} of {len(sound)} finished runs are unverified: {UNVERIFIED}"] if missing else []


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the garbage collector, which goes through every run read so far again and again: none holds a cycle."""
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()


def read_run(folder: Path) -> Run:
    """The run in `folder`."""
    config = None
    try:
        content = content_of(folder, "config.json")
        config = config_in(content)
        return _outcome(folder, content, config)
    except (UserError, FileNotFoundError) as error:
        advice = SET_ASIDE if damage(folder) else f"delete '{folder}' and {AGAIN}"
        return Run(folder=folder, status="damaged", config=config, problem=str(error), advice=advice)


def read_finished(folder: Path) -> FinishedRun:
    """The finished run in `folder`; a `UserError` if it is not, or not any more."""
    run = read_run(folder)
    if not isinstance(run, FinishedRun):
        raise UserError(f"run {run.id} is {run.status}: {run.what_and_how}")
    return run


def _outcome(folder: Path, content: bytes, config: RunConfig) -> Run:
    """The run as far as it came; `content` is that of its `config.json`."""
    if not (folder / "done.json").exists():
        if what := damage(folder):
            raise UserError(what)
        if (folder / "failed.json").exists():
            return Run(folder=folder, status="failed", config=config, problem=read_failure(folder))
        return Run(folder=folder, status="unfinished", config=config, problem=UNFINISHED)
    done = read_done(folder)
    if what := missized(folder, done):
        raise UserError(what)
    episodes = content_of(folder, "episodes.csv")
    for name, found in (("config.json", content), ("episodes.csv", episodes)):
        check_content(name, found, done)
    check_id(config, folder)
    results = _results(episodes, config)
    best = max(results, key=lambda result: result.score)
    held_out = _held_out(folder, config, done)
    return FinishedRun(folder=folder, config=config, done=done, results=results, result=best, held_out=held_out)


def _held_out(folder: Path, config: RunConfig, done: Mapping[str, Any]) -> HeldOut | None:
    try:
        content = content_of(folder, "metrics.jsonl")
    except FileNotFoundError:
        return None
    check_content("metrics.jsonl", content, done)
    return held_out_in(content, config.steps)


def with_one_target(runs: Sequence[FinishedRun]) -> list[FinishedRun]:
    """The runs of one row, all scored at the same target: of those that could be ranked, the best of their mean."""
    choices = range(len(runs[0].results))
    best = max(choices, key=lambda choice: float(np.mean([run.results[choice].score for run in runs])))
    return [run if run.result is run.results[best] else replace(run, result=run.results[best]) for run in runs]


def _results(episodes: bytes, config: RunConfig) -> tuple[Result, ...]:
    table = read_episodes(episodes)
    return tuple(_result_at(target, table, config) for target in config.ranked_targets)


def _result_at(target: float, table: Array, config: RunConfig) -> Result:
    steps, returns = _returns_at(target, table, config)
    scores = find_track(config.track).find_task(config.task).normalise(returns)
    headline = slice(-config.headline_evaluations, None)
    curve = scores.mean(axis=1)
    return Result(
        target_return=float(target),
        score=float(scores[headline].mean()),
        best_score=float(curve.max()),
        return_mean=float(returns[headline].mean()),
        headline_scores=scores[headline].ravel(),
        curve_steps=steps,
        curve_scores=curve,
    )


def _returns_at(target: float, table: Array, config: RunConfig) -> tuple[Array, Array]:
    """Steps (V,) and returns (V, E) of the evaluations at a target to rank; a `UserError` if an episode is missing."""
    table = table[np.abs(table[:, 1] - target) <= 1e-8 + 1e-5 * abs(target)]
    table = table[np.lexsort((table[:, 2], table[:, 0]))]  # by step, then episode
    episodes = config.evaluation_episodes
    wanted = config.headline_evaluations
    steps = table[::episodes, 0].astype(np.int64)
    whole = len(table) == episodes * len(steps) and (table[:, 0].reshape(-1, episodes) == steps[:, None]).all()
    if not whole or len(steps) < wanted or (steps[1:] == steps[:-1]).any() or steps[-1] != config.steps:
        steps, counts = np.unique(table[:, 0].astype(np.int64), return_counts=True)
        found = ", ".join(f"{count} at step {step}" for step, count in zip(steps, counts, strict=True)) or "none"
        raise UserError(
            f"episodes.csv must hold {episodes} episodes at the ranked target in each evaluation and {wanted} or more "
            f"evaluations, the last at step {config.steps}; it holds {found}"
        )
    numbers = table[:, 2].reshape(-1, episodes)
    if (numbers[:, 1:] <= numbers[:, :-1]).any():
        raise UserError("episodes.csv holds an episode twice")
    return steps, table[:, 4].reshape(-1, episodes)
