"""Delete data sets from this machine."""

from pathlib import Path

from .. import cache
from ..catalog import find_dataset
from ..entries import Public, Recorded
from ..errors import UserError
from ..storage import remove_folder
from .fetched import download_folder
from .recorded import minari_root

SUFFIXES = ("", ".part", ".part.json")  # of a downloaded file, and of what an interrupted download leaves


def remove_dataset(name: str) -> list[Path]:
    """Delete a data set: its cached copies, its recording and its downloaded files. Returns what is gone.

    A Minari data set that was imported, and a file that was brought by hand, stay where they are. A `UserError` if
    there is nothing to delete.
    """
    dataset = find_dataset(name)
    gone = []
    for source in dataset.sources:
        folder = cache.folder_of(dataset.name, source.name)
        if folder.is_dir():
            cache.remove(dataset.name, source.name)
            gone.append(folder)
        if isinstance(source, Recorded) and (minari_root() / source.minari_id).is_dir():
            remove_folder(minari_root() / source.minari_id)
            gone.append(minari_root() / source.minari_id)
        if isinstance(source, Public):
            files = [download_folder() / f"{name}{suffix}" for name in source.files for suffix in SUFFIXES]
            for file in filter(Path.is_file, files):
                file.unlink()
                gone.append(file)
    if not gone:
        raise UserError(f"nothing of data set '{dataset.name}' is here; `lamobench data list` shows what is")
    return gone
