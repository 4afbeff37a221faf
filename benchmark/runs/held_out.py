"""Held-out action error as `metrics.jsonl` has it, in the rows of evaluations. Older runs have none.

For continuous actions it is the mean squared error, averaged over their dimensions; for discrete actions the share
that differs from the data's. Shapes: V evaluations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...datasets.errors import UserError
from ...datasets.json_files import parse_json
from ...datasets.trajectories import Array
from .records import check_rows

ERROR = "held_out_error"  # of the policy's actions
LOSS = "held_out_loss"  # of predicting actions, in its own unit, where a method does that
MEAN_ACTION = "held_out_mean_action"  # the error of the subset's mean action, or its commonest
PREVIOUS_ACTION = "held_out_previous_action"  # the error of doing again what was done last


@dataclass(frozen=True)
class HeldOut:
    """A run's held-out action error over its training, and that of predictors that learn next to nothing."""

    steps: Array  # (V,) int64
    errors: Array  # (V,)
    losses: Array  # (V,), NaN where a method has no such loss
    mean_action: float
    previous_action: float

    def headline(self, evaluations: int) -> float:
        """The mean error of the last `evaluations`, those of the run's score."""
        return float(self.errors[-evaluations:].mean())


def held_out_in(content: bytes, last: int) -> HeldOut | None:
    """Read the held-out error from the content of the `metrics.jsonl` of a run of `last` steps; None if there is none.

    A `UserError` for values that are not finite numbers.
    """
    marked = f'"{ERROR}"'.encode()
    try:
        rows = [parse_json(line.decode("utf-8")) for line in content.splitlines() if marked in line]
    except ValueError as error:
        raise UserError(f"metrics.jsonl can't be read ({error})") from None
    return _held_out(check_rows(rows, last, "metrics.jsonl")) if rows else None


def _held_out(rows: Sequence[Mapping[str, Any]]) -> HeldOut:
    if lacking := [name for name in (ERROR, MEAN_ACTION, PREVIOUS_ACTION) if any(name not in row for row in rows)]:
        raise UserError(f"metrics.jsonl has rows without {lacking[0]}")
    return HeldOut(
        np.asarray([row["step"] for row in rows], np.int64),
        np.asarray([row[ERROR] for row in rows], np.float64),
        np.asarray([row.get(LOSS, np.nan) for row in rows], np.float64),
        float(rows[-1][MEAN_ACTION]),
        float(rows[-1][PREVIOUS_ACTION]),
    )
