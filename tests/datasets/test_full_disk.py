"""A disk that is really full, not one that is said to be: a small one, mounted for a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

from lamobench.tests.small_disks import needs_mounts, on_small_disk

from .sources import dqn_replay_files

COMMANDS = """
import os, sys
from pathlib import Path
from lamobench.datasets import catalog
from lamobench.datasets.errors import UserError
from lamobench.datasets.sources.fetched import fetch_dataset
from lamobench.datasets.sources.imported import import_dataset
from lamobench.datasets.sources.exported import export_to_minari
from lamobench.datasets.sources.recorded import record_dataset

disk, files = map(Path, sys.argv[1:])
os.environ["LAMOBENCH_HOME"] = str(disk)

def attempt(what, *arguments, **options):
    try:
        what(*arguments, **options)
        print("done")
    except UserError as error:
        print(repr(str(error)))

record_dataset("reacher2d-medium")
before = sorted(disk.rglob("*"))
attempt(fetch_dataset, "breakout-medium", path=files / "replay")
attempt(fetch_dataset, "hopper-medium", path=files / "hopper_medium-v2.hdf5")
(disk / "ballast").write_bytes(bytes(6_000_000))
attempt(record_dataset, "reacher2d-medium-large")
attempt(record_dataset, "reacher2d-medium", force=True)
attempt(export_to_minari, "reacher2d-medium", root=disk / "minari")
(disk / "ballast").unlink()
left = [path for path in disk.rglob("*") if path not in before and path.is_file()]
print(catalog.load("reacher2d-medium").num_steps, left)
"""


@needs_mounts
def test_every_command_ends_in_one_line_and_leaves_what_was_there(tmp_path: Path) -> None:
    files = tmp_path / "files"
    disk = tmp_path / "disk"
    disk.mkdir()
    frames = dqn_replay_files.games((3000,))  # 21 MB
    dqn_replay_files.write(files / "replay", dqn_replay_files.rows(frames))
    steps = 500_000
    with h5py.File(files / "hopper_medium-v2.hdf5", "w") as file:
        for name, size in (("observations", 11), ("next_observations", 11), ("actions", 3)):
            file.create_dataset(name, data=np.zeros((steps, size), np.float32), compression="gzip")
        for name in ("rewards", "terminals", "timeouts"):
            file.create_dataset(name, data=np.zeros(steps, np.float32), compression="gzip")
    command = on_small_disk(disk, "20m", [sys.executable, "-c", COMMANDS, str(disk), str(files)])
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    *messages, last = done.stdout.splitlines()
    assert len(messages) == 5
    for message in messages:
        assert "no space left for" in message or "has room for" in message
        assert "\\n" not in message
    assert last == "5000 []"
    assert "Traceback" not in done.stderr
