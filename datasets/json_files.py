"""Reads JSON wherever it comes from: what is returned can be compared, hashed, printed and written again.

JSON is taken as I-JSON has it (RFC 7493): numbers are finite, no key stands twice in an object, texts are Unicode.
"""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from .errors import UserError
from .file_checks import MB, check_regular_file

MOST = 16 * MB  # of a file; parsed, the densest JSON takes some twenty times as much memory
DEEPEST = 100  # levels; Python's own functions fail at some hundreds, sooner when called from deep within
LONGEST = 40  # characters of an integer: 128 bits, as in the state of NumPy's generators


def parse_json(text: str) -> Any:
    """The content of a JSON text.

    Raises a `ValueError` for what is no JSON, for NaN and infinity, numbers too large for a float, integers of more
    than 128 bits, keys that stand twice, texts that can't be encoded, and what is nested more than `DEEPEST` levels.
    """
    try:
        value = json.loads(
            text, parse_constant=_refuse, parse_float=_finite, parse_int=_integer, object_pairs_hook=_object
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _check_depth(value)
    if "\\ud" in text or "\\uD" in text:  # half a character that takes two: Python parses it, and can't print it
        json.dumps(value, ensure_ascii=False).encode()
    return value


def read_json(path: Path, most: int = MOST) -> Any:
    """The content of a JSON file of at most `most` bytes.

    Raises a `UserError` of one line if there is no such file, if it is a pipe or a device, larger, or no good JSON.
    """
    check_regular_file(path, most)
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} can't be read ({error})") from None


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
