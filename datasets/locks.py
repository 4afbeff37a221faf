"""Locks on open files and folders; the kernel drops one when the process that holds it dies, however it dies.

A lock belongs to an open file, not to a path: a process that waited can check whether that file is still at the path.
Why not the package `filelock`: docs/decisions.md.
"""

import fcntl
from typing import IO, Any


def lock(file: IO[Any] | int) -> None:
    """Lock an open file, as soon as no other process holds it. An `OSError` on a disk without locks."""
    fcntl.flock(file, fcntl.LOCK_EX)


def try_lock(file: IO[Any] | int, shared: bool = False) -> bool:
    """Lock an open file unless another process holds it; returns whether that succeeded.

    Any number of processes hold a `shared` lock, as those do that only look whether somebody holds the file.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
