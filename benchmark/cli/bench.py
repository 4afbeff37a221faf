"""`lamobench bench`: speed and memory on this machine."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...datasets.errors import UserError, choose
from ..terminal import print_rows

if TYPE_CHECKING:
    from ..benches.harness import Settings

RESULTS = Path("results")
PRICED = ("dataset", "method", "step_ms", "gb", "steps", "runs", "hours")
PRINTED = ("what", "unit", "ours", "other", "other_name", "ratio", "low", "high", "wanted", "met")


@dataclass(frozen=True)
class Bench:
    """Measure speed and memory on this machine, ours beside what one would use instead: a table as CSV and a figure."""

    output: Path | None = None
    """File for the measurements, by default results/bench.csv, growth.csv or price.csv. Its other rows stay. The figure
    is written beside it."""
    only: tuple[str, ...] = ()
    """Measurements, by their names in the table's first column; none given: all of them."""
    clock: str = "wall"
    """Clock: wall, or cpu, which counts processor seconds of this process and those that it started, for a machine that
    others use too."""
    threads: int = 1
    """Threads of PyTorch. A run of a sweep has one. Measurements with other numbers of threads stay in the table."""
    rounds: int = 5
    """Rounds of alternating blocks; medians and quartiles are over them."""
    seconds: float = 0.3
    """Seconds of a block, at least."""
    full: bool = False
    """Measure published sizes where the default is smaller: minutes instead of seconds for GPT-2."""
    profile: bool = False
    """Show where the time of training steps goes, instead (--only: lamo-mini, dt, ...)."""
    growth: bool = False
    """Measure how time and memory grow, instead (--only: context, width, data, runs)."""
    price: str = ""
    """Price the full table of a profile, paper or cpu, instead: every method on every task (--only: some of both)."""
    parts: int = 1
    """Parts in which --price computes the batches of sequence models, where memory does not do for the whole."""
    page: Path | None = None
    """Page of the documentation to write the table into."""
    json: bool = False
    """Print JSON instead of a table."""

    def run(self) -> None:
        """Measure, write the files, print the table."""
        from ..benches.harness import Settings
        from ..benches.suite import check

        settings = Settings(self.clock, self.threads, self.rounds, self.seconds, self.full)
        check(settings)
        _check(self)
        if self.profile:
            _profile(self, settings)
        elif self.growth:
            _growth(self, settings)
        elif self.price:
            _price(self, settings)
        else:
            _measure(self, settings)


def _check(command: Bench) -> None:
    """Raise a `UserError` for options that don't go together, and for files that could not be written in the end."""
    from ...datasets.storage import check_csv
    from ..benches.suite import check_page

    asked = {"--profile": command.profile, "--growth": command.growth, "--price": bool(command.price)}
    if sum(asked.values()) > 1:
        raise UserError(f"{' and '.join(name for name, given in asked.items() if given)}: give one of them at a time")
    if command.parts != 1 and not command.price:
        raise UserError(f"--parts {command.parts} is of --price alone; leave it out, or give --price paper")
    if command.full and (command.growth or command.price):
        raise UserError("--growth and --price have their own sizes; leave --full out")
    if command.output and command.profile:
        raise UserError("--profile writes no table; leave --output out, or give --page for its place on a page")
    if command.output:
        check_csv(command.output)
    if command.page and not command.page.is_file():
        raise UserError(f"there is no page {command.page}; leave --page out, or name one that is there")
    if command.page:
        check_page(command.page, next((name[2:] for name, given in asked.items() if given), "measurements"))


def _measure(command: Bench, settings: "Settings") -> None:
    from ..benches.figure import bench_figure
    from ..benches.suite import (
        MEASUREMENTS,
        as_markdown,
        chosen_measurements,
        machine,
        merged,
        read_table,
        run_benches,
        write_into,
    )

    output = command.output or RESULTS / "bench.csv"
    found = run_benches(settings, chosen_measurements(command.only), _say)
    before = read_table(output) if output.is_file() else []
    threads = sorted({settings.threads, *(int(row["threads"]) for row in before if "threads" in row)})
    places = [(name, str(count)) for name in MEASUREMENTS for count in threads]
    rows = merged(found, output, ["name", "threads"], places, sections=["processor"])
    table = read_table(output)
    together = sorted(table, key=lambda row: places.index((row["name"], row["threads"])))  # of all processors
    bench_figure(together, machine(table), output.with_suffix(".png"))
    if command.page:
        write_into(command.page, "measurements", as_markdown(table))
    print_rows([{key: row[key] for key in PRINTED} for row in rows], command.json)


def _growth(command: Bench, settings: "Settings") -> None:
    from ..benches.growth import AXES, chosen_axes, measure_growth
    from ..benches.growth_figure import growth_as_markdown, growth_figure
    from ..benches.suite import machine, merged, read_table, write_into

    output = command.output or RESULTS / "growth.csv"
    found = measure_growth(settings, chosen_axes(command.only), _say)
    rows = merged(found, output, ["axis"], [(axis,) for axis in AXES])
    table = read_table(output)
    about = machine(table)
    growth_figure(table, about, output.with_suffix(".png"))
    if command.page:
        write_into(command.page, "growth", f"{about}\n\n{growth_as_markdown(table)}")
    print_rows(rows, command.json)


def _price(command: Bench, settings: "Settings") -> None:
    from ..benches.price import cells_of, check_price, price_table
    from ..benches.price_page import price_as_markdown
    from ..benches.suite import machine, merged, read_table, write_into

    check_price(settings, command.price, command.parts)
    output = command.output or RESULTS / "price.csv"
    found = price_table(settings, command.price, cells_of(command.only), command.parts, _say)
    # rows of another machine, profile or number of threads go: they would be added up with these
    rows = merged(found, output, ["dataset", "method"], cells_of([]), ["profile", "device", "threads", "torch"])
    table = read_table(output)
    if command.page:
        write_into(command.page, "price", f"{price_as_markdown(table)}\n\n{machine(table)}")
    print_rows([{key: row[key] for key in PRICED} for row in rows], command.json)


def _profile(command: Bench, settings: "Settings") -> None:
    from ..benches.profile import PROFILES, profile_steps, shares_as_markdown
    from ..benches.suite import conditions, machine, write_into

    names = [choose("training step", name, list(PROFILES)) for name in command.only] or list(PROFILES)
    rows = list(profile_steps(settings, names, _say))
    if command.page:
        how = conditions(replace(settings, rounds=max(2, settings.rounds)))
        write_into(command.page, "profile", f"{machine([how])}\n\n{shares_as_markdown(rows)}")
    print_rows(rows, command.json)


def _say(name: str) -> None:
    print(f"measuring: {name}", file=sys.stderr, flush=True)
