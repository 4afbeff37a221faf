"""Facts of this process's machine, and what every pool of worker processes needs to know."""

import multiprocessing
import os
import platform
import re
import time
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


def processor_seconds() -> float:
    """Seconds that processors worked for this process and for those that its first thread started and that still run.

    Linux counts the others' in hundredths. Elsewhere they are left out. To look takes up to 0.2 ms, which count.
    """
    try:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    except OSError:
        children = []
    return time.process_time() + sum(_seconds_of(int(pid)) for pid in children)


def _seconds_of(pid: int) -> float:
    """The seconds of another process, 0 of one that has just ended."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # behind its name, in parentheses
    except OSError:
        return 0.0
    return (int(facts[11]) + int(facts[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime of proc(5)


def follow_parent() -> None:
    """Wait for the parent process to end, then end too: an orphan would hold its locks and work on for hours.

    It runs in a thread of a worker process.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None  # a worker has one
    parent.join()  # returns at once if it died before this process got here
    os._exit(1)
