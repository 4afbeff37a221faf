"""`lamobench power`: what finished runs could have seen, and how many seeds would see more."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import arg

from ...datasets.counts import count
from ...datasets.errors import UserError, choose
from ..runs.methods import METHODS
from ..terminal import cell, print_rows
from .leaderboard import tell_left_out
from .options import METHODS_BY_TRACK, RUNS

FEW = 3  # pairs whose spread is hardly known
READING = """could see: a true difference of that size would be told from zero in 80 % of experiments of so many seeds,
at the 5 % level. In brackets: the same at both ends of the 95 % interval of the spread over seeds"""


@dataclass(frozen=True)
class Power:
    """Say which differences from another method finished runs could have seen, and how many seeds would be needed to
    see a given one. It trains nothing."""

    runs: tuple[Path, ...] = (RUNS,)
    """Folders of runs; those inside them count too."""
    effect: float = 5.0
    """True difference that is to be seen, in points of score."""
    method: Annotated[str, arg(help=f"Method that is compared with every other one. {METHODS_BY_TRACK}.")] = "lamo"
    json: bool = False
    """Print the rows as JSON instead of a table."""

    def run(self) -> None:
        """Print a row for each comparison."""
        from ...datasets.storage import check_folder
        from ..scores.collect import collect
        from ..scores.labels import with_named_model
        from ..scores.standing_tables import power_rows
        from ..scores.standings import comparisons, pools

        if not (math.isfinite(self.effect) and self.effect > 0):
            raise UserError(f"effect is {self.effect:g}; give a difference above 0 in points of score, e.g. --effect 5")
        choose("method", self.method, list(METHODS))
        for root in self.runs:
            check_folder(root)
        runs = collect(*self.runs)
        rows = power_rows(comparisons(pools(runs), self.method), self.effect)
        if not rows:
            place = ", ".join(map(str, self.runs))
            raise UserError(
                f"no finished runs of '{self.method}' and of another method on the same data in {place}; "
                "name another with --method, or train both"
            )
        named = with_named_model((row["method"], row["lm"]) for row in rows)
        named |= with_named_model((row["other"], row["other_lm"]) for row in rows)
        print_rows(rows if self.json else [_shown(row, named) for row in rows], self.json)
        if not self.json:
            print("\n".join(["", READING, *_warnings(rows)]))
        tell_left_out(runs)


def _shown(row: Mapping[str, Any], named: Collection[str]) -> dict[str, Any]:
    """A row of `power_rows` as the table has it; of the methods in `named`, the language model is named."""
    from ..scores.labels import label

    ours = label(row["method"], row["lm"] if row["method"] in named else "")
    other = label(row["other"], row["other_lm"] if row["other"] in named else "")
    data = row["datasets"] if row["tasks"] == 1 else count(row["tasks"], "data set")
    return {
        "data": f"{data}, {100 * row['fraction']:g} %",
        "comparison": f"{ours} against {other}",
        "pairs": row["pairs"],
        "difference": _with_ends(row, "difference", "+.1f", "[{}, {}]"),
        "could see": _with_ends(row, "detectable", ".1f", "({} to {})"),
        f"seeds to see {row['effect']:g}": _with_ends(row, "pairs_needed", ".0f", "({} to {})"),
    }


def _with_ends(row: Mapping[str, Any], name: str, style: str, ends: str) -> str:
    """A number and the ends of its interval, as far as they are known."""
    if row[name] is None:
        return cell(None)
    value = format(row[name], style)
    both = (row[f"{name}_low"], row[f"{name}_high"])
    return value if None in both else f"{value} {ends.format(*(format(end, style) for end in both))}"


def _warnings(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines on rows of which little or nothing can be said."""
    lines = []
    if any(1 < row["pairs"] <= FEW for row in rows):
        lines.append(f"of 2 or {FEW} pairs the spread is hardly known: plan with the upper end, or train more first")
    if any(row["detectable"] is None for row in rows):
        lines.append("-: fewer than two pairs, or pairs that all differ alike, say nothing of what could be seen")
    return lines
