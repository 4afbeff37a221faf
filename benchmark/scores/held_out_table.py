"""Held-out action error as text: for the terminal and as Markdown, a table for each data set where it was measured."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from ..terminal import table_lines, wrapped
from .held_out import REFERENCE
from .labels import label, method_order, with_named_model

LESS = f"held_out_less_{REFERENCE}"
BESIDE = 2  # shares of the data in one table: as many as `WIDTH` has room for
TRIVIAL = {
    "held_out_mean_action": "mean action",
    "held_out_previous_action": "previous action",
}  # predictors, by column
ABOUT = (
    "{dataset} ({source} data {content}, {profile} profile): held-out action error, the mean squared error on episodes "
    "that a run does not learn from (of discrete actions the share that is another); lower is better"
)


def held_out_tables(frame: pd.DataFrame) -> Iterator[str]:
    """The tables for a terminal of 100 columns."""
    for title, lines in _tables(frame):
        yield "\n".join([*wrapped(title), *([""] if title else []), *table_lines(lines)])


def held_out_markdown(frame: pd.DataFrame) -> str:
    """The same tables in Markdown."""
    parts = []
    for title, lines in _tables(frame):
        head = "| " + " | ".join(lines[0]) + " |"
        titled = [f"**{title}**", ""] if title else []
        parts.append("\n".join([*titled, head, "|" + "---|" * len(lines[0]), *map(_markdown_line, lines), ""]))
    return "\n".join(parts)


def _markdown_line(line: Mapping[str, str]) -> str:
    return "| " + " | ".join(line.values()) + " |"


def _tables(frame: pd.DataFrame) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Title and lines, by column, of each table: a line a method and predictor, a column a share of the data."""
    measured = frame[frame["held_out_error"].notna()]
    for (dataset, source, profile, content), rows in measured.groupby(["dataset", "source", "profile", "dataset_hash"]):
        records = sorted(rows.to_dict("records"), key=lambda r: (method_order(r["method"]), r["lm"], r["variant"]))
        named = with_named_model((row["method"], row["lm"]) for row in records)
        fractions = sorted(set(rows["fraction"]))
        heads = {fraction: f"{100 * fraction:g} %" for fraction in fractions}
        lines: dict[str, dict[str, str]] = {}
        for row in records:
            name = label(row["method"], row["lm"] if row["method"] in named else "", row["variant"])
            lines.setdefault(name, {})[heads[row["fraction"]]] = _cell(row)
        for column, name in TRIVIAL.items():
            means = rows.groupby("fraction")[column].mean()
            lines[name] = {heads[fraction]: f"{mean:.4f}" for fraction, mean in means.items()}
        about = {"dataset": dataset, "source": source, "content": content[:8], "profile": profile}
        title = ABOUT.format(**about) + _about_brackets(records)
        for start in range(0, len(fractions), BESIDE):
            shown = [heads[fraction] for fraction in fractions[start : start + BESIDE]]
            yield title, [{"method": name} | {h: cells.get(h, "") for h in shown} for name, cells in lines.items()]
            title = ""


def _about_brackets(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say what stands in brackets, if anything does."""
    if all(math.isnan(row[LESS]) for row in rows):
        return ""
    interval = "" if all(math.isnan(row[f"{LESS}_low"]) for row in rows) else ", with 95 % interval"
    return f". In brackets: less {label(REFERENCE)}'s, seed by seed{interval}"


def _cell(row: Mapping[str, Any]) -> str:
    """The error, and how it compares with the reference's."""
    less, low, high = (row[f"{LESS}{end}"] for end in ("", "_low", "_high"))
    text = f"{row['held_out_error']:.4f}"
    if math.isnan(less):
        return text
    return f"{text} ({less:+.4f})" if math.isnan(low) else f"{text} ({less:+.4f} [{low:+.4f}, {high:+.4f}])"
