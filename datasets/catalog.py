"""Data sets and tasks by name, the user's own among them: found, opened and described."""

from typing import TYPE_CHECKING, Any

from .entries import ALIASES, DATASETS, UNLISTED, Dataset, Public, Recorded, Source, command_to_get
from .errors import UserError, choose
from .tasks import TASKS, Task

if TYPE_CHECKING:
    from .trajectories import Trajectories


def find_task(name: str) -> Task:
    """The task of that name, of the catalog or of an imported data set; a `UserError` names the valid ones."""
    if name in TASKS:
        return TASKS[name]
    from .own_datasets import own_tasks

    own = own_tasks()
    return own[name] if name in own else TASKS[choose("task", name, [*TASKS, *own])]


def find_dataset(name: str) -> Dataset:
    """The data set of that name, of D4RL's name for it, or the user's own; a `UserError` names the valid ones."""
    from .own_datasets import own_datasets

    name = ALIASES.get(name, name)
    known = DATASETS | {dataset.name: dataset for dataset in own_datasets()}
    if name in UNLISTED:
        return UNLISTED[name]
    return known[choose("data set", name, list(known), hint="`lamobench data list` describes them")]


def all_datasets() -> list[Dataset]:
    """Every data set in catalog order, then the unlisted ones that are at hand, then the user's own."""
    from . import cache
    from .own_datasets import own_datasets

    at_hand = [d for d in UNLISTED.values() if any(cache.folder_of(d.name, s).is_dir() for s in d.source_names)]
    return [*DATASETS.values(), *at_hand, *own_datasets()]


def recording_of(dataset: Dataset) -> Recorded:
    """The way in which the data set is recorded; a `UserError` if it can't be."""
    for source in dataset.sources:
        if isinstance(source, Recorded):
            return source
    raise UserError(f"data set '{dataset.name}' can't be recorded, only read from: {', '.join(dataset.source_names)}")


def file_of(dataset: Dataset, source: str = "auto") -> Public:
    """The public source of a data set, `auto`: the first one; a `UserError` if it has none, or none of that name."""
    files = {candidate.name: candidate for candidate in dataset.sources if isinstance(candidate, Public)}
    if not files:
        raise UserError(
            f"data set '{dataset.name}' can't be fetched; to get it, type: "
            f"{command_to_get(dataset.name, dataset.sources[0].name)}"
        )
    if source == "auto":
        return next(iter(files.values()))
    return files[choose(f"file of data set '{dataset.name}'", source, list(files))]


def load(name: str, source: str = "auto") -> "Trajectories":
    """Open a data set from the cache, memory-mapped; `auto` takes the first of its sources that is in the cache.

    Raises a `UserError` if the name or the source is unknown, if the data set is not in the cache, or if it is damaged.
    """
    from . import cache

    dataset = find_dataset(name)
    if source != "auto":
        choose(f"source of data set '{dataset.name}'", source, ["auto", *dataset.source_names])
    wanted = [s.name for s in dataset.sources if s.automatic] if source == "auto" else [source]
    folders = [cache.folder_of(dataset.name, candidate) for candidate in wanted]
    for folder in folders:
        if folder.is_dir():
            return cache.open_cached(folder)
    commands = ", or: ".join(command_to_get(dataset.name, candidate) for candidate in wanted)
    raise UserError(f"data set '{dataset.name}' is not in {folders[0].parent}; to get it, type: {commands}")


def status() -> list[dict[str, Any]]:
    """One row for each data set and source, in catalog order: what it holds, or the command that gets it.

    Keys: dataset, task, source, state ("ready", "absent" or "damaged"), episodes, steps, score_mean, score_std and
    score_best (over episodes), megabytes (on disk; when absent, `sizes.expected_megabytes`), command (what to type, or
    empty when ready). What is not known is None.
    """
    return [_status_row(dataset, source) for dataset in all_datasets() for source in dataset.sources]


def _status_row(dataset: Dataset, source: Source) -> dict[str, Any]:
    from . import cache
    from .sizes import expected_megabytes

    command = command_to_get(dataset.name, source.name)
    row: dict[str, Any] = {"dataset": dataset.name, "task": dataset.task, "source": source.name}
    unknown = dict.fromkeys(("steps", "score_mean", "score_std", "score_best"))
    unknown["megabytes"] = expected_megabytes(dataset, source)
    episodes = source.episodes if isinstance(source, Recorded) else None
    folder = cache.folder_of(dataset.name, source.name)
    if not folder.is_dir():
        return row | {"state": "absent", "episodes": episodes} | unknown | {"command": command}
    try:
        meta = cache.read_meta(folder)
        _ = cache.open_cached(folder)
        normalise = find_task(dataset.task).normalise
    except UserError:
        return row | {"state": "damaged", "episodes": episodes} | unknown | {"command": f"{command} --force"}
    return row | {
        "state": "ready",
        "episodes": meta["episodes"],
        "steps": meta["steps"],
        "score_mean": normalise(meta["return_mean"]),
        "score_std": normalise(meta["return_std"]) - normalise(0.0),
        "score_best": normalise(meta["return_best"]),
        "megabytes": sum(file.stat().st_size for file in folder.iterdir()) / 1e6,
        "command": "",
    }
