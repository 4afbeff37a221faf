"""`lamobench compare`: our scores beside published ones, or beside another leaderboard."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...datasets.counts import count
from ..terminal import described, table_lines, wrapped
from .options import RUNS

NAMED = 3  # rows without a published score that are named, before the others are counted
COULD_SEE = "could see: a true difference of that size leaves theirs outside our interval in 80 % of experiments"
ENVIRONMENTS = "all of them played D4RL's environments, ours Gymnasium's: docs/datasets.md says how they differ"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Compare:
    """Our scores beside published ones: the difference, and whether theirs lies inside our interval. What is not
    comparable is left out, and the reason named."""

    runs: Path = RUNS
    """Folder of the runs, or a leaderboard.csv."""
    against: Path | None = None
    """Another folder of runs, or another leaderboard.csv, to compare with instead of published scores."""
    all: bool = False
    """Show those that are not comparable too, and mark them."""
    output: Path | None = None
    """File to write the rows to, as CSV."""
    json: bool = False
    """Print the rows as JSON instead of a table."""

    def run(self) -> None:
        """Print the table, and write the file if one is named."""
        from ...datasets.storage import write_text
        from ..scores.compare import (
            compare_boards,
            compare_published,
            never_comparable,
            nothing_published,
            read_board,
        )

        board, left_out = read_board(self.runs)
        if self.against is None:
            every = compare_published(board)
            remarks = [*_about(nothing_published(board)), *never_comparable(board)]
        else:
            other, also_left_out = read_board(self.against)
            every = compare_boards(board, other, str(self.against))
            left_out += also_left_out
            remarks = _counterparts(len(every), len(board), len(other))
        rows = every if self.all else [row for row in every if row["comparable"]]
        if self.output is not None:
            write_text(self.output, as_csv(rows))
        if self.json:
            print(json.dumps(rows, indent=2))
        elif rows:
            print(f"{as_text(rows)}\n")
        seen = [COULD_SEE] if any(row["detectable"] is not None for row in rows) else []
        for line in [*_verdict(every, self.all), *seen, *remarks, *_sources(rows)]:
            print("\n".join(wrapped(line, indent="  ")), file=sys.stderr if self.json else sys.stdout)
        if self.output is not None and not self.json:
            print(f"written to {self.output}")
        for line in left_out:
            print(f"left out: {line}", file=sys.stderr)


def as_csv(rows: Sequence[Row]) -> str:
    """Rows of a comparison as CSV; what is unknown is left empty."""
    from ...datasets.csv_text import csv_text
    from ..scores.compare import FORMATS

    formatted = (
        ["" if row[name] is None else format(row[name], style) for name, style in FORMATS.items()] for row in rows
    )
    return csv_text(FORMATS, formatted)


def as_text(rows: Sequence[Row]) -> str:
    """The same as tables, one for each data set, source and profile, then what their letters stand for."""
    from ..scores.compare import remark_letters

    letters = remark_letters(rows)
    blocks: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        title = f"{row['dataset']} ({row['source']} data, {row['profile']} profile)"
        blocks.setdefault(title, []).append(_line(row, letters))
    tables = ["\n".join([title, "", *table_lines(lines)]) for title, lines in blocks.items()]
    legend = described({letter: text for text, letter in letters.items()})
    return "\n\n".join([*tables, "\n".join(legend)]).rstrip()


def _line(row: Row, letters: Mapping[str, str]) -> dict[str, str]:
    """One line of a table; each remark on it is its letter."""
    from ..scores.compare import remarks_on
    from ..scores.labels import label

    ours = f"{row['score']:.1f}"
    if row["ci_low"] is not None:
        ours += f" [{row['ci_low']:.1f}, {row['ci_high']:.1f}]"
    spread = "" if row["spread"] is None else f" ±{row['spread']:.1f}"
    place = "one seed" if row["lies"] == "unknown" else row["lies"]
    place = place if row["comparable"] else "not comparable"
    return {
        "data": f"{100 * row['fraction']:g} %",
        "method": label(row["method"], row["lm"], row["our_variant"]),
        "ours": ours,
        "by": _by(row),
        "theirs": f"{row['published']:.1f}{spread}",
        "ours - theirs": f"{round(row['delta'], 1) + 0.0:+.1f}",  # no minus before a zero
        "could see": "" if row["detectable"] is None else f"{row['detectable']:.1f}",
        "theirs is": " ".join([place, *(f"({letters[text]})" for text in remarks_on(row))]),
    }


def _by(row: Row) -> str:
    kind = "" if not row["table"][:1].isdigit() else "tables " if "," in row["table"] else "table "
    return ", ".join(part for part in (row["by"], kind + row["table"], row["variant"]) if part)


def _verdict(every: Sequence[Row], with_others: bool) -> Iterator[str]:
    """Sentences that say what came out, and what was left out and why."""
    from ..scores.compare import summary, why_not

    others = sum(not row["comparable"] for row in every)
    if others < len(every):
        yield summary(every)
    if others:
        reasons = "; ".join(f"{reason} ({count})" for reason, count in why_not(every).items())
        which = f"all {others}" if others == len(every) > 1 else str(others)
        yield f"{which} not comparable: {reasons}" + ("" if with_others else "; --all shows them all the same")


def _about(alone: Sequence[str]) -> list[str]:
    if not alone:
        return []
    named = ", ".join(alone[:NAMED]) + (f" and {len(alone) - NAMED} more" if len(alone) > NAMED else "")
    return [f"nothing is published for {named}"]


def _counterparts(both: int, here: int, there: int) -> list[str]:
    if both == here == there:
        return []
    from ..scores.leaderboard import KEYS

    alone = f"{here - both} here alone, {there - both} there alone"
    return [f"in both: {count(both, 'row')}; {alone}; a row is known by its {', '.join(KEYS)}"]


def _sources(rows: Sequence[Row]) -> Iterator[str]:
    """Lines that say where each paper's numbers come from, and what to know of all of them."""
    from ..scores.reported import papers

    titles = {paper.title for paper in papers().values()} & {row["by"] for row in rows}
    for paper in papers().values():
        if paper.title in titles:
            seeds = f"{paper.seeds or 'unknown'} {'seed' if paper.seeds == '1' else 'seeds'}"
            about = f"{paper.title}: {paper.reference}; {seeds}; its score: {paper.score}; ±: {paper.spread}"
            yield about + (f"; {paper.reservations}" if paper.reservations else "")
    if any(row["by"] in titles and row["comparable"] and row["source"] != "dqn_replay" for row in rows):
        yield ENVIRONMENTS
