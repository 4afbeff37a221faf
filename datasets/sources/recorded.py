"""Data sets that are recorded on the machine itself: real simulator, real Minari files, no network."""

from collections.abc import Callable
from pathlib import Path

from .. import cache, storage
from ..catalog import find_dataset, recording_of
from ..entries import Dataset
from ..trajectories import Trajectories
from . import minari

SOURCE = "recorded"


def minari_root() -> Path:
    """The folder where recordings are kept; with `MINARI_DATASETS_PATH` set to it, Minari's own tools see them."""
    return storage.home() / "minari"


def record_dataset(name: str, force: bool = False) -> Trajectories:
    """A recorded data set; what is missing is made first: the recording, then its copy in the cache.

    With `force` both are made anew, in the place of the old ones. Any number of processes may do this at once.
    """
    dataset = find_dataset(name)
    recording_of(dataset)  # a `UserError` if it can't be recorded
    folder = cache.folder_of(dataset.name, SOURCE)
    if folder.is_dir() and not force:
        return cache.open_cached(folder)
    return _stored(dataset, cache.replace if force else cache.save, force)


def mend_recorded(name: str) -> Trajectories:
    """A recorded data set whose copy in the cache is damaged, copied again from the recording, which is kept."""
    return _stored(find_dataset(name), cache.replace, force=False)


def _stored(dataset: Dataset, store: Callable[[Trajectories], Path], force: bool) -> Trajectories:
    """Copy the recording to the cache, recorded first if it is not there, or by `force`."""
    minari_id = recording_of(dataset).minari_id
    with storage.plain_disk_errors():
        if force or not (minari_root() / minari_id).is_dir():
            from ..recording.collect import record  # only here: it loads the simulator

            place = cache.replaced_folder if force else storage.whole_folder
            trajectories = record(dataset, minari_root(), place)
        else:
            trajectories = minari.read(minari_id, minari_root(), dataset=dataset.name, source=SOURCE)
        store(trajectories)
    return trajectories
