"""The leaderboard as text: for the terminal and as Markdown."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pandas as pd

from ...datasets.counts import count
from ..terminal import WIDTH, table_lines, wrapped
from .comparable import NOT_COMPARABLE, drawn_otherwise
from .labels import label, method_order, with_named_model
from .leaderboard import clearly_best

PUBLISHED = {"paper": "paper", "corl": "CORL", "rerun": "rerun"}  # columns of published scores, and how they are shown
CLEAR = "clearly best: its interval lies above every other one in its column"
NOT_CLEAR = "no interval lies above all others in its column: none is clearly best"
ONE_SEED = "one seed has no interval: none is clearly best"
FAR_BELOW = "so many seeds lie far below the others: the mean is of neither group (docs/statistics.md)"


@dataclass(frozen=True)
class _Block:
    """The rows of one data set, content, source and profile: a line for each method, a column for each fraction."""

    title: str
    columns: list[str]
    lines: dict[str, list[str]]  # by method; an empty cell where there is no row
    note: str  # which cells are clearly best
    best: set[tuple[str, int]]  # (method, column) of these
    gaps: list[int]  # of each row that is marked, how many seeds lie far below the others; each number once
    apart: str  # why published scores do not stand beside some or all of them; "" where nothing is left out
    beside: str  # what to know of those that do; "" where there is nothing


def as_table(frame: pd.DataFrame) -> str:
    """The leaderboard for a terminal of 100 columns: mean score and 95 % interval, one block a data set.

    A method is marked best at a fraction only if its interval lies above every other one's there.
    """
    return "\n\n".join(part for block in _blocks(frame) for part in _terminal_parts(block))


def as_markdown(frame: pd.DataFrame) -> str:
    """The same tables in Markdown; clearly best cells are bold."""
    return "\n".join(_markdown(block) for block in _blocks(frame))


def _blocks(frame: pd.DataFrame) -> Iterator[_Block]:
    for (dataset, source, profile, content), rows in frame.groupby(["dataset", "source", "profile", "dataset_hash"]):
        records = rows.to_dict("records")
        models = sorted({str(row["lm"]) for row in records if row["lm"]})
        named = with_named_model((row["method"], row["lm"]) for row in records)
        cells = {(_label(row, named), row["fraction"]): row for row in records}
        ordered = sorted(records, key=lambda row: (method_order(row["method"]), row["lm"], row["variant"]))
        labels = list(dict.fromkeys(_label(row, named) for row in ordered))
        fractions = sorted(set(rows["fraction"]))
        seeds = set(rows["seeds"])
        repeated = max(seeds) > 1
        about = [f"{source} data {content[:8]}"] if content else []
        about += [f"{profile} profile", *(models if len(models) == 1 else [])]
        about += [count(seeds.pop(), "seed")] if len(seeds) == 1 else []
        best = set(_best_cells(cells, fractions))
        yield _Block(
            title=f"{dataset} ({', '.join(about)}): score, 0 to 100{', with 95 % interval' if repeated else ''}",
            columns=[_column(rows, fraction) for fraction in fractions],
            lines={
                name: [_cell(cells.get((name, fraction)), with_seeds=bool(seeds)) for fraction in fractions]
                for name in labels
            },
            note=_note(best) if repeated else ONE_SEED,
            best=best,
            gaps=sorted(set(rows["seeds_below_gap"]) - {0}),
            apart=_apart(rows),
            beside=_remarks(rows),
        )


def _note(best: set[tuple[str, int]]) -> str:
    return CLEAR if best else NOT_CLEAR


def _label(row: Mapping[str, Any], named: Collection[str]) -> str:
    return label(row["method"], row["lm"] if row["method"] in named else "", row["variant"])


def _best_cells(
    cells: Mapping[tuple[str, float], Mapping[str, Any]], fractions: Sequence[float]
) -> Iterator[tuple[str, int]]:
    for column, fraction in enumerate(fractions):
        there = {name: row for (name, at), row in cells.items() if at == fraction}
        if (place := clearly_best(list(there.values()))) is not None:
            yield list(there)[place], column


def _column(rows: pd.DataFrame, fraction: float) -> str:
    found = rows[rows["fraction"] == fraction].iloc[0]
    if not found["dataset_hash"]:
        return "score"
    episodes = found["episodes_in_subset"]
    return f"{100 * fraction:g} % ({count(episodes, 'episode')})"


def _cell(row: dict[str, Any] | None, *, with_seeds: bool) -> str:
    if row is None:
        return ""
    text = f"{row['score_mean']:.1f}"
    if row["seeds"] > 1:
        text += f" [{row['ci_low']:.1f}, {row['ci_high']:.1f}]"
    if row["seeds_below_gap"]:
        text += f" {_mark(row['seeds_below_gap'])}"
    if with_seeds:
        text += f" n={row['seeds']}"
    published = ", ".join(f"{title} {score:.1f}" for title, score in _published(row).items())
    return text + (f" ({published})" if published else "")


def _mark(low_seeds: int) -> str:
    """The mark of a cell where `low_seeds` seeds lie far below the others."""
    return f"!{low_seeds}"


def _gaps(block: _Block) -> str:
    """A footnote for the marks of the block's cells; empty if there are none."""
    return f"{', '.join(map(_mark, block.gaps))}: {FAR_BELOW}" if block.gaps else ""


def _footnotes(block: _Block) -> list[str]:
    """Lines below a block, after the one on which cells are best."""
    return [text for text in (_gaps(block), block.apart, block.beside) if text]


def _published(row: dict[str, Any]) -> dict[str, float]:
    """The published scores that stand beside a row, by whose they are."""
    scores = {title: row[f"{name}_score"] for name, title in PUBLISHED.items()}
    return {title: score for title, score in scores.items() if pd.notna(score)}


def _apart(rows: pd.DataFrame) -> str:
    """A sentence on why published scores are not comparable with the rows; empty where all are."""
    of_rows = [text.removeprefix(NOT_COMPARABLE) for text in rows["comparison"] if text.startswith(NOT_COMPARABLE)]
    if not of_rows:
        return ""
    which = "scores" if len(of_rows) == len(rows) else "scores without a published one"
    reasons = dict.fromkeys(reason for text in of_rows for reason in text.split("; "))
    return f"{which} are not comparable with published ones: {'; '.join(reasons)}"


def _remarks(rows: pd.DataFrame) -> str:
    """A sentence on the published scores that stand beside rows on less than all of the data."""
    methods: dict[str, dict[str, None]] = {}  # by what is to be said of them, in the order of the rows
    for row in rows.to_dict("records"):
        if _published(row) and (text := drawn_otherwise(row)):
            methods.setdefault(text, {})[label(row["method"])] = None
    return "; ".join(f"episodes of a share, {', '.join(titles)}: {text}" for text, titles in methods.items())


def _terminal_parts(block: _Block) -> Iterator[str]:
    """The block's columns in as many tables as `WIDTH` asks for, then its footnote."""
    texts = {
        name: [text + (" *" if (name, column) in block.best else "  ") for column, text in enumerate(line)]
        for name, line in block.lines.items()
    }
    first = max(len("method"), *map(len, texts))
    widths = [max(len(head), *(len(line[c]) for line in texts.values())) for c, head in enumerate(block.columns)]
    yield "\n".join(wrapped(block.title))
    start = 0
    while start < len(widths):
        end = start + 1
        while end < len(widths) and first + sum(width + 2 for width in widths[start : end + 1]) <= WIDTH:
            end += 1
        heads = block.columns[start:end]
        rows = [{"method": name} | dict(zip(heads, line[start:end], strict=True)) for name, line in texts.items()]
        yield "\n".join(table_lines(rows))
        start = end
    note = f"* {block.note}" if block.best else block.note
    others = [wrapped(text) for text in _footnotes(block)]
    yield "\n".join([note, *chain(*others)])


def _markdown(block: _Block) -> str:
    lines = [f"**{block.title}**", "", f"| method | {' | '.join(block.columns)} |"]
    lines.append("|---|" + "---|" * len(block.columns))
    for name, line in block.lines.items():
        cells = [f"**{text}**" if (name, column) in block.best else text for column, text in enumerate(line)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    note = f"Bold: {block.note}." if block.best else f"{block.note.capitalize()}."
    others = [f"{text[0].upper()}{text[1:]}." for text in _footnotes(block)]
    return "\n".join([*lines, "", " ".join([note, *others]), ""])
