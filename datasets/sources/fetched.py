"""Data sets whose public files are fetched: downloaded, or brought by hand where there is no network."""

import shlex
from pathlib import Path

from .. import cache, storage
from ..catalog import file_of, find_dataset
from ..download import download
from ..entries import DQNReplay, Public, command_to_get
from ..errors import UserError
from ..trajectories import Trajectories
from . import d4rl, dqn_replay


def download_folder() -> Path:
    """The folder where fetched files are kept; a file that is put there by hand is taken for a fetched one."""
    return storage.home() / "downloads"


def fetch_dataset(name: str, source: str = "auto", path: Path | None = None, force: bool = False) -> Trajectories:
    """A data set from its public file; what is missing is made first: the file, then its copy in the cache.

    `path` names a file, or for DQN replay the folder of its four files, that was brought by hand: nothing is
    downloaded, and it stays where it is. With `force` the file, unless it was brought, and the copy are made anew, in
    the place of the old ones. Any number of processes may do this at once. Raises a `UserError`, and leaves what was
    there, if the file can't be had or is no good.
    """
    dataset = find_dataset(name)
    file = file_of(dataset, source)
    folder = cache.folder_of(dataset.name, file.name)
    if folder.is_dir() and not force and path is None:
        return cache.open_cached(folder)
    store = cache.replace if force else cache.save
    with storage.plain_disk_errors():
        place = path or _downloaded(file, command_to_get(dataset.name, file.name), force)
        if isinstance(file, DQNReplay):
            with cache.scratch_folder(dataset.name, file.name) as scratch:
                trajectories = dqn_replay.read(place, dataset, file, scratch)
                store(trajectories, scratch)
        else:
            if path is not None:  # a downloaded one has been checked
                d4rl.check_file(path)
            trajectories = d4rl.read(place, dataset, file)
            store(trajectories)
    return trajectories


def _downloaded(file: Public, command: str, force: bool) -> Path:
    """Download what of the files is missing; returns the file, or the folder of several."""
    check = dqn_replay.check_file if isinstance(file, DQNReplay) else d4rl.check_file
    targets = {download_folder() / name: address for name, address in file.files.items()}
    try:
        for target, address in targets.items():
            download(address, target, check, force=force)
    except UserError as error:
        raise UserError(
            f"{error}; type it again, or on a connected machine: curl -fLO {shlex.quote(file.address)}; "
            f"then bring it here, and type: {command} --from {file.brought}"
        ) from None
    return target.parent if isinstance(file, DQNReplay) else target
