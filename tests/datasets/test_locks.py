import inspect
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lamobench.datasets.locks import lock, try_lock

Held = Callable[[], bool]


@contextmanager
def another_process(path: Path, shared: bool = False) -> Iterator[int]:
    """A process that holds a lock on the file until it is killed."""
    context = multiprocessing.get_context("fork")
    locked = context.Event()

    def hold() -> None:
        with path.open("a") as file:
            assert try_lock(file, shared)
            locked.set()
            time.sleep(60)

    process = context.Process(target=hold)
    process.start()
    assert locked.wait(60)
    assert process.pid is not None
    try:
        yield process.pid
    finally:
        process.kill()
        process.join()


def test_a_lock_is_one_process_s_and_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with another_process(path) as process, path.open("a") as file:
        assert not try_lock(file)
        assert not try_lock(file, shared=True)
        os.kill(process, signal.SIGKILL)
        lock(file)  # waits until the kernel has dropped the other's
        with path.open("a") as again:
            assert not try_lock(again)  # of an open file, not of a process
    with path.open("a") as file:
        assert try_lock(file)


def test_those_who_only_look_do_not_see_each_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with another_process(path, shared=True), path.open("a") as file:
        assert try_lock(file, shared=True)
        assert not try_lock(file)


def test_a_folder_is_locked_too(tmp_path: Path) -> None:
    handles = [os.open(tmp_path, os.O_RDONLY) for _ in range(2)]
    try:
        assert [try_lock(handle) for handle in handles] == [True, False]
    finally:
        for handle in handles:
            os.close(handle)


def test_the_package_for_locks_has_none_of_folders_and_none_to_share(tmp_path: Path) -> None:
    """The reason in docs/decisions.md: should this fail after an upgrade, the package may do."""
    filelock = pytest.importorskip("filelock")
    with pytest.raises(IsADirectoryError):
        filelock.FileLock(tmp_path, timeout=0).acquire()
    with (tmp_path / "file").open("a") as first, (tmp_path / "file").open("a") as second:
        assert filelock.lock_descriptor(first.fileno(), blocking=False)
        assert not filelock.lock_descriptor(second.fileno(), blocking=False)
    assert not {"shared", "exclusive"} & set(inspect.signature(filelock.lock_descriptor).parameters)


def test_a_disk_without_locks_is_an_error_and_not_somebody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError("No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    with (tmp_path / "file").open("a") as file, pytest.raises(OSError, match="No locks"):
        try_lock(file)
