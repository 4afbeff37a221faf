"""Measure how good the recorded data is: one row a data set, in `results/recorded_data.csv`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ...datasets.catalog import find_dataset, find_task, recording_of
from ...datasets.csv_text import csv_text, read_csv
from ...datasets.entries import DATASETS, UNLISTED, Dataset, Recorded
from ...datasets.kitchen import satisfied
from ...datasets.recording.collect import PLAYERS
from ...datasets.sources.recorded import record_dataset
from ...datasets.storage import write_text
from ...datasets.tasks import TASKS, Task
from ...datasets.trajectories import Array, Trajectories
from ...datasets.windows import View, returns_to_go

SUB_GOALS = tuple(dict.fromkeys(name for task in TASKS.values() for name in task.sub_goals))
COLUMNS = (
    *("dataset", "task", "grade", "player", "record_seed", "episodes", "steps"),
    *("truncated", "return_mean", "return_std", "return_min", "return_max", "score_mean", "score_best"),
    *("clipped_return_mean", "clipped_return_max"),  # what learning sees, where it sees rewards clipped
    *(f"done_{name.replace(' ', '_')}" for name in SUB_GOALS),  # shares of the episodes
    *("done_all", "simulator", "content_hash"),
)
Row = dict[str, str]


def survey(names: Sequence[str], path: Path) -> Iterator[Row]:
    """Record what is missing of the named data sets, all that can be recorded if none is named, and yield their rows.

    `path` is written anew after each, whole or not at all: rows of other data sets in it stay, in catalog order.
    Raises the errors of `record_dataset`.
    """
    wanted = [find_dataset(name) for name in names] or [d for d in DATASETS.values() if _can_be_recorded(d)]
    for dataset in wanted:
        recording_of(dataset)  # a wrong name is known before hours of recording
    rows = _read(path)
    for dataset in wanted:
        rows[dataset.name] = survey_row(dataset, record_dataset(dataset.name))
        _write(path, rows)
        yield rows[dataset.name]


def survey_row(dataset: Dataset, data: Trajectories) -> Row:
    """The row of a recorded data set, each value as it is written.

    `done_...` are shares of the episodes: those in which that sub-goal was done at least once, and in which all were.
    They are empty for tasks without such a sub-goal.
    """
    task = find_task(dataset.task)
    recording = recording_of(dataset)
    scores = [task.normalise(value) for value in data.returns]
    values: dict[str, object] = {
        "dataset": dataset.name,
        "task": dataset.task,
        "grade": recording.grade,
        "player": PLAYERS[dataset.task].algorithm,
        "record_seed": recording.record_seed,
        "episodes": data.num_episodes,
        "steps": data.num_steps,
        "truncated": int(np.count_nonzero(data.timeouts)),
        "return_mean": f"{data.returns.mean():.3f}",
        "return_std": f"{data.returns.std():.3f}",
        "return_min": f"{data.returns.min():.3f}",
        "return_max": f"{data.returns.max():.3f}",
        "score_mean": f"{np.mean(scores):.2f}",
        "score_best": f"{np.max(scores):.2f}",
        "simulator": data.provenance.simulator,
        "content_hash": data.content_hash,
        **_clipped(data, task),
        **_success(data, task),
    }
    return {column: str(values.get(column, "")) for column in COLUMNS}


def _clipped(data: Trajectories, task: Task) -> dict[str, str]:
    if not task.clip_rewards:
        return {}
    seen = returns_to_go(data, View(clip_rewards=True))[data.offsets[:-1]]  # (N,)
    return {"clipped_return_mean": f"{seen.mean():.3f}", "clipped_return_max": f"{seen.max():.3f}"}


def _success(data: Trajectories, task: Task) -> dict[str, str]:
    if not task.sub_goals:
        return {}
    done = np.stack([_done(data, episode, task) for episode in range(data.num_episodes)])  # (N, G)
    shares = dict(zip(map(_column, task.sub_goals), done.mean(axis=0), strict=True))
    return {column: f"{share:.3f}" for column, share in {**shares, "done_all": done.all(axis=1).mean()}.items()}


def _column(sub_goal: str) -> str:
    return f"done_{sub_goal.replace(' ', '_')}"


def _done(data: Trajectories, episode: int, task: Task) -> Array:
    """A mask (G,) of the sub-goals that the observations of an episode satisfy at least once."""
    inside = data.observations[data.offsets[episode] : data.offsets[episode + 1]]
    everything = np.concatenate([inside, data.last_observations[episode : episode + 1]])
    return np.asarray(satisfied(everything, task.sub_goals).any(axis=0))


def _can_be_recorded(dataset: Dataset) -> bool:
    return any(isinstance(source, Recorded) for source in dataset.sources)


def _read(path: Path) -> dict[str, Row]:
    """The rows of a table that an earlier survey wrote, of data sets that the catalog still has."""
    rows = read_csv(path) if path.is_file() else []
    return {row["dataset"]: row for row in rows if row.get("dataset") in DATASETS | UNLISTED}


def _write(path: Path, rows: dict[str, Row]) -> None:
    order = [*DATASETS, *UNLISTED]
    cells = ([rows[name].get(column, "") for column in COLUMNS] for name in sorted(rows, key=order.index))
    write_text(path, csv_text(COLUMNS, cells))
