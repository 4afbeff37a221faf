"""Show rows, durations, counts and progress on the terminal: one way each, for every command."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any


def print_rows(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print rows with the same keys as an aligned table, or as JSON."""
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    print("\n".join(table_lines(rows)) if rows else "nothing to list")


def table_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lines of an aligned table of rows with the same keys; columns of numbers stand to the right."""
    names = list(rows[0])
    table = list(zip(*(_cells([row[name] for row in rows]) for name in names), strict=True))
    widths = [max(len(cell) for cell in column) for column in zip(names, *table, strict=True)]
    numeric = [all(isinstance(row[name], int | float | None) for row in rows) for name in names]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in [names, *table]
    ]


def _cells(column: Sequence[Any]) -> list[str]:
    """Numbers with one decimal, or a column of them with three digits where one decimal would lose a small one."""
    numbers = [value for value in column if isinstance(value, float)]
    if all(math.isclose(round(value, 1), value, rel_tol=0.1) for value in numbers if abs(value) < 1):
        return [cell(value) for value in column]
    return [f"{value:.3g}" if isinstance(value, float) and abs(value) < 100 else cell(value) for value in column]


def cell(value: Any) -> str:
    """A value as a table shows it."""
    if value is None:
        return "-"
    if isinstance(value, list) and all(isinstance(part, float) for part in value):
        return ", ".join(f"{part:g}" for part in value) or "none"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """4 s, 3 min 20 s, 2 h 05 min."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def count(number: int, noun: str) -> str:
    """1 run, 2 runs."""
    return f"{number} {plural(number, noun)}"


def plural(number: int, noun: str) -> str:
    """The noun alone: run of 1, runs of any other number."""
    return noun if number == 1 else f"{noun}s"


def count_range(numbers: Collection[int], noun: str) -> str:
    """2 to 3 runs, or 3 runs where all numbers are the same."""
    low = min(numbers)
    high = max(numbers)
    return count(low, noun) if low == high else f"{low} to {high} {plural(high, noun)}"


def progress_bar(share: float, width: int) -> str:
    """A bar of blocks, as many as a share of `width`, which may be anything from 0 to 1."""
    return ("█" * round(width * share)).ljust(width, "░")
