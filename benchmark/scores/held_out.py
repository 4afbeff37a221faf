"""Held-out action error of leaderboard rows: its mean over seeds, and its difference from the reference's, paired.

The intervals are over seeds and subsets. The held-out steps are few and nearly the same for all runs
(`datasets/held_out.py`): on other steps every method would have another error.

Shapes: N seeds, V evaluations.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...datasets.trajectories import Array
from .run import FinishedRun
from .statistics import paired_differences, summarise_all

REFERENCE = "lamo"  # the method that others are compared with
ENDS = ("", "_low", "_high")  # of a number's columns: itself and its 95 % interval
# Columns of the leaderboard and their format as CSV, in order: the error, less the reference's, the loss, and the
# errors of predictors that learn next to nothing. NaN: not measured, or nothing to compare with.
COLUMNS = {
    **{f"held_out_error{end}": ".5f" for end in ENDS},
    **{f"held_out_less_{REFERENCE}{end}": ".5f" for end in ENDS},
    **dict.fromkeys(("held_out_loss", "held_out_mean_action", "held_out_previous_action"), ".5f"),
}
_UNKNOWN = dict.fromkeys(COLUMNS, math.nan)

Row = Sequence[FinishedRun]  # one a seed


def held_out_columns(rows: Sequence[Row], variants: Sequence[str]) -> list[dict[str, float]]:
    """`COLUMNS` of each row; a row has none unless it was measured in all its runs.

    `variants` are the rows' own. The reference is the row of `REFERENCE` without a variant on the same data and profile
    that has the same language model; for a method without one, where there is just one such row.
    """
    measured = [place for place, row in enumerate(rows) if all(run.held_out for run in row)]
    errors = {place: errors_of(rows[place]) for place in measured}
    found = dict(zip(measured, summarise_all([errors[place][:, None] for place in measured]), strict=True))
    columns = [dict(_UNKNOWN) for _ in rows]
    for place, summary in found.items():
        columns[place] |= _ends("held_out_error", (summary.mean, summary.ci_low, summary.ci_high)) | _others(
            rows[place]
        )
    references: dict[tuple[Any, ...], list[int]] = {}
    for place in measured:
        if rows[place][0].config.method == REFERENCE and not variants[place]:
            references.setdefault(_setting(rows[place]), []).append(place)
    pairs = {}
    for place in measured:
        theirs = _reference(rows, place, references.get(_setting(rows[place]), []))
        if theirs is not None and (both := _shared(rows[place], rows[theirs])):
            ours, others = np.asarray(both).T
            pairs[place] = (errors[place][ours, None], errors[theirs][others, None])
    for place, less in zip(pairs, paired_differences(list(pairs.values())), strict=True):
        columns[place] |= _ends(f"held_out_less_{REFERENCE}", (less.mean, less.ci_low, less.ci_high))
    return columns


def errors_of(row: Row) -> Array:
    """The error (N,) of each run, over the evaluations that its score is of; all must have been measured."""
    return np.asarray([run.held_out.headline(run.config.headline_evaluations) for run in row if run.held_out])


def held_out_curves(row: Row) -> tuple[Array, Array] | None:
    """Steps (V,) and errors (N, V) of the evaluations in which all runs of a row were measured; None if in none."""
    measured = [run.held_out for run in row if run.held_out]
    if len(measured) < len(row):
        return None
    common = min(len(each.steps) for each in measured)  # a run that was begun before it was measured has fewer
    return measured[0].steps[-common:], np.stack([each.errors[-common:] for each in measured])


def _others(row: Row) -> dict[str, float]:
    measured = [run.held_out for run in row if run.held_out]
    losses = [each.losses[-run.config.headline_evaluations :].mean() for each, run in zip(measured, row, strict=True)]
    return {
        "held_out_loss": float(np.mean(losses)),
        "held_out_mean_action": float(np.mean([each.mean_action for each in measured])),
        "held_out_previous_action": float(np.mean([each.previous_action for each in measured])),
    }


def _setting(row: Row) -> tuple[Any, ...]:
    """Return what rows that are compared have in common."""
    return row[0].config.profile, row[0].data.source, row[0].data.dataset_hash, row[0].data.fraction


def _reference(rows: Sequence[Row], place: int, references: Sequence[int]) -> int | None:
    """The place of the reference of the row at `place`, if there is just one; None for the reference itself."""
    model = rows[place][0].config.lm
    same = [other for other in references if model in ("", rows[other][0].config.lm)]
    return same[0] if len(same) == 1 and same[0] != place else None


def _shared(row: Row, other: Row) -> list[tuple[int, int]]:
    """The places in both rows of the runs that have seed and subset in common."""
    places = {(run.config.seed, run.data.subset_hash): place for place, run in enumerate(other)}
    draws = [(run.config.seed, run.data.subset_hash) for run in row]
    return [(place, places[draw]) for place, draw in enumerate(draws) if draw in places]


def _ends(name: str, values: Sequence[float]) -> dict[str, float]:
    return dict(zip((f"{name}{end}" for end in ENDS), values, strict=True))
