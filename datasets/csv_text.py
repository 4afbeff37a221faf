"""Tables as CSV in which no cell is a formula to a spreadsheet, whatever names users chose."""

import csv
import re
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# Spreadsheets take a cell for a formula by its first character (OWASP, CSV Injection); an apostrophe before it says
# that it is text. Numbers may begin with a sign.
FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|nan)", re.ASCII | re.IGNORECASE)
RETURN = "\r\n"


def csv_text(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A header and rows of cells as CSV; text that would be a formula has an apostrophe before it."""
    lines: list[str] = []
    writer = csv.writer(SimpleNamespace(write=lines.append), lineterminator=RETURN)  # so that each of its two is quoted
    writer.writerows([_guarded(cell) for cell in row] for row in (header, *rows))
    return "".join(f"{line.removesuffix(RETURN)}\n" for line in lines)


def cell_text(cell: str) -> str:
    """The text of a cell that `csv_text` wrote, from the cell as it was read."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a file that holds a `csv_text`, as text."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: cell_text(cell) for name, cell in row.items() if isinstance(cell, str)} for row in rows]


def _guarded(cell: Any) -> Any:
    """The cell as it is written; `cell_text` is the inverse, also of text that begins with apostrophes."""
    formula = isinstance(cell, str) and FORMULA.match(cell) and not NUMBER.fullmatch(cell)
    return f"'{cell}" if formula else cell
