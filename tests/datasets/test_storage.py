"""Files are written whole, and what a killed process left half written goes with the next of its kind."""

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lamobench.datasets import cache, storage
from lamobench.datasets.errors import UserError
from lamobench.datasets.storage import check_csv, remove_folder, whole_file, whole_folder

Write = Callable[[Path], AbstractContextManager[Path]]


def killed(work: Callable[[], object]) -> None:
    """Do it in a process that kills itself on the way."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def half_write(write: Write, path: Path) -> None:
    with write(path):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("write", [whole_file, whole_folder, cache.replaced_folder])
def test_what_was_half_written_goes_with_the_next(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "a[1]"
    other = tmp_path / "a"
    killed(lambda: half_write(write, path))
    killed(lambda: half_write(write, other))
    (tmp_path / ".a[1].settings").write_text("a person's own")
    left = set(tmp_path.iterdir())
    others = {path.name for path in tmp_path.glob(".a.*")}
    assert (len(left), len(others)) == (3, 1)
    with write(path) as living:
        assert len(set(tmp_path.iterdir()) - left) == 1
        with write(path) as second:  # of one that lives nothing is taken
            assert living.exists()
            assert second != living
    assert {path.name for path in tmp_path.iterdir()} == {"a[1]", ".a[1].settings", *others}


def test_a_lock_is_needed_to_be_alive_not_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Disks without locks: files are written, and nothing is deleted."""

    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    killed(lambda: half_write(whole_file, tmp_path / "a"))
    monkeypatch.setattr("fcntl.flock", none)
    storage.write_text(tmp_path / "a", "text")
    assert (tmp_path / "a").read_text() == "text"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_was_half_removed_goes_with_the_next(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("text")

    def kill(path: Path) -> None:
        if path.name == "first":
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage.shutil, "rmtree", kill)
        killed(lambda: remove_folder(tmp_path / "first"))
    assert not (tmp_path / "first").exists()
    assert list(tmp_path.glob(".removed.*/first/file"))
    remove_folder(tmp_path / "second")
    assert list(tmp_path.iterdir()) == []


WRITERS: dict[str, Callable[[Path], object]] = {
    "bytes": lambda path: path.write_bytes(bytes(5000)),
    "text": lambda path: path.write_text("x" * 5000),
    "numpy": lambda path: np.save(path.open("wb"), np.zeros(5000), allow_pickle=False),
    "safetensors": lambda path: save_file({"a": np.zeros(5000)}, path),
}
LIMITED = """
import resource, sys
from pathlib import Path
from lamobench.tests.datasets.test_storage import WRITERS, whole_file
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for name, write in WRITERS.items():
    try:
        with whole_file(Path(sys.argv[1]) / name) as temporary:
            write(temporary)
    except OSError as error:
        print(error.errno, error.filename)
"""


def test_what_a_disk_refuses_is_told_of_the_file_in_any_library_s_words(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == [f"{errno.EFBIG} {tmp_path / name}" for name in WRITERS]
    assert list(tmp_path.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_table_that_could_not_be_written_is_refused_beforehand(tmp_path: Path) -> None:
    (tmp_path / "page").write_text("")
    (tmp_path / "folder.csv").mkdir()
    for name, line in (
        ("page/table.csv", "page' is a file and no folder; give a folder for the table"),
        ("folder.csv", "folder.csv' is a folder; give a file for the table"),
        ("table.png", "is for a table; give a name that ends in .csv"),
    ):
        with pytest.raises(UserError, match=line):
            check_csv(tmp_path / name)
    check_csv(tmp_path / "new" / "table.csv")
    assert not (tmp_path / "new").exists()
