"""The rows of at_random.csv: language models that were moved as far as training did, at random (docs/text.md)."""

import math

import numpy as np

from ...datasets.errors import UserError
from ..runs.layout import PERTURBED
from .rows import Row
from .runs import Run
from .stages import exact_columns, numbers, read_meters
from .statistics import UNKNOWN
from .text import CHANGES, LEVELS, Value, ends

DRAWS = 10
PULLS = ("pull", "pull_beyond_reading")
SIZE = "weight_change"
RELATIVE = 1e-3  # between sums of the same numbers in another order


def moved_at_random(row: Row) -> dict[str, Value]:
    """The columns of a row: means over draws, then over seeds; empty where nothing was moved."""
    seeds = list(draws_of(row).values())
    if not seeds:
        return {}
    found: dict[str, Value] = {"seeds": len(seeds)}
    for name in (*CHANGES, *LEVELS, *PULLS):
        found |= ends(name, [float(np.mean(own[name])) if name in own else UNKNOWN for own in seeds])
    for name in PULLS:
        spreads = [float(np.std(own[name], ddof=1)) for own in seeds if name in own]
        found[f"{name}_spread"] = float(np.mean(spreads)) if spreads else None
    return found


def draws_of(row: Row) -> dict[int, dict[str, list[float]]]:
    """Each column at every draw, of each run that was moved, by its seed."""
    return {run.seed: _draws(run, row) for run in row.runs if PERTURBED in run.files}


def _draws(run: Run, row: Row) -> dict[str, list[float]]:
    """Each column at every draw; a `UserError` for a file of another run."""
    try:
        cells = exact_columns(PERTURBED, run.files[PERTURBED], ("draw",), [(float(draw),) for draw in range(DRAWS)])
        metered = read_meters(run.files["meters.csv"], row.ranked[row.runs.index(run)].steps)
        if cells.keys() - {"draw", *PULLS} != metered.keys() - {"step"}:
            raise ValueError(f"{PERTURBED} has other meters than meters.csv")
        columns = {name: numbers(cells, name).tolist() for name in cells}
        if any(abs(value) > 1.0 for name in PULLS for value in columns.get(name, ())):
            raise ValueError("it holds correlations beyond 1")
        size = float(metered[SIZE][-1])
        for draw, value in enumerate(columns[SIZE]):
            if not math.isclose(value, size, rel_tol=RELATIVE):
                raise ValueError(f"{SIZE} of draw {draw} is {value}, in meters.csv at the end {size}")
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"{PERTURBED} of run {run.id} can't be read ({type(error).__name__}: {error})") from None
    return columns
