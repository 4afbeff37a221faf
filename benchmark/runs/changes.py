"""A config dataclass with some fields changed, each to a value that fits its type: for users and for tables."""

import json
import math
from dataclasses import replace
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from ...baselines.fields import Bounds
from ...datasets.errors import UserError, choose


def changed(config: Any, changes: dict[str, Any], kind: str) -> Any:
    """A copy of a config dataclass with some fields changed; a `UserError` for a name or a value that does not fit.

    A value may be text, as the command line has it. What fits is what the field's type says (`baselines/fields.py`).
    """
    types = get_type_hints(type(config), include_extras=True)
    typed = {}
    for name, value in changes.items():
        field_type = types[choose(kind, name, list(types))]
        given = value if field_type is str else _parsed(value)
        try:
            typed[name] = _fitted(name, given, field_type)
        except TypeError:
            example = json.dumps(getattr(config, name))
            raise UserError(f"{value!r} is no value for {name}; give one like {example}") from None
    return replace(config, **typed)


def _parsed(value: Any) -> Any:
    """Text that is JSON as what it stands for; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _fitted(name: str, value: Any, field_type: Any) -> Any:
    """`value` as `field_type`; a `TypeError` if it is of another kind, a `UserError` if it is out of bounds."""
    match get_origin(field_type), get_args(field_type):
        case (origin, (inner, *rest)) if origin is Annotated:
            return _bounded(name, _fitted(name, value, inner), rest[0])
        case (origin, choices) if origin is Literal:
            return choose(name, str(value), list(choices))
        case (origin, kinds) if origin in (UnionType, Union):
            (inner,) = (kind for kind in kinds if kind is not NoneType)
            return None if value is None else _fitted(name, value, inner)
        case (origin, (inner, *rest)) if origin is tuple and isinstance(value, list | tuple):
            if rest != [...] and len(value) != 1 + len(rest):
                raise TypeError
            return tuple(_fitted(name, part, inner) for part in value)
    if field_type is float and type(value) is int:
        value = float(value)
    if type(value) is not field_type or (field_type is float and not math.isfinite(value)):
        raise TypeError
    return value


def _bounded(name: str, value: Any, bounds: Bounds) -> Any:
    if not bounds.low <= value <= bounds.high:
        wanted = f"{bounds.low:g} or more" if bounds.high == math.inf else f"{bounds.low:g} to {bounds.high:g}"
        raise UserError(f"{name} is {value}; give {wanted}")
    return value
