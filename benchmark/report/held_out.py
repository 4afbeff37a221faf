"""Held-out action error on a data set's page: each method's, how far it is from LaMo's, and that of two predictors."""

import math
from dataclasses import dataclass

import numpy as np

from ..scores.held_out import REFERENCE
from ..scores.held_out_table import TRIVIAL
from .contents import Row, Setting
from .marks import SPACE, signed

DIGITS = 4  # after the point: errors are small


@dataclass(frozen=True)
class Line:
    """A line of the table: a method, or a predictor where there is none."""

    title: str
    method: str
    cells: list[str]  # one for each share of the data, empty where nothing was measured


def held_out_lines(setting: Setting) -> list[Line]:
    """The table's lines, those of the predictors last; none where nothing was measured."""
    lines = [Line(row.title, row.method, [_cell(cell) for cell in cells]) for row, cells in setting.cells(setting.rows)]
    lines = [line for line in lines if any(line.cells)]
    if not lines:
        return []
    known = [predictor_errors(setting, fraction) for fraction in setting.fractions]
    predictors = [
        Line(name, "", [signed(errors[name], DIGITS) if name in errors else "" for errors in known])
        for name in TRIVIAL.values()
    ]
    return [*lines, *predictors]


def predictor_errors(setting: Setting, fraction: float) -> dict[str, float]:
    """The errors of the predictors at a share of the data, means over its rows; none where they are not known."""
    found = {}
    for column, name in TRIVIAL.items():
        values = [float(row.values[column]) for row in setting.at(fraction)]
        known = [value for value in values if math.isfinite(value)]
        if known:
            found[name] = float(np.mean(known))
    return found


def _cell(row: Row | None) -> str:
    if row is None or not math.isfinite(row.values["held_out_error"]):
        return ""
    ends = ("", "_low", "_high")
    error, low, high = (signed(float(row.values[f"held_out_error{end}"]), DIGITS) for end in ends)
    text = f"{error} [{low},{SPACE}{high}]" if row.values["seeds"] > 1 else error
    less = [float(row.values[f"held_out_less_{REFERENCE}{end}"]) for end in ends]
    if not math.isfinite(less[0]):
        return text
    difference, *interval = (f"{value:+.{DIGITS}f}".replace("-", "\N{MINUS SIGN}") for value in less)
    return f"{text}; {difference} [{f',{SPACE}'.join(interval)}]" if math.isfinite(less[1]) else f"{text}; {difference}"
