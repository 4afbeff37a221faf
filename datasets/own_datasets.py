"""The data sets that a user imported: what is cached under names that the catalog does not have. Light to import."""

from pathlib import Path
from typing import Any

from . import storage
from .entries import ALIASES, DATASETS, UNLISTED, Dataset, Minari
from .errors import UserError
from .tasks import TASKS, Task, task_from


def own_datasets() -> list[Dataset]:
    """The data sets that the user imported: what is cached under a name that the catalog does not have."""
    return [_own_dataset(folder) for folder in _own_folders()]


def own_tasks() -> dict[str, Task]:
    """The tasks that imported data sets brought with them, each of the data set's own name."""
    entries = [_own_meta(folder).get("task") for folder in _own_folders()]
    return {entry["name"]: task_from(entry) for entry in entries if isinstance(entry, dict)}


def _own_folders() -> list[Path]:
    folders = sorted((storage.home() / "datasets").glob(f"*/{Minari.name}"))
    return [folder for folder in folders if folder.parent.name not in DATASETS | UNLISTED | ALIASES]


def _own_meta(folder: Path) -> dict[str, Any]:
    """The stored facts of an imported data set; nothing if that is damaged: whoever opens it is told what is wrong."""
    from . import cache

    try:
        return cache.read_meta(folder)
    except UserError:
        return {"provenance": {"env_id": "", "origin": ""}}


def _own_dataset(folder: Path) -> Dataset:
    meta = _own_meta(folder)
    minari_id = meta["provenance"]["origin"].partition(";")[0].removeprefix("minari ")
    env_id = meta["provenance"]["env_id"]
    tasks = [task.name for task in TASKS.values() if task.env_id == env_id] or ["unknown"]
    entry = meta.get("task", tasks[0])  # what earlier versions imported has none
    task = entry["name"] if isinstance(entry, dict) else entry
    return Dataset(folder.parent.name, task, f"Imported from Minari's {minari_id}", (Minari(minari_id),), ())
