"""Published language models: fetched from the Hub, or brought by hand where there is no network."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ...datasets import corpora
from ...datasets.cache import replaced_folder
from ...datasets.errors import UserError
from ...datasets.hub import Check, download_files, forget_downloads
from ...datasets.json_files import parse_json
from ...datasets.storage import home, plain_disk_errors
from .checkpoints import EMBEDDED, NAME
from .converted import check_model, convert
from .families import FAMILIES
from .packaged import PACKAGED, check_content
from .published import PUBLISHED, PUBLISHED_FAMILY


def fetch_language_model(name: str, given: Sequence[Path] = (), force: bool = False) -> dict[str, Any]:
    """Bring the published model `name` to `$LAMOBENCH_HOME/models`, and say what there is.

    `given` is the one folder that holds its files, brought by hand; it stays where it is. A model that is here already
    is left alone unless `given` or `force`, and then replaced in one step. Raises a `UserError`, and changes nothing,
    if a file can't be had or is no good.
    """
    folder = home() / "models" / name
    if given or force or not folder.is_dir():
        with plain_disk_errors():
            placed = _given_files(name, given) if given else download_files(PUBLISHED[name], FILES, name)
            with replaced_folder(folder) as temporary:
                for file, path in placed.items():
                    (shutil.copyfile if given else os.replace)(path, temporary / file)
                check_model(temporary, name)
            forget_downloads(name)
    return {"model": name, "folder": str(folder), "use": f"--lm {name}"}


def import_gguf(name: str, file: Path, force: bool = False) -> dict[str, Any]:
    """Convert the GGUF `file`, of a Llama, to the language model `name` in `$LAMOBENCH_HOME/models`; say what there is.

    `name` is any plain name that is not taken, or that of a packaged model whose GGUF this is. Raises a `UserError`,
    and changes nothing, otherwise, if there is such a model already and not `force`, and as `converted.convert` does.
    """
    if not NAME.fullmatch(name) or name in PUBLISHED or (EMBEDDED / name).exists() or name in corpora.NAMES:
        raise UserError(
            f"'{name}' can't name a model that is imported; give a new name of letters, digits, '.', '_' and '-'"
        )
    if (package := PACKAGED.get(name)) is not None:
        if not package.gguf:
            raise UserError(f"'{name}' is a packaged model that has no GGUF; give another name")
        check_content(file, package.sha256[package.gguf], f"language model '{name}'", "give that file, or another name")
    folder = home() / "models" / name
    if folder.exists() and not force:
        raise UserError(f"there is a language model '{name}' already; give another name, or --force to replace it")
    return {"model": name, "folder": str(convert(file, name, force)), "use": f"--lm {name}"}


def _check_config(file: Path) -> None:
    try:
        config = parse_json(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"it is not JSON ({error})") from None
    if not isinstance(config, dict) or config.get("model_type") != PUBLISHED_FAMILY:
        raise UserError(f"it is not a {FAMILIES[PUBLISHED_FAMILY].title}'s configuration")


def _check_weights(file: Path) -> None:
    try:
        with safe_open(file, "pt"):
            pass
    except SafetensorError as error:
        raise UserError(f"it can't be read as safetensors ({error})") from None


def _check_tokenizer(file: Path) -> None:
    try:
        vocabulary = parse_json(file.read_text(encoding="utf-8"))["model"]["vocab"]
    except (ValueError, KeyError, TypeError):
        vocabulary = None
    if not vocabulary:
        raise UserError("it holds no tokenizer's vocabulary")


FILES: dict[str, Check] = {
    "config.json": _check_config,
    "tokenizer.json": _check_tokenizer,
    "model.safetensors": _check_weights,  # last: small files tell soonest that something is wrong
}


def _given_files(name: str, given: Sequence[Path]) -> dict[str, Path]:
    if len(given) != 1 or not given[0].is_dir():
        raise UserError(
            f"{name} comes from one folder with {', '.join(FILES)}, not from {', '.join(map(str, given))}; "
            "give --from that folder"
        )
    placed = {file: given[0] / file for file in FILES}
    for file, path in placed.items():
        if not path.is_file():
            raise UserError(f"no {file} in {given[0]}; a model's folder has {', '.join(FILES)}")
        try:
            FILES[file](path)
        except UserError as error:
            raise UserError(f"{path} is no good: {error}; copy it anew") from None
    return placed
