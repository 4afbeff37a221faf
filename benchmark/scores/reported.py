"""The numbers that others published, as `results/reported/` holds them."""

import csv
import functools
import math
from dataclasses import dataclass
from pathlib import Path

from ...datasets.errors import UserError
from ..runs.methods import METHODS

REPORTED = Path(__file__).resolve().parents[2] / "results" / "reported"
FILES = ("lamo.csv", "corl.csv", "lamo_rerun.csv", "lamo_logs.csv")  # in the order in which they are shown
PAPER_SOURCES = ("d4rl", "d4rl-legacy", "dqn_replay")  # the data that they all used
MISSING = "-"


@dataclass(frozen=True)
class Paper:
    """A publication of numbers, and how they came about, as far as is known."""

    paper: str  # as in the column `paper` of the files of numbers
    title: str  # for tables
    reference: str
    seeds: str  # "" where it is not said
    score: str  # what a run's score is
    spread: str  # what is printed after ±
    reservations: str  # what else to know when a number of ours stands beside theirs; "" for nothing


@dataclass(frozen=True)
class Published:
    """One published score, with all that decides whether a score of ours may be set beside it."""

    paper: str  # a key of `papers`
    tables: str  # where it stands, e.g. "3, 12, 16"; "" where it is in no table
    variant: str  # what tells it from the paper's other scores of the same method, e.g. "best 3"; "" for the usual one
    lm: str  # its language model; "" without one, or where that is not known
    score: float  # normalised, 0 random and 100 expert
    std: float  # NaN where none is printed
    not_comparable: str  # why no score of this suite may be set beside it; "" where one may
    note: str  # what to know of it all the same


@functools.cache
def read_reported() -> tuple[dict[str, str], ...]:
    """Every row of the files of numbers; the folder's README explains the columns. A `UserError` if a file is gone."""
    return tuple(row for name in FILES for row in _read(name))


@functools.cache
def papers() -> dict[str, Paper]:
    """Every row of `papers.csv` by its first column; a `UserError` if the file is gone."""
    return {row["paper"]: Paper(**row) for row in _read("papers.csv")}


@functools.cache
def published_scores() -> dict[tuple[str, float, str], tuple[Published, ...]]:
    """Every published score, by data set, fraction and method; one that several tables repeat is there once."""
    repeated: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in read_reported():
        key = (row["dataset"], row["fraction"], row["method"], row["paper"], row["variant"], row["score"])
        repeated.setdefault(key, []).append(row)
    found: dict[tuple[str, float, str], list[Published]] = {}
    for (dataset, fraction, method, *_), rows in repeated.items():
        found.setdefault((dataset, float(fraction), method), []).append(_published(rows))
    return {key: tuple(scores) for key, scores in found.items()}


def published_rows(dataset: str) -> list[dict[str, str]]:
    """The published rows of a data set, as they stand in the files; none if no paper used it."""
    return [row for row in read_reported() if row["dataset"] == dataset]


def published_tables(dataset: str) -> dict[str, list[dict[str, str]]]:
    """The same by paper's title: one row a method and one column a fraction, `57.0 ±7.1`, or `-` where there is none.

    Tables that repeat a cell agree; what another metric measured has columns of its own.
    """
    rows = published_rows(dataset)
    return {papers()[name].title: _table([row for row in rows if row["paper"] == name]) for name in _papers_of(rows)}


def _papers_of(rows: list[dict[str, str]]) -> list[str]:
    return list(dict.fromkeys(row["paper"] for row in rows))


def _table(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    cells = {(row["method"], _column(row)): _cell(row) for row in reversed(rows)}  # of repeated cells, the first
    ordered = sorted(rows, key=lambda row: (float(row["fraction"]), row["variant"]))
    columns = dict.fromkeys(_column(row) for row in ordered)
    methods = sorted({method for method, _ in cells}, key=lambda name: ([*METHODS, name].index(name), name))
    return [{"method": method} | {c: cells.get((method, c), MISSING) for c in columns} for method in methods]


def _read(name: str) -> list[dict[str, str]]:
    path = REPORTED / name
    if not path.is_file():
        raise UserError(f"published scores are missing: expected '{path}'; install lamobench again")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _published(rows: list[dict[str, str]]) -> Published:
    """One score from the rows that print it: the first of them that has a spread has it all."""
    row = next((row for row in rows if row["std"]), rows[0])
    return Published(
        paper=row["paper"],
        tables=", ".join(row["table"] for row in rows),
        variant=row["variant"],
        lm=row["lm"],
        score=float(row["score"]),
        std=float(row["std"]) if row["std"] else math.nan,
        not_comparable=row["not_comparable"],
        note=row["note"],
    )


def _column(row: dict[str, str]) -> str:
    return f"{100 * float(row['fraction']):g} %" + (f" ({row['variant']})" if row["variant"] else "")


def _cell(row: dict[str, str]) -> str:
    return f"{float(row['score']):.1f}" + (f" ±{float(row['std']):.1f}" if row["std"] else "")
