"""What a policy is made of: its parts, how large they are, and what of them is trained."""

import re
from typing import Any

from ...baselines.policy import Policy

# The parts of an adapted GPT-2 or encoder, by the names of their tensors; the first that fits counts.
LANGUAGE_MODEL_PARTS = (
    ("language model: low-rank updates", r"lora_[AB]"),
    ("language model: biases of queries, keys, values", r"(c_attn|\.(query|key|value))(\.\w+)*\.bias$"),
    ("language model: queries, keys, values", r"c_attn|\.(query|key|value)\."),
    ("language model: layer norms", r"\.ln_|LayerNorm"),
    ("language model: rest of attention", r"\.attn\.|\.attention\."),
    ("language model: feed-forward layers", r"\.mlp\.|\.(intermediate|output)\.dense"),
    ("language model: token embeddings (tied to the output)", r"\.wte\."),
    ("language model: position embeddings", r"\.wpe\.|position_embeddings"),
    ("language model: token type embeddings", r"token_type_embeddings"),
)


def describe_policy(policy: Policy) -> list[dict[str, Any]]:
    """One row a part, in the order of the network, and their sum. Keys: part, trained, frozen, both in parameters.

    Networks that follow others (target networks) are left out: they are copies, neither trained nor from elsewhere.
    """
    rows: dict[str, dict[str, Any]] = {}
    for name, parameter in policy.named_parameters():
        if name.startswith("target_"):
            continue
        row = rows.setdefault(part := _part(name), {"part": part, "trained": 0, "frozen": 0})
        row["trained" if parameter.requires_grad else "frozen"] += parameter.numel()
    total = {"part": "all", **{kind: sum(row[kind] for row in rows.values()) for kind in ("trained", "frozen")}}
    return [*rows.values(), total]


def _part(name: str) -> str:
    if "language_model." in name:
        return next(part for part, pattern in LANGUAGE_MODEL_PARTS if re.search(pattern, name))
    return name.removeprefix("model.").split(".")[0].replace("_", " ")
