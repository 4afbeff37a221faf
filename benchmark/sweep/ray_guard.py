"""A program beside a Ray that a sweep started: when the sweep is gone, however it went, nothing of Ray stays.

Usage: python ray_guard.py FOLDER, with a line "PID START" on standard input for each process of Ray's. Once the input
ends, the processes have some seconds to end by themselves; those that don't are killed, and FOLDER is deleted. It is
run by its path with nothing but the standard library, so that it starts at once and costs no memory.
"""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

GRACE = 3.0  # seconds


def start_of(pid: int) -> str:
    """The process's start, in the kernel's ticks: with it, a number that is used again is told; "" if none is."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and those that they started, and so on."""
    parents: dict[int, list[int]] = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            parent = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        parents.setdefault(parent, []).append(int(entry))
    found = [pid]
    for process in found:
        found += parents.get(process, [])
    return found[1:]


def main(folder: str) -> None:
    """Wait for the end of the input, then for that of the processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    processes = [(int(pid), start) for pid, start in (line.split() for line in sys.stdin)]
    until = time.monotonic() + GRACE
    while time.monotonic() < until and any(start_of(pid) == start for pid, start in processes):
        time.sleep(0.1)
    for pid, start in processes:
        if start_of(pid) == start:
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
