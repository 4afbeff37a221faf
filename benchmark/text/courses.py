"""Courses of fine-tuning: the score and the meters of degeneration at each evaluation, the first before any learning.

Shapes: N seeds, V evaluations.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...datasets.trajectories import Array
from ..scores.measured import columns
from .degeneration import FinishedArm
from .measures import METERS, SHARE, bounds_of, metered

SCORE = "score"  # the mean share of points on the games that are learned from


@dataclass(frozen=True)
class Course:
    """The course of an arm."""

    steps: Array  # (V,) of training
    values: Mapping[str, Array]  # (N, V) of `SCORE` and of each of `METERS`; NaN where it was not measured


def course_of(arm: FinishedArm) -> Course:
    """An arm's course; a `UserError` if a file of it is damaged."""
    runs = arm.group.runs
    steps = runs[0].result.curve_steps
    found = [metered(run) for run in runs]
    unknown = np.full(len(steps), math.nan)
    values = {name: np.stack([own.get(name, unknown) for own in found]) for name in METERS}
    return Course(steps, {SCORE: arm.group.curves / 100.0} | values)


def course_rows(every: Sequence[FinishedArm]) -> list[dict[str, Any]]:
    """A row for each arm and evaluation: means over seeds, with their intervals."""
    return [arm.place | row for arm in every for row in _rows(course_of(arm))]


def _rows(course: Course) -> list[dict[str, Any]]:
    found = []
    for place, step in enumerate(course.steps.tolist()):
        row: dict[str, Any] = {"step": int(step)}
        for name, values in course.values.items():
            row |= columns(name, values[:, place].tolist(), SHARE if name == SCORE else bounds_of(name))
        found.append(row)
    return found
