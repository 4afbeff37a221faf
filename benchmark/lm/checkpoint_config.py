"""The values in a language model's config.json: which make sense, and which its files can hold."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub.errors import StrictDataclassError

from ...datasets.errors import UserError
from .config_values import ABSOLUTE, INNER, NOTHING, SIZE
from .families import FAMILIES, positions_of

MOST_LAYERS = 1000
MOST_MASKS = 1 << 32  # bytes: transformers' earlier GPT-2s keep a mask of positions^2 bytes in each layer
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
    family = FAMILIES[kind]
    aliases = family.model.config_class.attribute_map
    given = {key: found[key] for key in found if key not in aliases}
    given |= {aliases[key]: found[key] for key in found if key in aliases}
    for key, expected in {**family.values, **OTHER_NETWORKS}.items():
        if key in given and not expected.holds(given[key]):
            value = repr(given[key])
            raise UserError(
                f"language model '{name}': its config.json has {key} {value[:40]}{'...' * (len(value) > 40)}, "
                f"expected {expected.words}; copy it anew"
            )
    return {key: given[key] for key in family.values if key in given}


def make_config(found: Mapping[str, Any], kind: str, name: str) -> Any:
    """transformers' configuration of `model_type` `kind` with the values of `checked_values`, and no other."""
    family = FAMILIES[kind]
    values = checked_values(found, kind, name)
    try:
        return family.model.config_class(**values, **family.config)
    except StrictDataclassError as error:
        cause = str(error.__cause__ or error).splitlines()[-1].rstrip(".")
        raise UserError(f"language model '{name}': its config.json makes no model ({cause}); copy it anew") from None


def check_sizes(config: Any, shapes: Sequence[tuple[int, ...]], name: str) -> None:
    """Refuse, with a `UserError`, sizes that tensors of these shapes can't have, before anything is made of them."""
    family = FAMILIES[config.model_type]
    numbers = sum(map(math.prod, shapes))
    layout = family.layout
    sizes = {key: getattr(config, key) for key, kind in family.values.items() if kind in (SIZE, INNER)}
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
    heads = sizes[layout.heads]
    groups = sizes.get("num_key_value_heads") or 1
    width = getattr(config, "head_dim", 0)
    if heads % groups or width % 2:
        raise UserError(
            f"language model '{name}': its config.json has {heads} heads of {width} numbers for {groups} of keys and "
            "values, which do not go together; copy it anew"
        )
    positions = positions_of(config)
    masks = positions**2 * sizes[layout.layers] if family.positions else 0
    if positions < 1 or masks > MOST_MASKS:
        raise UserError(
            f"language model '{name}': its config.json lets it see {positions} tokens; copy it anew, or give a model "
            "of shorter contexts"
        )
