"""Kinds of values in a language model's config.json: what a family says of each key that is read (`families.py`)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from transformers.activations import ACT2FN


@dataclass(frozen=True)
class Kind:
    """The values that a configuration may give to a key."""

    words: str
    holds: Callable[[Any], bool]


def _number(value: Any, low: float, high: float) -> bool:
    return type(value) in (int, float) and low <= value <= high


def _token(value: Any) -> bool:
    return value is None or (type(value) is int and value >= 0)


def _rotary(given: dict[str, Any]) -> bool:
    """Check whether transformers builds these positions once and for all: other kinds change as a text grows."""
    kind = given.get("rope_type", given.get("type", "default"))
    numbers = [value for key, value in given.items() if key not in ("rope_type", "type")]
    wanted = ROTARY.get(kind) if isinstance(kind, str) else None
    return wanted is not None and wanted <= given.keys() and all(_number(value, 1e-3, 1e15) for value in numbers)


ROTARY = {  # kinds of rotary positions, and the numbers that each needs
    "default": set[str](),
    "linear": {"factor"},
    "llama3": {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"},
}
SIZE = Kind("a whole number from 1", lambda value: type(value) is int and value >= 1)
INNER = Kind("a whole number from 1, or null", lambda value: value is None or SIZE.holds(value))
SHARE = Kind("a number from 0 to 1", lambda value: _number(value, 0, 1))
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
TOKEN = Kind("a token's number, or null", _token)
TOKENS = Kind(
    "tokens' numbers, or null", lambda value: all(map(_token, value)) if isinstance(value, list) else _token(value)
)
PADDING = Kind("a token's number", lambda value: value is not None and _token(value))
BASE = Kind("a number from 1", lambda value: _number(value, 1, 1e15))
ROPE = Kind(
    "rotary positions as they are, scaled linearly or as Llama 3 does",
    lambda value: value is None or (isinstance(value, dict) and _rotary(value)),
)
ACTIVATION = Kind("a name of transformers' activations", lambda value: isinstance(value, str) and value in ACT2FN)
NOTHING = Kind("nothing: such models are not read here", lambda value: not value)
ABSOLUTE = Kind('"absolute"', lambda value: value == "absolute")

EVERY = {  # of the keys that each family has
    "vocab_size": SIZE,
    "initializer_range": SHARE,
    "tie_word_embeddings": FLAG,
    "bos_token_id": TOKENS,
    "eos_token_id": TOKENS,
    "pad_token_id": TOKEN,
}
