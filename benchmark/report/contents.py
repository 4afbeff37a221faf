"""Contents of the report, in order: a page a data set, on it a section for all that may be compared, rows and runs.

Every value is a plain one; the templates escape what they print, since names come from whoever made the runs.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...datasets.errors import UserError
from ..runs.records import HASHED
from ..scores.collect import collect, finished, left_out
from ..scores.labels import label, method_order, short_label, titles_of, with_named_model
from ..scores.leaderboard import Group, group_runs, leaderboard_rows, row_of
from ..scores.run import FinishedRun
from ..scores.variants import differing, values_of
from .sections import Placed, placed_rows

DATA_SET = "data set"
TASK = "task"
RESULT = ("target_return", "score", "best_score", "return_mean")  # of a run's result, what its details show


@dataclass(frozen=True)
class Row:
    """One row of the leaderboard with the runs that it is the mean of."""

    anchor: str
    label: str  # short, for figures
    title: str
    values: dict[str, Any]  # of the leaderboard, by its columns
    group: Group
    details: str = ""  # what tells it from rows of its method that are shown beside it, as in "rate 1e-05"

    @property
    def runs(self) -> list[FinishedRun]:
        """One a seed."""
        return self.group.runs

    @property
    def method(self) -> str:
        """The method's name."""
        return str(self.values["method"])

    @property
    def variant(self) -> str:
        """The settings in which it differs from the base (`scores/variants.py`); empty where it does not."""
        return str(self.values["variant"])

    @property
    def fraction(self) -> float:
        """The share of the data."""
        return float(self.values["fraction"])

    @property
    def share(self) -> str:
        """The share in words; empty where there is no data set."""
        return self.group.config.share

    @property
    def interval(self) -> tuple[float, float, float]:
        """The mean score and the ends of its 95 % interval, NaN where it has none."""
        mean, low, high = (float(self.values[name]) for name in ("score_mean", "ci_low", "ci_high"))
        return mean, low, high


@dataclass(frozen=True)
class Setting:
    """Rows that may be compared: of one data set, its content, its source and one profile (`sections.py`).

    Where a track has no data sets, a task stands in the place of one, with neither source nor content.
    """

    anchor: str
    track: str
    dataset: str
    task: str
    source: str
    profile: str
    dataset_hash: str
    rows: list[Row]

    @property
    def on_data(self) -> bool:
        """Tell whether its runs learned from a data set."""
        return self.dataset_hash != ""

    @property
    def drawn(self) -> list[Row]:
        """The rows that figures show: a page of variants would be a tangle of lines."""
        return [row for row in self.rows if not row.variant] or self.rows

    @property
    def about_drawn(self) -> str:
        """Sentence on which of the rows shown side by side (`sections.py`) are drawn; empty where there are none."""
        own = dict.fromkeys(row.details for row in self.drawn if row.details)
        return f"At {' or '.join(own)}, the profile's own; the tables have all." if own else ""

    @property
    def bases(self) -> dict[str, str]:
        """The settings, as in "steps=20", of rows that variants differ from, by the titles of these rows.

        Left out is what rows of one title, at several shares of the data, don't have in common.
        """
        plain: dict[str, list[Row]] = {}
        for row in self.rows:
            if not row.variant:
                plain.setdefault(row.title, []).append(row)
        titles: dict[str, list[str]] = {}
        for title, rows in plain.items():
            names = set().union(*(differing([row.runs[0], *self._variants_of(row)]) for row in rows))
            common = set.intersection(*(values_of(row.runs[0], names) for row in rows))
            titles.setdefault(", ".join(sorted(common)), []).append(title)
        return {", ".join(of): values for values, of in titles.items() if values}

    def _variants_of(self, row: Row) -> list[FinishedRun]:
        """A run of each row that differs from a row in nothing but settings."""
        alike = ("method", "lm", "fraction")
        found = [other for other in self.rows if other.variant and other.values["profile"] == self.profile]
        return [o.runs[0] for o in found if all(o.values[name] == row.values[name] for name in alike)]

    @property
    def fractions(self) -> list[float]:
        """Every share of the data that some row has, in order."""
        return sorted({row.fraction for row in self.rows})

    @property
    def methods(self) -> list[tuple[str, str]]:
        """Name and title of every method that figures show, in order of display."""
        return titles_of(row.method for row in self.drawn)

    def at(self, fraction: float) -> list[Row]:
        """The rows at a share of the data."""
        return [row for row in self.rows if row.fraction == fraction]

    def cells(self, rows: list[Row]) -> list[tuple[Row, list[Row | None]]]:
        """A line for each title among `rows`: one row that stands for it, and its row at each share of the data."""
        lines = [
            {row.fraction: row for row in rows if row.title == title} for title in dict.fromkeys(r.title for r in rows)
        ]
        return [(next(iter(line.values())), [line.get(fraction) for fraction in self.fractions]) for line in lines]


@dataclass(frozen=True)
class Page:
    """A data set, or a task of a track that has none."""

    anchor: str
    dataset: str
    settings: list[Setting]

    @property
    def kind(self) -> str:
        """The noun for it."""
        return DATA_SET if any(setting.on_data for setting in self.settings) else TASK

    @property
    def runs(self) -> int:
        """The number of its runs."""
        return sum(len(row.runs) for setting in self.settings for row in setting.rows)


@dataclass(frozen=True)
class Contents:
    """Runs and pages of a report, and what it leaves out."""

    runs: list[FinishedRun]  # that the rows are made of
    pages: list[Page]
    left_out: list[str]  # one line each: what can't be counted, and what to do

    @property
    def kinds(self) -> dict[str, int]:
        """The number of pages of each kind, by its noun."""
        return {kind: number for kind in (DATA_SET, TASK) if (number := [p.kind for p in self.pages].count(kind))}

    @property
    def settings(self) -> list[Setting]:
        """The settings of all pages."""
        return [setting for page in self.pages for setting in page.settings]

    @property
    def rows(self) -> list[Row]:
        """The rows of all pages."""
        return [row for setting in self.settings for row in setting.rows]

    def distinct(self, name: str) -> list[str]:
        """Every value that runs have in a field of `config.json`, of their data or of `done.json`, as text."""
        values = (run.done.get(name, run.fields.get(name)) for row in self.rows for run in row.runs)
        return sorted({str(value) for value in values if _said(value)})

    @property
    def hours(self) -> float:
        """Time spent in optimiser steps, over all runs."""
        return sum(float(run.done["train_seconds"]) for row in self.rows for run in row.runs) / 3600.0


def read_contents(*roots: Path) -> Contents:
    """Read the runs in these folders and in those inside them, and order them by page.

    Rows that can't be averaged are left out, and said to be. Raises a `UserError` if no run is finished.
    """
    found = collect(*roots)
    sound = finished(found)
    if not sound:
        group_runs(found)  # says that none is finished
    runs, refused = _averageable(sound)
    if not runs:
        raise UserError(refused[0])
    return Contents(list(runs), list(_pages(runs)), [*left_out(found), *refused])


def provenance(row: Row) -> dict[str, Any]:
    """Values that all runs of a row share, by name: their configuration, but for what each has of its own."""
    common = {name: value for name, value in row.runs[0].settings.items() if _said(value)}
    return dict(sorted(common.items()))


def own_values(row: Row, run: FinishedRun) -> dict[str, Any]:
    """Values that a run has of its own, by name: its seeds, subset and score, and what it ran on."""
    config = {name: value for name, value in run.fields.items() if not name.startswith("policy.")}
    result = {name: getattr(run.result, name) for name in RESULT}
    known = {"folder": str(run.folder)} | config | dict(run.done) | result | {"variant": row.variant}
    shared = (HASHED, *row.runs[0].settings)
    return {name: value for name, value in known.items() if name not in shared and _said(value)}


def _said(value: Any) -> bool:
    """Tell whether there is anything to show."""
    return value is not None and value not in ("", [])


def _averageable(runs: Sequence[FinishedRun]) -> tuple[Sequence[FinishedRun], list[str]]:
    """The runs of the rows that can be averaged, and why the others can't."""
    with suppress(UserError):
        group_runs(runs)
        return runs, []
    rows: dict[tuple[Any, ...], list[FinishedRun]] = {}
    for run in sorted(runs, key=row_of):
        rows.setdefault(row_of(run), []).append(run)
    kept: list[FinishedRun] = []
    refused: list[str] = []
    for row in rows.values():
        try:
            group_runs(row)
            kept += row
        except UserError as error:
            refused.append(str(error))
    return kept, refused


def _pages(runs: Sequence[FinishedRun]) -> Iterator[Page]:
    placed = placed_rows(runs)
    records = leaderboard_rows([each.group for each in placed])
    pairs = list(zip(records, placed, strict=True))
    taken: set[str] = set()
    for dataset in sorted({record["dataset"] for record in records}):
        here = [pair for pair in pairs if pair[0]["dataset"] == dataset]
        keys = sorted({_setting_of(*pair) for pair in here})
        settings = [_setting(key, [pair for pair in here if _setting_of(*pair) == key], taken) for key in keys]
        yield Page(anchor(dataset, taken), dataset, settings)


def _setting_of(record: Mapping[str, Any], placed: Placed) -> tuple[str, ...]:
    """The data set, source, profile and content that rows share which may be compared."""
    return (record["dataset"], record["source"], placed.profile, record["dataset_hash"])


def _setting(key: tuple[str, ...], pairs: Sequence[tuple[dict[str, Any], Placed]], taken: set[str]) -> Setting:
    dataset, source, profile, dataset_hash = key
    first = pairs[0][0]
    named = with_named_model((record["method"], record["lm"]) for record, _ in pairs)
    rows = [_row(record, placed, taken, with_model=record["method"] in named) for record, placed in pairs]
    rows.sort(key=_order_of_display)
    name = anchor("-".join(part[:40] for part in key), taken)
    return Setting(name, first["track"], dataset, first["task"], source, profile, dataset_hash, rows)


def _order_of_display(row: Row) -> tuple[Any, ...]:
    variant = row.variant != "" and not row.details
    return method_order(row.method), variant, _with_numbers(row.title), row.fraction


def _with_numbers(title: str) -> list[str | float]:
    """A sorting key that puts "distance=5" before "distance=10", and "rate=1e-05" before both."""
    parts = re.split(r"((?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)", title)
    return [float(part) if place % 2 else part for place, part in enumerate(parts)]


def _row(record: dict[str, Any], placed: Placed, taken: set[str], *, with_model: bool) -> Row:
    method = record["method"]
    model = record["lm"] if with_model else ""
    title = label(method, model, placed.details or record["variant"])
    where = ("dataset", "fraction", "method") if record["dataset_hash"] else ("dataset", "method")
    name = "-".join(str(record[key]) for key in where)
    return Row(anchor(name, taken), short_label(method, model), title, record, placed.group, placed.details)


def anchor(name: str, taken: set[str]) -> str:
    """A fragment of an address for `name`, of letters, digits and hyphens, not in `taken`; it is added there."""
    base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unnamed"
    free = base
    count = 1
    while free in taken:
        count += 1
        free = f"{base}-{count}"
    taken.add(free)
    return free
