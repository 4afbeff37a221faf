"""Convert arrays of files to the types that `Trajectories` has; refuse conversions that would lose something.

`place` names the file and the array in the `UserError`. Whether floats are finite is left to `Trajectories.check`,
which reads all of them anyway.
"""

import numpy as np

from .errors import UserError
from .trajectories import Array

NUMBERS = "biuf"  # kinds of NumPy types; complex numbers, texts, dates and structures are none


def check_numbers(dtype: "np.dtype[np.generic]", place: str) -> None:
    """Refuse, with a `UserError`, a type that is not of real numbers, before the array is read."""
    if dtype.kind not in NUMBERS:
        raise UserError(f"{place} holds {str(dtype)[:80]}, expected real numbers")


def to_floats(values: Array, place: str) -> Array:
    """The same shape in float32; what is too large for that becomes infinite. Not copied if it is float32 already."""
    check_numbers(values.dtype, place)
    with np.errstate(over="ignore"):
        floats: Array = values.astype(np.float32, copy=False)
    return floats


def to_flags(values: Array, place: str) -> Array:
    """The same shape in bool, from bool or from numbers that are exactly 0 or 1. Not copied if it is bool already."""
    check_numbers(values.dtype, place)
    numbers = values.view(np.uint8) if values.dtype == bool else values  # a file can hold any byte as bool
    wrong = (numbers != 0) & (numbers != 1)
    if wrong.any():
        raise UserError(f"{place} has the value {numbers[wrong][0]:g}, expected 0 or 1")
    return values.astype(bool, copy=False)


def to_integers(values: Array, dtype: type[np.integer], place: str) -> Array:
    """The same shape in an integer type, from numbers that it holds exactly."""
    check_numbers(values.dtype, place)
    with np.errstate(invalid="ignore"):
        integers: Array = values.astype(dtype, copy=False)
    if integers is not values and (wrong := integers != values).any():
        raise UserError(f"{place} has the value {values[wrong][0]:g}, expected whole numbers that fit {dtype.__name__}")
    return integers
