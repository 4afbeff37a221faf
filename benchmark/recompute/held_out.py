"""The columns of held-out action error in a leaderboard: over seeds, and less LaMo's, seed by seed."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ...datasets.trajectories import Array
from .rows import Row
from .runs import Run
from .statistics import Estimate, mean_of_seeds

TRIVIAL = ("held_out_mean_action", "held_out_previous_action")  # predictors that learn next to nothing

Errors = Mapping[tuple[int, str], float]  # by seed and subset


def held_out_columns(row: Row, rows: Sequence[Row]) -> dict[str, float]:
    """The columns of a row among all `rows`; NaN unless all its runs were measured, or where there is no reference."""
    measured = all(run.held_out for run in row.runs)
    error = Estimate()
    less = Estimate()
    if measured:
        ours = _errors(row)
        theirs = _reference(row, rows)
        both = [draw for draw in ours if draw in theirs]
        error = mean_of_seeds(_column(list(ours.values())))
        less = mean_of_seeds(_column([ours[draw] - theirs[draw] for draw in both])) if both else less
    columns: dict[str, float] = {}
    for name, found in (("held_out_error", error), ("held_out_less_lamo", less)):
        columns |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    columns["held_out_loss"] = _mean([_last(run, "held_out_loss") for run in row.runs]) if measured else math.nan
    for name in TRIVIAL:
        columns[name] = _mean([run.held_out[-1][name] for run in row.runs]) if measured else math.nan
    return columns


def _reference(row: Row, rows: Sequence[Row]) -> Errors:
    """The errors of LaMo on the same data; none where no, or more than one, such row has the row's language model."""
    first = row.first
    alike = [
        other
        for other in rows
        if (other.first.profile, other.first.source) == (first.profile, first.source)
        and (other.first.dataset_hash, other.first.fraction) == (first.dataset_hash, first.fraction)
        and (other.first.method, other.variant) == ("lamo", "")
        and first.lm in ("", other.first.lm)
        and all(run.held_out for run in other.runs)
    ]
    return _errors(alike[0]) if len(alike) == 1 and alike[0] is not row else {}


def _errors(row: Row) -> Errors:
    return {(run.seed, run.subset_hash): _last(run, "held_out_error") for run in row.runs}


def _last(run: Run, name: str) -> float:
    """The mean over the evaluations that the run's score is of."""
    return _mean([each.get(name, math.nan) for each in run.held_out[-run.last :]])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _column(values: Sequence[float]) -> Array:
    return np.asarray(values)[:, None]
