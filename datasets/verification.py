"""Check that the data sets at hand are what was stored, to the byte."""

from collections.abc import Sequence
from typing import Any

from . import cache
from .catalog import all_datasets, find_dataset
from .counts import count
from .entries import command_to_get
from .errors import UserError


def verify_data(names: Sequence[str]) -> list[dict[str, Any]]:
    """Check every byte of the data sets at hand. Keys: dataset, source, state ("intact", "damaged", "absent"), note."""
    wanted = [find_dataset(name) for name in names] or all_datasets()
    rows = []
    for dataset in wanted:
        at_hand = [source for source in dataset.source_names if cache.folder_of(dataset.name, source).is_dir()]
        for source in at_hand or dataset.source_names[: 1 if names else 0]:
            rows.append({"dataset": dataset.name, "source": source, **_verified(dataset.name, source)})
    return rows


def _verified(name: str, source: str) -> dict[str, str]:
    folder = cache.folder_of(name, source)
    if not folder.is_dir():
        return {"state": "absent", "note": command_to_get(name, source)}
    try:
        data = cache.verify(folder)
    except UserError as error:
        return {"state": "damaged", "note": str(error)}
    return {
        "state": "intact",
        "note": f"{count(data.num_episodes, 'episode')}, {count(data.num_steps, 'step')}, {data.content_hash[:16]}",
    }
