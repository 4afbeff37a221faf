"""Check that values from JSON are of a field's kind: plain types, unions, lists, objects, `Bounds`.

Kinds are type hints, as dataclasses have them. A text is one printable line, a number is finite.
"""

import math
from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from ...baselines.fields import Bounds
from ...datasets.errors import UserError

Fields = dict[str, Any]  # of an object in a file, or their kinds

LONGEST = 4096  # characters of a text


def checked(values: Mapping[str, Any], kinds: Mapping[str, Any], later_kinds: Mapping[str, Any], name: str) -> Fields:
    """Keep the values that are known, each of its kind; a `UserError` names the first that is not."""
    if missing := [field for field in kinds if field not in values]:
        raise UserError(f"{name} lacks {', '.join(missing)}")
    known = {}
    for table in (kinds, later_kinds):
        for field, kind in table.items():
            if field in values:
                known[field] = value = values[field]
                if not of_kind(kind)(value):
                    raise UserError(f"{name}: {field} is {shown(value)}; expected {_wanted(kind)}")
    return known


def fits(value: Any, kind: Any) -> bool:
    """Check that a value from a JSON file is of a kind, in range; a text is one printable line, a number is finite."""
    return of_kind(kind)(value)


@cache
def of_kind(kind: Any) -> Callable[[Any], bool]:
    """The check of `fits` for one kind, made once."""
    origin = get_origin(kind)
    args = get_args(kind)
    if origin is Annotated:
        inner = of_kind(args[0])
        bounds = args[1]
        return lambda value: inner(value) and bounds.low <= value <= bounds.high
    if origin in (UnionType, Union):
        each = [of_kind(part) for part in args]
        return lambda value: any(part(value) for part in each)
    if origin is list:
        item = of_kind(args[0])
        return lambda value: type(value) is list and all(map(item, value))
    if origin is dict:
        text = of_kind(args[0])
        item = of_kind(args[1])
        return lambda value: type(value) is dict and all(text(k) and item(v) for k, v in value.items())
    if kind is float:
        return lambda value: type(value) in (int, float) and math.isfinite(value)
    if kind is str:
        return lambda value: type(value) is str and len(value) <= LONGEST and value.isprintable()
    if kind is Any:
        return lambda value: True
    return lambda value: type(value) is kind


def _wanted(kind: Any) -> str:
    """A kind in words."""
    origin = get_origin(kind)
    args = get_args(kind)
    if origin is Annotated:
        bounds: Bounds = args[1]
        least = "just above 0" if bounds.low == math.ulp(0.0) else f"{bounds.low:.16g}"
        return f"{_wanted(args[0])}, {least} {'or more' if bounds.high == math.inf else f'to {bounds.high:.16g}'}"
    if origin in (list, dict):
        return f"{'a list' if origin is list else 'an object'} of {_wanted(args[-1])}"
    if origin in (UnionType, Union):
        return " or ".join(map(_wanted, args))
    words = {int: "a whole number", float: "a finite number", str: "a line of text", bool: "true or false"}
    return words.get(kind, "nothing" if kind is NoneType else "values")


def shown(value: Any) -> str:
    """A value for a message, cut short."""
    return repr(str(value)[:80])
