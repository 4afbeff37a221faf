"""A small disk, mounted for a process of its own: for tests of what a full one brings about."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

UNSHARED = ("unshare", "--user", "--map-root-user", "--mount")


def on_small_disk(disk: Path, size: str, command: Sequence[str]) -> list[str]:
    """`command` for a process that finds an empty disk of that size where the folder `disk` is."""
    mount = f'mount -t tmpfs -o size={size} tmpfs "$1" && shift && exec "$@"'
    return [*UNSHARED, "sh", "-c", mount, "sh", str(disk), *command]


def _unprivileged_mounts() -> bool:
    if shutil.which("unshare") is None:
        return False
    command = [*UNSHARED, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_mounts = pytest.mark.skipif(not _unprivileged_mounts(), reason="this machine lets nobody but root mount a disk")
