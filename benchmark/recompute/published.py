"""The columns of published scores in a leaderboard, from `results/reported/` (docs/protocol.md)."""

import csv
import functools
from collections.abc import Mapping
from pathlib import Path

from ...datasets.entries import DATASETS, Minari, Recorded
from .runs import Run

REPORTED = Path(__file__).resolve().parents[2] / "results" / "reported"
FILES = ("lamo.csv", "corl.csv", "lamo_rerun.csv", "lamo_logs.csv")
COLUMNS = {"lamo": "paper", "corl": "corl", "lamo-rerun": "rerun"}  # by the paper's name in the files

Printed = Mapping[str, str]  # a row of the files


def published_columns(run: Run) -> dict[str, str | float | None]:
    """Published scores that may stand beside a row of such runs, and in `comparison` why others may not."""
    scores = _scores_of(run.dataset, run.fraction, run.method)
    columns: dict[str, str | float | None] = {
        f"{name}_{part}": None for name in COLUMNS.values() for part in ("score", "std")
    }
    reasons = [_obstacles(run, printed) for printed in scores]
    for printed, obstacles in zip(scores, reasons, strict=True):
        if not obstacles:
            name = COLUMNS[printed["paper"]]
            columns[f"{name}_score"] = float(printed["score"])
            columns[f"{name}_std"] = float(printed["std"]) if printed["std"] else None
    if not scores:
        comparison = "nothing published"
    elif not all(reasons):
        comparison = "comparable"
    else:
        usual = [own for printed, own in zip(scores, reasons, strict=True) if not printed["not_comparable"]] or reasons
        comparison = "not comparable: " + "; ".join(dict.fromkeys(reason for own in usual for reason in own))
    return columns | {"comparison": comparison}


@functools.cache
def _printed() -> tuple[Printed, ...]:
    rows: list[Printed] = []
    for name in FILES:
        with (REPORTED / name).open(encoding="utf-8", newline="") as file:
            rows += csv.DictReader(file)
    return tuple(rows)


@functools.cache
def _scores_of(dataset: str, fraction: float, method: str) -> tuple[Printed, ...]:
    """The printed scores, each once: of several tables that repeat one, the first row that has a spread."""
    found: dict[tuple[str, str, str], Printed] = {}
    for row in _printed():
        if (row["dataset"], float(row["fraction"]), row["method"]) == (dataset, fraction, method):
            at = (row["paper"], row["variant"], row["score"])
            if at not in found or (row["std"] and not found[at]["std"]):
                found[at] = row
    return tuple(row for row in found.values() if row["paper"] in COLUMNS)


def _obstacles(run: Run, printed: Printed) -> list[str]:
    """Reasons why the run's score may not be set beside a printed one, in their fixed order."""
    reasons = [printed["not_comparable"]] if printed["not_comparable"] else []
    sources = DATASETS[run.dataset].sources if run.dataset in DATASETS else ()
    public = [source.name for source in sources if not isinstance(source, Recorded | Minari)]
    if public and run.source != public[-1]:
        reasons.append(f"source {run.source} instead of {public[-1]}")
    if run.profile != "paper":
        reasons.append(f"profile {run.profile} instead of paper")
    if printed["lm"] and run.lm != printed["lm"]:
        reasons.append(f"language model {run.lm or 'none'} instead of {printed['lm']}")
    return reasons
