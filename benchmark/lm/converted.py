"""Language models that were converted from a GGUF file: each a checkpoint folder in `$LAMOBENCH_HOME/models`."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from ...datasets.cache import replaced_folder
from ...datasets.storage import alone, home, plain_disk_errors, whole_folder
from .checkpoint_folder import find_tensors, open_checkpoint
from .gguf_checkpoint import write_checkpoint
from .tokenizer_files import read_tokenizer


def convert(file: Path, name: str, force: bool = False) -> Path:
    """The folder of the language model `name`, converted from the GGUF `file` unless it is there already.

    One process at a time converts, and others wait for it. With `force` the folder that is there is replaced in one
    step. Raises a `UserError`, and changes nothing, if the file is no good or there is no room.
    """
    folder = home() / "models" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    place: Callable[[Path], AbstractContextManager[Path]] = replaced_folder if force else whole_folder
    with plain_disk_errors(), alone(folder, "converts"):
        if force or not folder.is_dir():
            with place(folder) as temporary:
                write_checkpoint(file, temporary, name)
                check_model(temporary, name)
    return folder


def check_model(folder: Path, name: str) -> None:
    """Refuse weights that are not what the config promises, and a tokenizer that is not the weights'."""
    checkpoint = open_checkpoint(folder, name)
    find_tensors(checkpoint)
    read_tokenizer(folder, checkpoint.config, name)
