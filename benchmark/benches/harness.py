"""Measure as `lamobench bench` does: blocks of two or more ways of doing one thing in turn, by one clock.

A busy moment of the machine hits neighbouring blocks alike, so a ratio is that of two blocks of one round, and what is
written is the median over rounds with the quartiles. What is compared is first checked to give the same.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...datasets.processes import processor_seconds

CLOCKS = {"wall": time.perf_counter, "cpu": processor_seconds}
SMALLEST = 1e-3  # seconds, more than a clock takes: what is quicker is measured in larger blocks to begin with
LEAVE_STATUS = """
import atexit, os, pathlib
copy = pathlib.Path(os.environ["LAMOBENCH_STATUS_COPY"])
atexit.register(lambda: copy.write_text(pathlib.Path("/proc/self/status").read_text()))
"""
COMMAND = "from lamobench.benchmark.cli.main import main; main()"

Way = Callable[[], Any]


class KilledError(RuntimeError):
    """A measuring process was killed, by the kernel for want of memory as a rule."""


@dataclass(frozen=True)
class Settings:
    """The settings of a measurement."""

    clock: str = "wall"  # "wall", or "cpu": processor seconds, children's too, for a machine that others use as well
    threads: int = 1  # of PyTorch's
    rounds: int = 5
    seconds: float = 0.3  # of a block, at least
    full: bool = False  # published sizes where the default is smaller


@dataclass(frozen=True)
class Row:
    """One line of `bench.csv`."""

    what: str
    unit: str
    ours: float
    other: float | None  # what one would use instead, in the same unit; None where the bound is absolute
    other_name: str
    ratio: float | None  # other / ours: how many times better
    low: float | None  # quartiles over rounds: of the ratio, or of `ours` where there is none
    high: float | None
    wanted: str
    met: bool | None  # None: nothing is wanted, the row is there to read others by


Measure = Callable[[Settings, Path], list[Row]]  # is given an empty folder, where $LAMOBENCH_HOME is


def in_turn(settings: Settings, *ways: Way) -> list[tuple[float, ...]]:
    """Seconds a call of each way, one tuple a round; each round begins with another way."""
    counts = [_block(settings, way) for way in ways]
    now = CLOCKS[settings.clock]
    rounds = []
    for number in range(settings.rounds):
        seconds = [0.0] * len(ways)
        for place in range(len(ways)):
            index = (number + place) % len(ways)
            started = now()
            for _ in range(counts[index]):
                ways[index]()
            seconds[index] = (now() - started) / counts[index]
        rounds.append(tuple(seconds))
    return rounds


def _block(settings: Settings, way: Way) -> int:
    """The number of calls that take as long as a block is to; the calls that find it out warm up."""
    count = 1
    now = CLOCKS[settings.clock]
    started = now()
    way()
    if now() - started > settings.seconds:
        return 1
    while True:
        started = now()
        for _ in range(count):
            way()
        seconds = now() - started
        if seconds > min(SMALLEST, settings.seconds) or count >= 1 << 16:
            return max(1, round(settings.seconds * count / seconds)) if seconds else count
        count *= 8


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def faster(
    label: str, other_name: str, rounds: Sequence[tuple[float, ...]], target: float | None, unit: str = "ms"
) -> Row:
    """A row of rounds of (ours, theirs) in seconds: how many times faster ours is, and is to be."""
    scale = {"s": 1.0, "ms": 1e3, "us": 1e6}[unit]
    ours, other = (scale * statistics.median(side) for side in zip(*rounds, strict=True))
    low, ratio, high = quartiles([theirs / mine for mine, theirs in rounds])
    wanted = "" if target is None else f"{target:g} times faster"
    met = None if target is None else ratio >= target
    return Row(label, unit, ours, other, other_name, ratio, low, high, wanted, met)


def more(
    label: str, other_name: str, rounds: Sequence[tuple[float, ...]], count: int, unit: str, target: float | None = None
) -> Row:
    """A row of rounds of (ours, theirs) in seconds for `count` things: how many of them a second."""
    row = faster(label, other_name, rounds, target, "s")
    assert row.other is not None
    return replace(row, unit=unit, ours=count / row.ours, other=count / row.other)


def below(
    label: str, unit: str, values: Sequence[float], bound: float, other: float | None = None, name: str = ""
) -> Row:
    """A row of something that is to be below a bound."""
    low, middle, high = quartiles(values)
    ratio = None if other is None else other / middle
    return Row(label, unit, middle, other, name, ratio, low, high, f"below {bound:g} {unit}", middle < bound)


def above(label: str, unit: str, values: Sequence[float], bound: float | None = None) -> Row:
    """A row of something that is to be above a bound, or that has none."""
    low, middle, high = quartiles(values)
    wanted = "" if bound is None else f"{bound:g} {unit} or more"
    return Row(label, unit, middle, None, "", None, low, high, wanted, None if bound is None else middle >= bound)


def memory_of(arguments: list[str], scratch: Path, script: str = COMMAND, kind: str = "VmHWM") -> float:
    """Gigabytes that a process says it needed when it ends: one that runs a command, or another script.

    `kind` is a line of Linux's /proc/self/status: "VmHWM", the most that was in memory at a time, or "RssAnon", what is
    the process's own at the end, without the pages of files that it has mapped. What the kernel tells the parent
    (`ru_maxrss`) won't do: a child begins with its parent's. Raises `KilledError` if the process was killed.
    """
    status = scratch / "status"
    environment = os.environ | {"LAMOBENCH_STATUS_COPY": str(status)}
    with (scratch / "log").open("w") as log:
        command = [sys.executable, "-c", LEAVE_STATUS + script, *arguments]
        done = subprocess.run(command, stdout=log, stderr=log, env=environment, check=False)
    if done.returncode < 0:
        raise KilledError(f"a measurement was killed by signal {-done.returncode}")
    if done.returncode:
        raise RuntimeError(f"a measurement failed: {(scratch / 'log').read_text()}")
    kilobytes = dict(line.split(":") for line in status.read_text().splitlines())[kind].split()[0]
    return int(kilobytes) / 1e6
