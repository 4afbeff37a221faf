"""Compare committed tables, cell by cell, with what their raw evaluations say."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...datasets.csv_text import read_csv
from ...datasets.errors import UserError
from ...datasets.file_checks import check_regular_file
from ..runs.layout import EVALUATIONS, MB
from .archive import read_archive
from .rows import SHOWN, Row, rows_of
from .runs import read_runs
from .tables import FORMAT, TABLES, Table, Value

TABLE_MOST = 64 * MB  # of a CSV file
ROUNDING = 1e-9  # of a number, or of its size above 1: sums in another order differ by less, printed numbers by more

Cells = Mapping[str, str]


@dataclass(frozen=True)
class Checked:
    """A committed table that was looked at."""

    path: Path
    rows: int
    cells: int  # that were compared; 0 where nothing here makes such a table
    faults: tuple[str, ...]  # a line for each cell, row or column that is not what was made again


def check_folder(folder: Path) -> list[Checked]:
    """Every CSV file in a folder that has an archive of raw evaluations.

    Raises a `UserError` if the archive is damaged, or a file can't be read.
    """
    rows = rows_of(read_runs(read_archive(folder / EVALUATIONS)))
    return [_check(path, rows) for path in sorted(folder.glob("*.csv"))]


def _check(path: Path, rows: Sequence[Row]) -> Checked:
    table = TABLES.get(path.name)
    check_regular_file(path, TABLE_MOST)
    try:
        committed = read_csv(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} can't be read ({error})") from None
    if table is None:
        return Checked(path, len(committed), 0, ())
    made = table.make(rows)
    faults = _unknown_columns(committed, made) + _faults(committed, made, table)
    return Checked(path, len(committed), sum(map(len, committed)), tuple(faults))


def _unknown_columns(committed: Sequence[Cells], made: Sequence[Mapping[str, Value]]) -> list[str]:
    """A line for each column that nothing here makes. One that came later may be missing in a committed table."""
    unknown = dict.fromkeys(name for row in committed for name in row if made and name not in made[0])
    return [f"column {name} is not made of evaluations here" for name in unknown]


def _faults(committed: Sequence[Cells], made: Sequence[Mapping[str, Value]], table: Table) -> list[str]:
    wanted = {tuple(_printed(row[name], table, name) for name in table.keys): row for row in made}
    faults = []
    found = set()
    for row in committed:
        key = tuple(row.get(name, "") for name in table.keys)
        if key in found:
            faults.append(f"a row stands twice ({_described(key, table)})")
        elif key not in wanted:
            faults.append(f"a row has no evaluations ({_described(key, table)})")
        else:
            faults += [
                f"{name} is {cell or 'empty'}, recomputed {_printed(wanted[key][name], table, name) or 'empty'} "
                f"({_described(key, table)})"
                for name, cell in row.items()
                if name in wanted[key] and not _agrees(cell, wanted[key][name], table.formats.get(name, FORMAT))
            ]
        found.add(key)
    lacking = [key for key in wanted if key not in found] if table.whole else []
    return faults + [f"a row is missing ({_described(key, table)})" for key in lacking]


def _printed(value: Value, table: Table, name: str) -> str:
    """A value as the table's column has it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return format(value, table.formats.get(name, FORMAT)) if isinstance(value, float) else str(value)


def _agrees(cell: str, value: Value, style: str) -> bool:
    """Check that a cell is the value to its last digit; a tie may be rounded either way (`ROUNDING`)."""
    if not isinstance(value, float):
        return cell == ("" if value is None else str(value))
    if math.isnan(value):
        return cell == ""
    slack = ROUNDING * max(1.0, abs(value))
    return cell in {format(near, style) for near in (value - slack, value, value + slack)} or _is_near(cell, value)


def _is_near(cell: str, value: float) -> bool:
    """Check that both are zero but for rounding: four digits of such a number say nothing."""
    try:
        return max(abs(float(cell)), abs(value)) <= ROUNDING
    except ValueError:
        return False


def _described(key: Sequence[str], table: Table) -> str:
    """The row's place in words; what is empty is left out, and hashes are cut short."""
    words = {name: cell[:SHOWN] if name.endswith("_hash") else cell for name, cell in zip(table.keys, key, strict=True)}
    return ", ".join(f"{name} {cell}" for name, cell in words.items() if cell)
