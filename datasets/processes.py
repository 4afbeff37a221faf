"""What every pool of worker processes needs to know."""

import multiprocessing
import os
from typing import Final

START_METHOD: Final = "spawn"  # a fork would take along the parent's threads and GPU context


def cores() -> int:
    """Processor cores that this process may use, which may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def follow_parent() -> None:
    """Wait for the parent process to go, and go too: an orphan would hold its locks and work on for hours.

    To be run in a thread of a worker process.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None  # a worker has one
    parent.join()  # returns at once if it died before this process got here
    os._exit(1)
