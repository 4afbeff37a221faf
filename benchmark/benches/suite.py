"""`lamobench bench`: every measurement, its table, and the page of the documentation that shows it."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ...datasets.csv_text import read_csv
from ...datasets.errors import UserError, choose
from ...datasets.processes import processor
from ...datasets.storage import temporary_variable, write_rows, write_text
from . import arms, evaluation, games, llama, nethack, peaks, reading, sampling, seeds, steps, storage
from .harness import CLOCKS, Measure, Settings

MEASUREMENTS: dict[str, Measure] = {
    module_name: measure
    for module in (peaks, sampling, steps, evaluation, seeds, storage, llama, games, reading, nethack, arms)
    for module_name, measure in module.MEASUREMENTS.items()
}
WHERE = ("processor", "torch")  # columns in which rows beside each other agree
BEGIN = "<!-- {name}: written by `lamobench bench` -->"
END = "<!-- end of {name} -->"


def chosen_measurements(names: Sequence[str]) -> dict[str, Measure]:
    """The measurements of the given names, all if none is given; a `UserError` for a name that there is not."""
    wanted = {choose("measurement", name, list(MEASUREMENTS)) for name in names} or set(MEASUREMENTS)
    return {name: measure for name, measure in MEASUREMENTS.items() if name in wanted}


def check(settings: Settings) -> None:
    """Raise a `UserError` for settings that can't be."""
    choose("clock", settings.clock, list(CLOCKS))
    if settings.threads < 1 or settings.rounds < 1 or settings.seconds <= 0:
        given = f"threads {settings.threads}, rounds {settings.rounds}, seconds {settings.seconds:g}"
        raise UserError(f"{given}: give 1 thread or more, 1 round or more, and more than 0 seconds")


def merged(
    parts: Iterable[list[dict[str, Any]]],
    path: Path,
    columns: Sequence[str],
    keys: Sequence[tuple[str, ...]],
    conditions: Sequence[str] = WHERE,
    sections: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """All rows; the table (`merge`) has those of each part as soon as it is measured."""
    rows = list[dict[str, Any]]()
    for part in parts:
        rows += part
        merge(path, rows, columns, keys, conditions, sections)
    return rows


def run_benches(
    settings: Settings, measurements: Mapping[str, Measure], report: Callable[[str], None]
) -> Iterator[list[dict[str, Any]]]:
    """The rows of one measurement after the other; `report` is told what is being measured."""
    with threads_of(settings):
        for name, measure in measurements.items():
            report(name)
            with empty_home() as scratch:
                rows = measure(settings, scratch)
            yield [{"name": name, **asdict(row), **conditions(settings)} for row in rows]


def conditions(settings: Settings) -> dict[str, Any]:
    """Columns of every table: how its rows were measured, and where."""
    return {"clock": settings.clock, "threads": settings.threads, "rounds": settings.rounds, **here()}


def here() -> dict[str, str]:
    """The processor and the version of PyTorch: numbers of others are not beside these in one table."""
    return {"processor": processor(), "torch": torch.__version__.split("+")[0]}


@contextmanager
def threads_of(settings: Settings) -> Iterator[None]:
    """PyTorch has as many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def empty_home() -> Iterator[Path]:
    """A temporary folder, below which the cache, here and in child processes, is for a while."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lamobench-")))
        stack.enter_context(temporary_variable("LAMOBENCH_HOME", str(scratch / "home")))
        yield scratch


def merge(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    keys: Sequence[tuple[str, ...]],
    conditions: Sequence[str],
    sections: Sequence[str] = (),
) -> None:
    """Write the table: rows of other measurements that the file has stay, if they agree in the columns `conditions`.

    The `columns` tell what was measured; `keys` are what they may hold, in the order that the table is to have. Rows
    that differ in the columns `sections` are another table in the same file, and stay. Rows with other columns, or of
    what is no longer measured, go.
    """
    places = {measured: place for place, measured in enumerate(keys)}

    def key(row: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(str(row[column]) for column in columns)

    def table(row: Mapping[str, Any]) -> list[str]:
        return [str(row[column]) for column in sections]

    def stays(row: Mapping[str, str]) -> bool:
        if row.keys() != rows[0].keys() or key(row) not in places:
            return False  # of an earlier form of this table
        return table(row) != table(rows[0]) or (same.items() <= row.items() and key(row) not in measured)

    measured = {key(row) for row in rows}
    old = read_table(path) if path.is_file() else []
    same = {column: str(rows[0][column]) for column in conditions}
    kept = [row for row in old if stays(row)]
    write_rows(path, sorted([*kept, *rows], key=lambda row: (table(row), places[key(row)])))


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a written table, as text."""
    return read_csv(path)


def as_markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """Write a table of each processor for a page.

    Its columns: what, with how many threads, ours, theirs, the ratio with its quartiles, wanted, met.
    """
    names = dict.fromkeys(row["processor"] for row in rows)
    tables = {name: [row for row in rows if row["processor"] == name] for name in names}
    return "\n\n".join(f"### {name}\n\n{machine(own)}\n\n{_table(own)}" for name, own in tables.items())


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    head = ["| measured | threads | ours | instead | ratio | wanted | met |", "|---|---|---|---|---|---|---|"]
    return "\n".join([*head, *(_line(row) for row in rows)])


def _line(row: Mapping[str, str]) -> str:
    other = f"{row['other']} {row['unit']}, {row['other_name']}" if row["other"] else ""
    spread = f" [{row['low']}, {row['high']}]" if row["low"] else ""
    ours = f"{row['ours']} {row['unit']}"
    ratio = row["ratio"]
    ours, ratio = (ours, ratio + spread) if ratio and "below" not in row["wanted"] else (ours + spread, ratio)
    met = {"True": "yes", "False": "**no**"}.get(row["met"], "")
    return f"| {row['what']} | {row['threads']} | {ours} | {other} | {ratio} | {row['wanted']} | {met} |"


def machine(rows: Sequence[Mapping[str, Any]]) -> str:
    """The machine and the settings that some rows were measured with, in a sentence."""
    clocks = {"cpu": "processor seconds", "wall": "seconds that passed"}
    found = " or ".join(clocks[clock] for clock in sorted({str(row["clock"]) for row in rows}))
    threads, rounds = (_range({int(row[key]) for row in rows}) for key in ("threads", "rounds"))
    processors, versions = ({str(row[key]) for row in rows} for key in here())
    where = f"{', '.join(sorted(processors))}, PyTorch {', '.join(sorted(versions))}"
    return f"{where}; threads: {threads}; {found}; medians over rounds: {rounds}."


def _range(numbers: set[int]) -> str:
    low = min(numbers)
    high = max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def write_into(page: Path, name: str, text: str) -> None:
    """Put text between the two comments of `name` on a page; a `UserError` if it has not both."""
    check_page(page, name)
    begin, end = _marks(name)
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    write_text(page, f"{before}{begin}\n\n{text}\n\n{end}{rest.partition(end)[2]}")


def check_page(page: Path, name: str) -> None:
    """Refuse a file in which `write_into` will not find its place, before what may take hours is measured."""
    begin, end = _marks(name)
    _, found, rest = page.read_text(encoding="utf-8").partition(begin)
    if not found or end not in rest:
        raise UserError(f"{page} has no place for '{name}'; give a page with the lines {begin} and {end}")


def _marks(name: str) -> tuple[str, str]:
    return BEGIN.format(name=name), END.format(name=name)
