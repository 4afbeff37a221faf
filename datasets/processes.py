"""Facts of this process's machine, and what every pool of worker processes needs to know."""

import multiprocessing
import os
import platform
import re
from pathlib import Path
from typing import Final

START_METHOD: Final = "spawn"  # a fork would take along the parent's threads and GPU context


def cores() -> int:
    """Processor cores that this process may use, which may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The processor's name, as its maker gives it where that can be had."""
    information = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.*)$", information.read_text(), re.M) if information.is_file() else []
    return (names[0].strip() if names else platform.processor()) or platform.machine() or "cpu"


def follow_parent() -> None:
    """Wait for the parent process to end, then end too: an orphan would hold its locks and work on for hours.

    It runs in a thread of a worker process.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None  # a worker has one
    parent.join()  # returns at once if it died before this process got here
    os._exit(1)
