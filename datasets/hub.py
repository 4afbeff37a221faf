"""Files of public repositories on the Hugging Face Hub: downloaded, or brought by hand.

By `download.py` and not by `hf_hub_download`, which begins anew where it was killed: measured in docs/decisions.md.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import storage
from .download import download
from .errors import UserError

Check = Callable[[Path], None]  # refuses a file with a `UserError`


@dataclass(frozen=True)
class Repository:
    """One revision of a repository, so that what is fetched today is fetched tomorrow."""

    name: str  # owner/name
    revision: str  # the commit
    dataset: bool = False  # or else a model


def address(repository: Repository, file: str) -> str:
    """The address of `file`; `$HF_ENDPOINT` names another host, a mirror for instance."""
    from huggingface_hub import hf_hub_url

    kind = "dataset" if repository.dataset else "model"
    return str(hf_hub_url(repository.name, file, repo_type=kind, revision=repository.revision))


def command_elsewhere(repository: Repository, files: Mapping[str, Check], name: str) -> str:
    """The commands to type on a connected machine, and then here, to have `name` without a network."""
    kind = " --repo-type dataset" if repository.dataset else ""
    return (
        f"on a connected machine: hf download {repository.name} {' '.join(files)}{kind} "
        f"--revision {repository.revision} --local-dir {name}; then bring that folder here, "
        f"and type: lamobench lm fetch {name} --from {name}"
    )


def download_files(repository: Repository, files: Mapping[str, Check], name: str) -> dict[str, Path]:
    """Download each of `files`, a name in the repository and its check; where they lie, by that name.

    They are kept until `forget_downloads(name)`, whole ones and parts, so that an interrupted download goes on. Raises
    a `UserError` that says what to type here or on a connected machine if one can't be had or is no good.
    """
    placed = {}
    for file, check in files.items():
        placed[file] = _downloads(name) / file
        try:
            download(address(repository, file), placed[file], check)
        except UserError as error:
            raise UserError(f"{error}; type it again, or {command_elsewhere(repository, files, name)}") from None
    return placed


def forget_downloads(name: str) -> None:
    """Delete what `download_files` kept."""
    shutil.rmtree(_downloads(name), ignore_errors=True)


def _downloads(name: str) -> Path:
    return storage.home() / "downloads" / name
