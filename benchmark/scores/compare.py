"""Scores of ours beside others': published ones, or those of another leaderboard."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ...datasets.counts import count
from ...datasets.csv_text import cell_text
from ...datasets.errors import UserError
from ..runs.tracks import BEFORE_TRACKS, TRACKS
from .collect import collect, left_out
from .comparable import obstacles, published_for, remarks
from .leaderboard import COLUMNS, KEYS, leaderboard
from .power import Spread
from .reported import Published, papers
from .statistics import known

OURS = ("dataset", "source", "fraction", "method", "lm", "profile", "seeds")  # what a comparison has of our row
NEEDED = (  # columns of a leaderboard that is compared
    *(*KEYS, "dataset_hash", "subset_hash", "seeds", "score_mean", "score_std", "ci_low", "ci_high", "train_steps"),
    *("target_return", "env_id", "simulator", "version"),
)
BARS = ("dataset_hash", "env_id", "target_return")  # where two leaderboards differ in these, scores mean another thing
# Columns of a comparison and their format as CSV, in order.
FORMATS = {
    **dict.fromkeys(("dataset", "source"), "s"),
    "fraction": "g",
    **dict.fromkeys(("method", "lm", "profile", "our_variant"), "s"),
    "seeds": "d",
    **dict.fromkeys(("score", "ci_low", "ci_high"), ".3f"),
    **dict.fromkeys(("by", "table", "variant"), "s"),
    **dict.fromkeys(("published", "spread"), "g"),
    **dict.fromkeys(("delta", "detectable"), ".3f"),
    "lies": "s",
    "comparable": "",
    **dict.fromkeys(("why_not", "note"), "s"),
}
DIFFERENCES = ("subset_hash", "seeds", "train_steps", "simulator", "version")  # worth a word, no bar
LIES = {  # places of a published score, in words
    "inside": "inside our interval",
    "above": "above our interval",
    "below": "below our interval",
    "unknown": "beside a single seed, which has no interval",
}


def read_board(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """A leaderboard: of the runs in a folder, or a file that `lamobench leaderboard` has written.

    And a line for each run of the folder that it leaves out.

    Raises a `UserError` if it is neither.
    """
    if path.suffix == ".csv":
        return _read_csv(path), []
    if path.is_file():
        raise UserError(f"'{path}' is neither a folder of runs nor a leaderboard.csv; give one of them")
    runs = collect(path)
    return leaderboard(runs), left_out(runs)


def compare_published(board: pd.DataFrame) -> list[dict[str, Any]]:
    """One row for each score of ours and each published one of the same data set, fraction and method.

    Ours: `OURS`, `our_variant` (a leaderboard's `variant`), `score`, `ci_low` and `ci_high`. Theirs: `by`, `table`,
    `variant`, `published`, `spread`. Then `delta`, ours less theirs; `detectable`, the true difference that our
    interval could have seen (`power.py`); `lies`, where theirs is: "inside" our interval, "above" or "below" it, or
    "unknown", with one seed; `comparable`; `why_not`, what stands in the way, and `note`, what to know of it all the
    same. Numbers that are unknown are None. Rows whose scores may not be compared come last.
    """
    rows = [_beside(row, published) for row in board.to_dict("records") for published in published_for(row)]
    return sorted(rows, key=lambda row: not row["comparable"])


def compare_boards(board: pd.DataFrame, other: pd.DataFrame, name: str) -> list[dict[str, Any]]:
    """The same with another leaderboard in place of what is published: rows that agree in `KEYS` stand side by side.

    They are comparable where data, environment and target return are the same; other subsets, seeds, steps or versions
    are a note. `name` stands in the column `by`.
    """
    theirs = {_key(row): row for row in other.to_dict("records")}
    pairs = [(row, theirs.get(_key(row))) for row in board.to_dict("records")]
    rows = [_beside_own(row, match, name) for row, match in pairs if match is not None]
    return sorted(rows, key=lambda row: not row["comparable"])


def nothing_published(board: pd.DataFrame) -> list[str]:
    """The rows that no published score belongs to, as text: method, share and data set, or task."""
    rows = [row for row in board.to_dict("records") if not published_for(row)]
    return [_named(row) for row in rows]


def _named(row: Mapping[str, Any]) -> str:
    """A row in words; outside the offline track there are no shares of data."""
    share = f"{100 * row['fraction']:g} % of " if row.get("track", BEFORE_TRACKS) == BEFORE_TRACKS else ""
    return f"{row['method']} on {share}{row['dataset']}"


def never_comparable(board: pd.DataFrame) -> list[str]:
    """Lines on what is published of the board's tracks and is never set beside a row."""
    names = sorted(set(board["track"])) if "track" in board else []
    known = [track for name in names if (track := TRACKS.known(name)) is not None]
    return [track.published for track in known if track.published]


def summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """A sentence on the number of comparable scores inside, above and below our intervals."""
    found = {place: sum(row["lies"] == place for row in rows if row["comparable"]) for place in LIES}
    places = ", ".join(f"{number} {LIES[place]}" for place, number in found.items() if number)
    return f"{count(sum(found.values()), 'comparable score')}; of theirs, {places}"


def why_not(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Each reason why rows are not comparable, with the number of such rows, the most frequent first."""
    counts: dict[str, int] = {}
    for row in rows:
        for reason in row["why_not"].split("; ") if not row["comparable"] else []:
            counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def remark_letters(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """A letter for each `why_not` and `note` of the rows, in the order in which they occur: tables print it instead."""
    texts = dict.fromkeys(text for row in rows for text in remarks_on(row))
    return {text: _letter(number) for number, text in enumerate(texts)}


def remarks_on(row: Mapping[str, Any]) -> list[str]:
    """The texts on a row: its `why_not` and its `note`, where it has them."""
    return [text for text in (row["why_not"], row["note"]) if text]


def _letter(number: int) -> str:
    """a to z, then aa, ab and so on."""
    first, last = divmod(number, 26)
    return (_letter(first - 1) if first else "") + chr(ord("a") + last)


def _key(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(format(row[key], COLUMNS[key]) for key in KEYS)  # fractions as files have them, six digits


def _beside(row: Mapping[str, Any], published: Published) -> dict[str, Any]:
    reasons = obstacles(row, published)
    return _ours(row) | _theirs(
        row,
        author=papers()[published.paper].title,
        table=published.tables,
        variant=published.variant,
        score=published.score,
        spread=published.std,
        reasons=reasons,
        note="; ".join(remarks(row, published)),
    )


def _beside_own(row: Mapping[str, Any], other: Mapping[str, Any], name: str) -> dict[str, Any]:
    def differences(columns: Sequence[str]) -> list[str]:
        differing = [column for column in columns if row[column] != other[column]]
        return [f"{column} {_short(row[column])}, theirs {_short(other[column])}" for column in differing]

    return _ours(row) | _theirs(
        row,
        author=name,
        table="",
        variant="",
        score=float(other["score_mean"]),
        spread=float(other["score_std"]),
        reasons=differences(BARS),
        note="; ".join(differences(DIFFERENCES)),
    )


def _ours(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = {column: row[column] for column in OURS} | {"our_variant": row.get("variant", "")}
    numbers = {"score": row["score_mean"], "ci_low": row["ci_low"], "ci_high": row["ci_high"]}
    return {name: shown[name] for name in FORMATS if name in shown} | {n: known(value) for n, value in numbers.items()}


def _theirs(
    row: Mapping[str, Any],
    *,
    author: str,
    table: str,
    variant: str,
    score: float,
    spread: float,
    reasons: Sequence[str],
    note: str,
) -> dict[str, Any]:
    return {
        "by": author,
        "table": table,
        "variant": variant,
        "published": score,
        "spread": known(spread),
        "delta": float(row["score_mean"]) - score,
        "detectable": known(_detectable(row)),
        "lies": _place(score, row["ci_low"], row["ci_high"]),
        "comparable": not reasons,
        "why_not": "; ".join(reasons),
        "note": note,
    }


def _detectable(row: Mapping[str, Any]) -> float:
    """The distance from our true score that puts another outside our interval in most experiments (`power.py`).

    NaN for a row that is marked because seeds lie far below the others: its interval is another one.
    """
    if row.get("seeds_below_gap", 0):
        return math.nan
    return Spread((row["score_std"],), (row["seeds"],)).detectable


def _place(score: float, low: float, high: float) -> str:
    if math.isnan(low) or math.isnan(high):
        return "unknown"
    return "above" if score > high else "below" if score < low else "inside"


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value[:8] if len(value) == 64 else value  # of a hash the beginning
    return f"{value:g}"


def _number(text: str) -> float:
    return float(text or "nan")


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, keep_default_na=False, dtype=str).apply(lambda column: column.map(cell_text))
    except FileNotFoundError as error:
        raise UserError(f"there is no leaderboard '{path}'; write one with `lamobench leaderboard`") from error
    except (OSError, ValueError) as error:  # pandas' errors of parsing are ValueErrors
        hint = "write it anew with `lamobench leaderboard`"
        raise UserError(f"leaderboard '{path}' can't be read ({error}); {hint}") from error
    if "variant" not in frame:  # files from before rows could be variants
        frame["variant"] = ""
    missing = [column for column in NEEDED if column not in frame]
    if missing or frame.empty:
        lacks = f"lacks {', '.join(missing)}" if missing else "has no rows"
        raise UserError(f"'{path}' is no leaderboard: it {lacks}; write one with `lamobench leaderboard`")
    numbers = {column: int if style == "d" else _number for column, style in COLUMNS.items() if style != "s"}
    try:
        return frame.assign(**{column: frame[column].map(read) for column, read in numbers.items() if column in frame})
    except ValueError as error:
        raise UserError(f"leaderboard '{path}' has text where numbers belong ({error}); write it anew") from error
