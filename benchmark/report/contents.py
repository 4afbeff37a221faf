"""What the report shows, in order: a page a data set, on it a section for all that may be compared, rows and runs.

Every value is a plain one; the templates escape what they print, since names come from whoever made the runs.
"""

import math
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ...datasets.errors import UserError
from ..runs.methods import look_up
from ..scores.collect import collect, left_out
from ..scores.leaderboard import KEYS, group_runs, leaderboard
from ..scores.tables import method_order

LONGEST_LABEL = 16  # characters
SETTING = ("dataset", "source", "profile", "dataset_hash")  # what rows share that may be compared
# Of a run, what `collect` adds to its folder's files.
COMPUTED = (
    *("run_id", "status", "problem", "advice", "settings", "verified", "sha256"),
    *("by_target", "headline_scores", "curve_steps", "curve_scores"),
)


@dataclass(frozen=True)
class Row:
    """One row of the leaderboard with the runs that it is the mean of."""

    anchor: str
    label: str  # short, for figures
    title: str
    values: dict[str, Any]  # of the leaderboard, by its columns
    runs: list[dict[str, Any]]  # of `collect`, one a seed

    @property
    def method(self) -> str:
        """The method's name."""
        return str(self.values["method"])

    @property
    def variant(self) -> str:
        """What tells its settings from those of most runs; empty for nothing."""
        return str(self.values["variant"])

    @property
    def fraction(self) -> float:
        """The share of the data."""
        return float(self.values["fraction"])


@dataclass(frozen=True)
class Setting:
    """Rows that may be compared: of one data set, its content, its source and one profile."""

    anchor: str
    dataset: str
    task: str
    source: str
    profile: str
    dataset_hash: str
    rows: list[Row]

    @property
    def drawn(self) -> list[Row]:
        """The rows that figures show: a page of variants would be a tangle of lines."""
        return [row for row in self.rows if not row.variant] or self.rows

    @property
    def fractions(self) -> list[float]:
        """Every share of the data that some row has, in order."""
        return sorted({row.fraction for row in self.rows})

    @property
    def methods(self) -> list[tuple[str, str]]:
        """Name and title of every method that figures show, in order of display."""
        return methods_of(self.drawn)

    def at(self, fraction: float) -> list[Row]:
        """The rows at a share of the data."""
        return [row for row in self.rows if row.fraction == fraction]

    def cells(self, rows: list[Row]) -> list[tuple[Row, list[Row | None]]]:
        """For each title among `rows` one that stands for it, and its row at each share of the data."""
        lines = [
            {row.fraction: row for row in rows if row.title == title} for title in dict.fromkeys(r.title for r in rows)
        ]
        return [(next(iter(line.values())), [line.get(fraction) for fraction in self.fractions]) for line in lines]


@dataclass(frozen=True)
class Page:
    """A data set."""

    anchor: str
    dataset: str
    settings: list[Setting]

    @property
    def runs(self) -> int:
        """How many runs it is about."""
        return sum(len(row.runs) for setting in self.settings for row in setting.rows)


@dataclass(frozen=True)
class Contents:
    """Everything that the report is made of."""

    runs: pd.DataFrame  # of `collect`: those that the rows are made of
    pages: list[Page]
    left_out: list[str]  # one line each: what can't be counted, and what to do

    @property
    def settings(self) -> list[Setting]:
        """Those of all pages."""
        return [setting for page in self.pages for setting in page.settings]

    @property
    def rows(self) -> list[Row]:
        """Those of all pages."""
        return [row for setting in self.settings for row in setting.rows]

    def distinct(self, *names: str) -> list[str]:
        """Every combination of these fields that runs have, in words."""
        known = [run for row in self.rows for run in row.runs]
        return sorted({", ".join(_text(run[name]) for name in names if _said(run.get(name))) for run in known} - {""})

    @property
    def hours(self) -> float:
        """Time spent in optimiser steps, over all runs."""
        return sum(float(run["train_seconds"]) for row in self.rows for run in row.runs) / 3600.0


def read_contents(*roots: Path) -> Contents:
    """Everything there is to show of the runs in these folders and in those inside them.

    Rows that can't be averaged are left out, and said to be. Raises a `UserError` if no run is finished.
    """
    found = collect(*roots)
    finished = found[found["status"] == "finished"]
    if finished.empty:
        group_runs(found)  # says that none is finished
    runs, refused = _averageable(finished)
    if runs.empty:
        raise UserError(refused[0])
    return Contents(runs, list(_pages(runs)), [*left_out(found), *refused])


def methods_of(rows: Iterable[Row]) -> list[tuple[str, str]]:
    """Name and title of every method that the rows have, in order of display."""
    return methods_of_names(row.method for row in rows)


def methods_of_names(names: Iterable[str]) -> list[tuple[str, str]]:
    """Each name once with its title, in order of display."""
    return [(name, look_up(name).title) for name in sorted(set(names), key=method_order)]


def provenance(row: Row) -> dict[str, Any]:
    """What all runs of a row share, by name: their configuration, but for what each has of its own."""
    common = {key: value for key, value in row.runs[0]["settings"].items() if _said(value)}
    return dict(sorted(common.items()))


def own_values(row: Row, run: dict[str, Any]) -> dict[str, Any]:
    """What a run has of its own, by name: its seeds, subset and score, and what it ran on."""
    own = {key: value for key, value in run.items() if key not in COMPUTED and key not in row.runs[0]["settings"]}
    return {key: value for key, value in own.items() if _said(value)}


def _text(value: Any) -> str:
    """A value as text; whole numbers are floats where some run of the frame lacks them."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _said(value: Any) -> bool:
    """Whether there is anything to show: a frame has NaN where a run lacks a column."""
    return not (value is None or value == "" or value == [] or (isinstance(value, float) and math.isnan(value)))


def _averageable(finished: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The runs of the rows that can be averaged, and why the others can't."""
    with suppress(UserError):
        group_runs(finished)
        return finished, []
    kept, refused = [], []
    keys = [key for key in KEYS if key != "variant"]  # which is known once runs are grouped
    for _, group in finished.groupby(keys, dropna=False):
        try:
            group_runs(group)
            kept.append(group)
        except UserError as error:
            refused.append(str(error))
    return (pd.concat(kept) if kept else finished.iloc[:0]), refused


def _pages(runs: pd.DataFrame) -> Iterator[Page]:
    records = leaderboard(runs).to_dict("records")
    pairs = list(zip(records, group_runs(runs).values(), strict=True))
    taken: set[str] = set()
    for dataset in sorted({record["dataset"] for record in records}):
        here = [pair for pair in pairs if pair[0]["dataset"] == dataset]
        keys = sorted({tuple(record[name] for name in SETTING) for record, _ in here})
        settings = [_setting([p for p in here if tuple(p[0][n] for n in SETTING) == key], taken) for key in keys]
        yield Page(anchor(dataset, taken), dataset, settings)


def _setting(pairs: list[tuple[dict[str, Any], list[dict[str, Any]]]], taken: set[str]) -> Setting:
    first = pairs[0][0]
    models: dict[str, set[str]] = {}
    for record, _ in pairs:
        models.setdefault(record["method"], set()).add(record["lm"])
    rows = [_row(record, group, len(models[record["method"]]) > 1, taken) for record, group in pairs]
    rows.sort(key=lambda row: (method_order(row.method), row.variant != "", row.title, row.fraction))
    about = {name: str(first[name]) for name in ("dataset", "task", "source", "profile", "dataset_hash")}
    return Setting(anchor("-".join(str(first[name])[:40] for name in SETTING), taken), **about, rows=rows)


def _row(record: dict[str, Any], group: list[dict[str, Any]], with_model: bool, taken: set[str]) -> Row:
    method = str(record["method"])
    model = f" ({record['lm']})" if with_model else ""
    variant = f", {record['variant']}" if record["variant"] else ""
    name = "-".join(str(record[key]) for key in ("dataset", "fraction", "method"))
    return Row(anchor(name, taken), short(method) + model, look_up(method).title + model + variant, record, group)


def short(method: str) -> str:
    """The name of a method for a figure."""
    title = look_up(method).label
    return title if len(title) <= LONGEST_LABEL else title[: LONGEST_LABEL - 1] + "…"


def anchor(name: str, taken: set[str]) -> str:
    """A fragment of an address for `name`, of letters, digits and hyphens, not in `taken`; it is added there."""
    base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unnamed"
    free, count = base, 1
    while free in taken:
        count += 1
        free = f"{base}-{count}"
    taken.add(free)
    return free
