"""Add up what `lamobench bench --price` found: a paragraph and a table for a page."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat

from ...datasets.counts import count
from ...datasets.entries import TABLE
from .price import SEEDS, cells_of

Rows = Sequence[Mapping[str, str]]  # of `price.csv`, as text

DEVICES = (1, 64)
PARTS = ("train", "evaluation")  # of a run


def makespan(hours: Iterable[float], devices: int) -> float:
    """Hours until runs of so many hours each are done on so many devices: the longest first, each on the first free."""
    free = [0.0] * devices
    for each in sorted(hours, reverse=True):
        heapq.heapreplace(free, free[0] + each)
    return max(free)


def price_as_markdown(rows: Rows) -> str:
    """The price of a full table, and each method's part of it on each data set, in Markdown."""
    return f"{_paragraph(rows)}\n\n{_table(rows)}"


def units(rows: Rows) -> tuple[str, str]:
    """The unit of hours, e.g. "GPU-hours", and the name of one of several devices."""
    threads = int(rows[0]["threads"])
    if rows[0]["on"] == "cuda":
        return "GPU-hours", "GPU"
    return ("core-hours", "core") if threads == 1 else (f"hours of {threads} cores", f"set of {threads} cores")


def _paragraph(rows: Rows) -> str:
    first = rows[0]
    whole = cells_of([])
    unit, device = units(rows)
    of_runs = list(chain.from_iterable(repeat(_hours(row), int(row["runs"])) for row in rows))
    priced = {(row["dataset"], row["method"]) for row in rows}
    much = "A full table" if priced >= set(whole) else f"A part of the full table ({len(priced)} of {len(whole)} pairs)"
    train, evaluate = (sum(int(row["runs"]) * float(row[f"{part}_hours"]) for row in rows) for part in PARTS)
    ends = {count: makespan(of_runs, count) for count in DEVICES}
    return (
        f"{much} of the `{first['profile']}` profile, of {_count(rows, 'dataset', 'data set')} and "
        f"{_count(rows, 'method', 'method')}, at every published fraction with {SEEDS} seeds, has {len(of_runs):,} "
        f"runs. On {first['device']}: **{_number(sum(of_runs))} {unit}**, {_number(train)} of them training and "
        f"{_number(evaluate)} evaluations; one such {device} is done after {_days(ends[1])}, "
        f"64 after {_days(ends[64])}, the longest run alone takes {_days(max(of_runs))}."
    )


def _count(rows: Rows, column: str, name: str) -> str:
    number = len({row[column] for row in rows})
    return count(number, name)


def _hours(row: Mapping[str, str]) -> float:
    return float(row["train_hours"]) + float(row["evaluation_hours"])


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _days(hours: float) -> str:
    return f"{_number(hours)} hours" if hours < 96 else f"{_number(hours / 24)} days"


def _table(rows: Rows) -> str:
    datasets = [dataset for dataset in TABLE.values() if any(row["dataset"] == dataset for row in rows)]
    lines = [f"| | {' | '.join(datasets)} |", "|---" * (len(datasets) + 1) + "|"]
    for method in dict.fromkeys(row["method"] for row in rows):
        cells = {row["dataset"]: row for row in rows if row["method"] == method}
        lines.append(f"| {method} | {' | '.join(_cell(cells.get(dataset)) for dataset in datasets)} |")
    return "\n".join(lines)


def _cell(row: Mapping[str, str] | None) -> str:
    """Hours of all runs, and in brackets the time of a step and gigabytes."""
    if row is None:
        return ""
    milliseconds = float(row["step_ms"])
    step = f"{milliseconds:.3g} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.3g} s"
    return f"{_number(float(row['hours']))} ({step}, {float(row['gb']):.2g} GB)"
