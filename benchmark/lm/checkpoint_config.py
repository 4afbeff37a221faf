"""The values in a language model's config.json: which are read, which make sense, which its files can hold."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers.activations import ACT2FN

from ...datasets.errors import UserError
from .families import FAMILIES, positions_of

MOST_LAYERS = 1000
MOST_MASKS = 1 << 32  # bytes: transformers' earlier GPT-2s keep a mask of positions^2 bytes in each layer


@dataclass(frozen=True)
class Layout:
    """How published files of a family are written; the sizes are the names that its config has for them."""

    prefix: str  # of tensors' names, which files have or leave out
    extra: re.Pattern[str]  # tensors that are no part of the model here: masks of older versions, poolers, heads
    width: str = "hidden_size"
    heads: str = "num_attention_heads"
    layers: str = "num_hidden_layers"


_ENCODER_EXTRA = r"embeddings\.(position|token_type)_ids|pooler\..*|classifier\..*|qa_outputs\..*"
LAYOUTS = {
    "gpt2": Layout(
        "transformer.",
        re.compile(
            r"h\.\d+\.attn\.(masked_)?bias|lm_head\.weight|(score|classifier|qa_outputs|multiple_choice_head)\..*"
        ),
        *("n_embd", "n_head", "n_layer"),
    ),
    "bert": Layout("bert.", re.compile(rf"{_ENCODER_EXTRA}|cls\..*")),
    "roberta": Layout("roberta.", re.compile(rf"{_ENCODER_EXTRA}|lm_head\..*")),
}


@dataclass(frozen=True)
class Kind:
    """Which values a configuration may give to a key."""

    words: str
    holds: Callable[[Any], bool]


def _number(value: Any, least: float, most: float) -> bool:
    return type(value) in (int, float) and least <= value <= most


def _token(value: Any) -> bool:
    return value is None or (type(value) is int and value >= 0)


SIZE = Kind("a whole number from 1", lambda value: type(value) is int and value >= 1)
INNER = Kind("a whole number from 1, or null", lambda value: value is None or SIZE.holds(value))
SHARE = Kind("a number from 0 to 1", lambda value: _number(value, 0, 1))
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
TOKEN = Kind("a token's number, or null", _token)
TOKENS = Kind(
    "tokens' numbers, or null", lambda value: all(map(_token, value)) if isinstance(value, list) else _token(value)
)
ACTIVATION = Kind("a name of transformers' activations", lambda value: isinstance(value, str) and value in ACT2FN)
NOTHING = Kind("nothing: such models are not read here", lambda value: not value)
ABSOLUTE = Kind('"absolute"', lambda value: value == "absolute")

_EVERY = {
    "vocab_size": SIZE,
    "initializer_range": SHARE,
    "tie_word_embeddings": FLAG,
    "bos_token_id": TOKENS,
    "eos_token_id": TOKENS,
    "pad_token_id": TOKEN,
}
_ENCODER = _EVERY | {
    **dict.fromkeys(("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"), SIZE),
    **dict.fromkeys(("max_position_embeddings", "type_vocab_size"), SIZE),
    **dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob", "layer_norm_eps"), SHARE),
    "hidden_act": ACTIVATION,
}
VALUES = {  # what is read of a configuration, by its `model_type`; transformers' defaults stand in for what is absent
    "gpt2": _EVERY
    | {
        **dict.fromkeys(("n_positions", "n_embd", "n_layer", "n_head"), SIZE),
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop", "layer_norm_epsilon"), SHARE),
        **dict.fromkeys(("scale_attn_weights", "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn"), FLAG),
        "n_inner": INNER,
        "activation_function": ACTIVATION,
    },
    "bert": _ENCODER,
    "roberta": _ENCODER | {"pad_token_id": Kind("a token's number", lambda v: v is not None and _token(v))},
}
# Values that would make it another network than the one that is built.
OTHER_NETWORKS = {
    **dict.fromkeys(("add_cross_attention", "pruned_heads", "quantization_config"), NOTHING),
    "position_embedding_type": ABSOLUTE,
}


def checked_values(found: Mapping[str, Any], kind: str, name: str) -> dict[str, Any]:
    """The values of a configuration of `model_type` `kind` that make the network, by transformers' first name for each.

    `found` is the content of config.json. Raises a `UserError`, about the language model `name`, for a value that makes
    no sense, and for one that asks for another network than is built here.
    """
    aliases = FAMILIES[kind].model.config_class.attribute_map
    given = {key: found[key] for key in found if key not in aliases}
    given |= {aliases[key]: found[key] for key in found if key in aliases}
    for key, expected in (VALUES[kind] | OTHER_NETWORKS).items():
        if key in given and not expected.holds(given[key]):
            value = repr(given[key])
            raise UserError(
                f"language model '{name}': its config.json has {key} {value[:40]}{'...' * (len(value) > 40)}, "
                f"expected {expected.words}; copy it anew"
            )
    return {key: given[key] for key in VALUES[kind] if key in given}


def check_sizes(config: Any, shapes: Sequence[tuple[int, ...]], name: str) -> None:
    """Refuse, with a `UserError`, sizes that tensors of these shapes can't have, before anything is made of them."""
    layout, numbers = LAYOUTS[config.model_type], sum(map(math.prod, shapes))
    sizes = {key: getattr(config, key) for key, kind in VALUES[config.model_type].items() if kind in (SIZE, INNER)}
    most = dict.fromkeys(sizes, numbers) | {layout.layers: min(MOST_LAYERS, len(shapes))}
    for key, size in sizes.items():
        if size is not None and size > most[key]:
            raise UserError(
                f"language model '{name}': its config.json has {key} {size}, too much for the {len(shapes)} tensors "
                f"with {numbers:,} numbers in its files; copy it anew"
            )
    if sizes[layout.width] % sizes[layout.heads]:
        raise UserError(
            f"language model '{name}': its config.json has {layout.width} {sizes[layout.width]}, which is no multiple "
            f"of {layout.heads} {sizes[layout.heads]}; copy it anew"
        )
    positions = positions_of(config)
    if positions < 1 or positions**2 * sizes[layout.layers] > MOST_MASKS:
        raise UserError(
            f"language model '{name}': its config.json lets it see {positions} tokens; copy it anew, or give a model "
            "of shorter contexts"
        )
