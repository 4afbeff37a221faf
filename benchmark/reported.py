"""The numbers that others published, as `results/reported/` holds them."""

import csv
import functools
from pathlib import Path

from ..datasets.errors import UserError
from .methods import METHODS

REPORTED = Path(__file__).resolve().parents[1] / "results" / "reported" / "lamo.csv"
PAPER_SOURCES = ("d4rl", "d4rl-legacy", "dqn_replay")  # the data that the paper used
OTHER_METRIC = "13"  # the table of the mean of the three best checkpoints, which is never compared with the others
MISSING = "-"


@functools.cache
def read_reported() -> tuple[dict[str, str], ...]:
    """Every row of `lamo.csv`; its columns are explained in the folder's README. A `UserError` if the file is gone."""
    if not REPORTED.is_file():
        raise UserError(f"the published scores are missing: expected '{REPORTED}'; install lamobench again")
    with REPORTED.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def published_rows(dataset: str) -> list[dict[str, str]]:
    """The published rows of a data set, as they stand in the file; none if the paper did not use it."""
    return [row for row in read_reported() if row["dataset"] == dataset]


def published_table(dataset: str) -> list[dict[str, str]]:
    """The same, one row a method and one column a fraction: `57.0 ±7.1`, or `-` where nothing is published.

    Tables that repeat a cell agree; the table of another metric has a column of its own.
    """
    cells = {(row["method"], _column(row)): _cell(row) for row in published_rows(dataset)}
    columns = list(dict.fromkeys(column for _, column in sorted(cells, key=lambda key: _order(key[1]))))
    methods = sorted({method for method, _ in cells}, key=lambda name: ([*METHODS, name].index(name), name))
    return [{"method": method} | {c: cells.get((method, c), MISSING) for c in columns} for method in methods]


def _column(row: dict[str, str]) -> str:
    return f"{100 * float(row['fraction']):g} %" + (" (best 3)" if row["table"] == OTHER_METRIC else "")


def _order(column: str) -> tuple[float, str]:
    return float(column.partition(" ")[0]), column


def _cell(row: dict[str, str]) -> str:
    return f"{float(row['score']):.1f}" + (f" ±{float(row['std']):.1f}" if row["std"] else "")
