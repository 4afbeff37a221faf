"""The parts of a policy: how large they are, and what of them is trained."""

import re
from typing import Any

from ...baselines.policy import Policy
from ..lm.families import FAMILIES

# The parts of an adapted language model, of whatever family; the first that a tensor's name fits counts.
PARTS = (
    "biases of queries, keys, values",
    "queries, keys, values",
    "layer norms",
    "rest of attention",
    "feed-forward layers",
    "token embeddings (tied to the output)",
    "position embeddings",
    "token type embeddings",
    "output layer",
)
UPDATES = re.compile(r"lora_[AB]")


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
        return f"language model: {_part_of_language_model(name)}"
    return name.removeprefix("model.").split(".")[0].replace("_", " ")


def _part_of_language_model(name: str) -> str:
    if UPDATES.search(name):
        return "low-rank updates"
    patterns = {part: [family.parts[part] for family in FAMILIES.values() if part in family.parts] for part in PARTS}
    return next(part for part in PARTS if any(re.search(pattern, name) for pattern in patterns[part]))
