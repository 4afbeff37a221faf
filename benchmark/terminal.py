"""Show rows, durations and progress on the terminal: one way each, for every command."""

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 100  # columns that what is printed keeps to, where it can


def print_rows(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print rows with the same keys as an aligned table, or as JSON."""
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    print("\n".join(table_lines(rows)) if rows else "nothing to list")


class Right(str):
    """Text that stands to the right in its column, as numbers do."""

    __slots__ = ()


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Lines of as many cells each, in columns as wide as their widest cell; an empty column is left out."""
    columns = [column for column in zip(*lines, strict=True) if any(column)]
    widths = [max(map(len, column)) for column in columns]
    return ["  ".join(map(_padded, line, widths)).rstrip() for line in zip(*columns, strict=True)]


def _padded(text: str, width: int) -> str:
    return text.rjust(width) if isinstance(text, Right) else text.ljust(width)


def table_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lines of an aligned table of rows with the same keys; columns of numbers stand to the right."""
    columns = []
    for name in rows[0]:
        values = [row[name] for row in rows]
        column = [name, *_cells(values)]
        columns.append(list(map(Right, column)) if all(map(_stands_right, values)) else column)
    return aligned(list(zip(*columns, strict=True)))


def _stands_right(value: Any) -> bool:
    return isinstance(value, int | float | Right | None)


def described(texts: Mapping[str, str]) -> list[str]:
    """Lines of names, each with its text in a column beside it, wrapped at `WIDTH`."""
    width = max(map(len, texts), default=0)
    indent = " " * (width + 2)
    return [
        line
        for name, text in texts.items()
        for line in wrapped(text, first=f"{name:<{width}}  ", indent=indent) or [name]
    ]


def wrapped(text: str, first: str = "", indent: str = "") -> list[str]:
    """The text in lines of at most `WIDTH` columns, broken between words alone.

    `first` stands before the first line, `indent` before each of the others.
    """
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


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
    if isinstance(value, str):
        return value
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """4 s, 3 min 20 s, 2 h 05 min."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def progress_bar(share: float, width: int) -> str:
    """A bar of blocks, as many as a share of `width`, which may be anything from 0 to 1."""
    return ("█" * round(width * share)).ljust(width, "░")
