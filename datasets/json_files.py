"""Read JSON from any origin: what is returned can be compared, hashed, printed and written again.

JSON is restricted to I-JSON (RFC 7493): numbers are finite, an object has no key twice, texts are Unicode.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from .errors import UserError
from .file_checks import MB, check_regular_file

Kind = TypeVar("Kind")

MOST = 16 * MB  # of a file; parsed, the densest JSON takes some twenty times as much memory
DEEPEST = 100  # levels; Python's own functions fail at some hundreds, sooner when called from deep within
LONGEST = 40  # characters of an integer: 128 bits, as in the state of NumPy's generators


def parse_json(text: str) -> Any:
    """The content of a JSON text.

    Raises a `ValueError` for what is no JSON, for NaN and infinity, numbers too large for a float, integers of more
    than 128 bits, keys that stand twice, texts that can't be encoded, and what is nested more than `DEEPEST` levels.
    """
    return _parse(text, constant=_refuse, number=_finite)


def parse_python_json(text: str) -> Any:
    """The same with NaN and infinity, which Python writes: an environment's options may be infinite."""
    return _parse(text, constant=float, number=float)


def read_json(path: Path, max_bytes: int = MOST) -> Any:
    """The content of a JSON file of at most `max_bytes`.

    Raises a `UserError` of one line if there is no such file, if it is a pipe or a device, larger, or no good JSON.
    """
    check_regular_file(path, max_bytes)
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} can't be read ({error})") from None


def check_fields(value: Any, kinds: Mapping[str, Any], absent: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The JSON object `value`, if it has a field of each of the `kinds`, by name; of `absent`, only the fields it has.

    A kind is a type as annotations have it: `int`, `str | None`, `list[str]`, `tuple[float, ...]`, which JSON has as a
    list. Other fields may be there too. Raises a `ValueError` that names the first field that is missing or wrong.
    """
    if not isinstance(value, dict):
        raise ValueError(f"it is no object with fields, but begins with {str(value)[:20]!r}")
    for name in kinds:
        if name not in value:
            raise ValueError(f"it has no '{name}'")
    for name, kind in {**kinds, **(absent or {})}.items():
        if name in value and not _is(value[name], kind):
            raise ValueError(f"'{name}' is {str(value[name])[:80]!r}, expected {getattr(kind, '__name__', kind)}")
    return value


def from_fields(kind: type[Kind], value: Any) -> Kind:
    """An instance of a dataclass from the JSON object of its fields, in which lists stand for tuples.

    Raises a `ValueError` that names the first field that is missing, wrong, or none of the dataclass.
    """
    kinds = get_type_hints(kind)
    needed = {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}  # type: ignore[arg-type]
    check_fields(value, {name: kinds[name] for name in needed}, kinds)
    if unknown := value.keys() - kinds.keys():
        raise ValueError(f"it has a field '{min(unknown)[:80]}', which is not known here")
    return kind(**{name: tuple(part) if isinstance(part, list) else part for name, part in value.items()})


def _is(value: Any, kind: Any) -> bool:
    origin = get_origin(kind)
    parts = get_args(kind)
    if origin is UnionType:
        return any(_is(value, part) for part in parts)
    if origin is tuple and parts[-1] is not Ellipsis:
        return isinstance(value, list) and len(value) == len(parts) and all(map(_is, value, parts))
    if origin in (list, tuple):
        return isinstance(value, list) and all(_is(part, parts[0]) for part in value)
    if kind is float:
        return type(value) in (int, float)  # JSON writes 1.0 as 1, and true is no number
    return type(value) is kind


def _parse(text: str, constant: Callable[[str], float], number: Callable[[str], float]) -> Any:
    try:
        value = json.loads(
            text, parse_constant=constant, parse_float=number, parse_int=_integer, object_pairs_hook=_object
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _check_depth(value)
    if "\\ud" in text or "\\uD" in text:  # half a character that takes two: Python parses it, and can't print it
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no finite number")


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _refuse(digits[:LONGEST])


def _integer(digits: str) -> int:
    if len(digits) > LONGEST:
        raise ValueError(f"{digits[:10]}... has {len(digits)} digits")
    return int(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice[:80]!r} stands twice in an object")
    return found


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [whole for whole in level if isinstance(whole, dict | list)]
        if not level:
            return
        level = [part for whole in level for part in (whole.values() if isinstance(whole, dict) else whole)]
    raise ValueError(f"it is nested more than {DEEPEST} levels deep")
