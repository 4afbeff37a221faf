"""Data sets whose public files are fetched: downloaded, or brought by hand where there is no network."""

from pathlib import Path

from .. import cache, storage
from ..catalog import D4RL, command_to_get, file_of, find_dataset
from ..download import download
from ..errors import UserError
from ..trajectories import Trajectories
from . import d4rl


def download_folder() -> Path:
    """Where fetched files are kept; a file that is put there by hand is taken for a fetched one."""
    return storage.home() / "downloads"


def fetch_dataset(name: str, source: str = "auto", path: Path | None = None, force: bool = False) -> Trajectories:
    """A data set from its public file; what is missing is made first: the file, then its copy in the cache.

    `path` names a file that was brought by hand: nothing is downloaded, and the file stays where it is. With `force`
    the file, unless it was brought, and the copy are made anew, in the place of the old ones. Any number of processes
    may do this at once. Raises a `UserError`, and leaves what was there, if the file can't be had or is no good.
    """
    dataset = find_dataset(name)
    file = file_of(dataset, source)
    folder = cache.folder_of(dataset.name, file.name)
    if folder.is_dir() and not force and path is None:
        return cache.open_cached(folder)
    with storage.plain_disk_errors():
        if path is None:
            path = _downloaded(file, command_to_get(dataset.name, file.name), force)
        else:
            d4rl.check_file(path)
        trajectories = d4rl.read(path, dataset, file)
        store = cache.replace if force else cache.save
        store(trajectories)
    return trajectories


def _downloaded(file: D4RL, command: str, force: bool) -> Path:
    target = download_folder() / file.file_name
    try:
        download(file.address, target, d4rl.check_file, anew=force)
    except UserError as error:
        raise UserError(
            f"{error}; type it again, or on a connected machine: curl -fLO {file.address}; "
            f"then bring the file here, and type: {command} --from {file.file_name}"
        ) from None
    return target
