"""The work behind `lamobench leaderboard` and `lamobench fractions`."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from ..datasets.catalog import find_dataset
from ..datasets.errors import UserError, choose
from .display import print_rows
from .methods import METHODS

if TYPE_CHECKING:
    from .cli_leaderboard import Fractions, Leaderboard
    from .standings import Pool

SHOWN_OF_FRACTIONS = ("datasets", "fraction", "method", "lm", "seeds", "mean", "mean_low", "mean_high", "iqm")


def write_leaderboard(command: "Leaderboard") -> None:
    """`lamobench leaderboard`."""
    from .collect import collect
    from .figures import learning_curves, scores
    from .leaderboard import leaderboard, write_csv
    from .standing_tables import aggregates_table, write_aggregates, write_comparisons
    from .standings import comparisons, pools, standings
    from .tables import as_markdown, as_table

    runs = collect(*command.runs)
    frame, found = leaderboard(runs), pools(runs)
    stand = standings(found)
    write_csv(frame, command.output / "leaderboard.csv")
    write_aggregates(stand, command.output / "aggregates.csv")
    write_comparisons(comparisons(found), command.output / "comparisons.csv")
    written = ["leaderboard.csv", "aggregates.csv", "comparisons.csv"]
    if command.figures:
        learning_curves(runs, command.output / "learning_curves.png")
        scores(runs, command.output / "scores.png")
        written += ["learning_curves.png", "scores.png"]
    if command.json:
        print(frame.to_json(orient="records", indent=2))
    elif command.markdown:
        print(as_markdown(frame))
    else:
        print("\n\n".join([as_table(frame), *aggregates_table(stand)]))
        print(f"\nwritten to {command.output}: {', '.join(written)}")
    _tell_left_out(runs)


def write_fractions(command: "Fractions") -> None:
    """`lamobench fractions`."""
    from .collect import collect
    from .fraction_figure import fraction_figure
    from .standing_tables import standing_rows, write_aggregates
    from .standings import pools, standings

    names = {find_dataset(name).name for name in command.data}
    for name in command.methods:
        choose("method", name, list(METHODS))
    runs = collect(*command.runs)
    stand = standings(_chosen(pools(runs), names, command))
    figure = command.output.with_suffix(".png")
    write_aggregates(stand, command.output)
    fraction_figure(stand, figure)
    rows = [{column: row[column] for column in SHOWN_OF_FRACTIONS} for row in standing_rows(stand)]
    print_rows(rows, command.json)
    if not command.json:
        print(f"\nwritten to {command.output.parent}: {command.output.name}, {figure.name}")
    _tell_left_out(runs)


def _chosen(found: "list[Pool]", datasets: set[str], command: "Fractions") -> "list[Pool]":
    """The pools of single data sets, and the methods of them, that the command asks for."""
    wanted = [
        replace(pool, rows={name: rows for name, rows in pool.rows.items() if name[0] in methods and not name[2]})
        for pool in found
        for methods in [set(command.methods or METHODS)]
        if len(pool.datasets) == 1 and pool.profile == command.profile
        if not command.source or pool.source == command.source
        if not datasets or pool.datasets[0].split()[0] in datasets
        if not command.fractions or pool.fraction in command.fractions
    ]
    wanted = [pool for pool in wanted if pool.rows]
    panels = [(pool.source, pool.datasets) for pool in wanted]
    wanted = [pool for pool, panel in zip(wanted, panels, strict=True) if datasets or panels.count(panel) > 1]
    if not wanted:
        asked = ", ".join(sorted(datasets)) or "any data set at two fractions or more"
        raise UserError(
            f"no finished runs of profile '{command.profile}' on {asked} in {', '.join(map(str, command.runs))}; "
            "make some with `make ablation` or `lamobench sweep DATA --fractions 0.1 1`"
        )
    return wanted


def _tell_left_out(runs: pd.DataFrame) -> None:
    from .collect import left_out

    for line in left_out(runs):
        print(f"left out: {line}", file=sys.stderr)
