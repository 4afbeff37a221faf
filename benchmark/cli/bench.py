"""`lamobench bench`, declared; `bench_commands.py` does the work."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Bench:
    """Measure speed and memory on this machine, ours beside what one would use instead: a table as CSV and a figure."""

    output: Path | None = None
    """File for the measurements; rows of others that it has stay. The figure is written beside it. None given:
    results/bench.csv, growth.csv or price.csv."""
    only: tuple[str, ...] = ()
    """Measurements, names in the table's first column; none given: all of them."""
    clock: str = "wall"
    """wall, or cpu: seconds of this process alone, for a machine that others use too."""
    threads: int = 1
    """PyTorch's threads. A run of a sweep has one. Measurements with other numbers of threads stay in the table."""
    rounds: int = 5
    """Rounds of alternating blocks; medians and quartiles are over them."""
    seconds: float = 0.3
    """Of a block, at least."""
    full: bool = False
    """Published sizes where the default is smaller: minutes instead of seconds for GPT-2."""
    profile: bool = False
    """Instead of the measurements, show where the time of training steps goes (--only: lamo-mini, dt, ...)."""
    growth: bool = False
    """Instead, measure how time and memory grow (--only: context, width, data, runs)."""
    price: str = ""
    """Instead, price a full table of a profile, paper or cpu: every method on every task (--only: some of both)."""
    parts: int = 1
    """Of --price: parts that sequence models' batches are computed in, where memory does not do for the whole."""
    page: Path | None = None
    """Page of the documentation to write the table into."""
    json: bool = False
    """Print JSON instead of a table."""

    def run(self) -> None:
        """Measure, write the files, print the table."""
        from .bench_commands import bench

        bench(self)
