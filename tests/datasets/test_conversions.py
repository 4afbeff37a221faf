"""Arrays of files as the types that `Trajectories` has."""

import warnings

import numpy as np
import pytest

from lamobench.datasets.conversions import check_numbers, to_flags, to_floats, to_integers
from lamobench.datasets.errors import UserError


@pytest.mark.parametrize("dtype", ["?", "i1", "<u8", ">f4", "f2", "f8"])
def test_real_numbers_of_any_type_become_float32(dtype: str) -> None:
    floats = to_floats(np.array([0, 1, 1], dtype), "rewards")
    np.testing.assert_array_equal(floats, np.array([0, 1, 1], np.float32), strict=True)


@pytest.mark.parametrize("dtype", ["c8", "c16", "S3", "U3", "O", "M8[s]", "m8[s]", [("x", "f4")], "V4"])
def test_anything_else_is_no_number(dtype: object) -> None:
    values = np.zeros(2, dtype)  # type: ignore[call-overload]
    for convert in (to_floats, to_flags, lambda v, place: to_integers(v, np.int64, place)):
        with pytest.raises(UserError, match=r"rewards holds .*, expected real numbers"):
            convert(values, "rewards")
    with pytest.raises(UserError, match="rewards holds"):
        check_numbers(values.dtype, "rewards")


def test_what_float32_cannot_hold_is_infinite_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert to_floats(np.array([1e39, -1e39, 1.0]), "rewards").tolist() == [np.inf, -np.inf, 1.0]


@pytest.mark.parametrize("dtype", ["?", "i1", "u8", ">f4", "f8"])
def test_flags_are_ones_and_zeros_of_any_type(dtype: str) -> None:
    flags = to_flags(np.array([0, 1, 0], dtype), "terminals")
    np.testing.assert_array_equal(flags, [False, True, False], strict=True)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (np.array([0, np.nan]), "nan"),
        (np.array([0, 2]), "2"),
        (np.array([0, -1]), "-1"),
        (np.array([0, 0.5]), "0.5"),
        (np.array([0, 2], np.uint8).view(bool), "2"),
    ],
)
def test_other_values_are_no_flags(values: np.ndarray, named: str) -> None:
    with pytest.raises(UserError, match=f"terminals has the value {named}, expected 0 or 1"):
        to_flags(values, "terminals")


def test_integers_are_whole_numbers_that_fit() -> None:
    for dtype in ("?", "u1", "f8"):
        assert to_integers(np.array([0, 1], dtype), np.int64, "actions").dtype == np.int64
    assert to_integers(np.array([0.0, 255.0]), np.uint8, "observations").tolist() == [0, 255]
    for values in (np.array([0.5]), np.array([np.nan]), np.array([1e300]), np.array([2**63], np.uint64)):
        with pytest.raises(UserError, match=r"actions has the value .*, expected whole numbers that fit int64"):
            to_integers(values, np.int64, "actions")
    for value in (256, -1):
        with pytest.raises(UserError, match="expected whole numbers that fit uint8"):
            to_integers(np.array([value]), np.uint8, "observations")


def test_what_is_right_is_not_copied() -> None:
    floats = np.zeros(3, np.float32)
    flags = np.zeros(3, bool)
    numbers = np.zeros(3, np.int64)
    assert to_floats(floats, "") is floats
    assert to_flags(flags, "") is flags
    assert to_integers(numbers, np.int64, "") is numbers
