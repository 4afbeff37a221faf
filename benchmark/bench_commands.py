"""The work behind `lamobench bench`; `cli_bench.py` only declares it."""

import sys
from typing import TYPE_CHECKING

from ..datasets.errors import UserError, choose
from ..datasets.storage import check_csv
from .display import print_rows

if TYPE_CHECKING:
    from .benches.harness import Settings
    from .cli_bench import Bench

PRINTED = ("what", "unit", "ours", "other", "other_name", "ratio", "low", "high", "wanted", "met")


def bench(command: "Bench") -> None:
    """Measure, write the table, the figure and the page, print the rows."""
    from .benches.figure import bench_figure
    from .benches.harness import Settings
    from .benches.suite import (
        as_markdown,
        check,
        chosen_measurements,
        machine,
        merge,
        read_table,
        run_benches,
        write_into,
    )

    settings = Settings(command.clock, command.threads, command.rounds, command.seconds, command.full)
    check(settings)
    check_csv(command.output)
    if command.page and not command.page.is_file():
        raise UserError(f"there is no page {command.page}; leave --page out, or name one that is there")
    if command.profile:
        _profile(command, settings)
        return
    rows = []
    for found in run_benches(settings, chosen_measurements(command.only), _say):
        rows += found
        merge(command.output, rows)
    table = read_table(command.output)
    about = machine(table)
    bench_figure(table, about, command.output.with_suffix(".png"))
    if command.page:
        write_into(command.page, "measurements", f"{about}\n\n{as_markdown(table)}")
    print_rows([{key: row[key] for key in PRINTED} for row in rows], command.json)


def _profile(command: "Bench", settings: "Settings") -> None:
    from .benches.profile import PROFILES, profile_steps, shares_as_markdown
    from .benches.suite import machine, write_into

    names = [choose("training step", name, list(PROFILES)) for name in command.only] or list(PROFILES)
    rows = list(profile_steps(settings, names, _say))
    if command.page:
        how = {"clock": settings.clock, "threads": settings.threads, "rounds": max(2, settings.rounds)}
        write_into(command.page, "profile", f"{machine([how])}\n\n{shares_as_markdown(rows)}")
    print_rows(rows, command.json)


def _say(name: str) -> None:
    print(f"measuring: {name}", file=sys.stderr, flush=True)
