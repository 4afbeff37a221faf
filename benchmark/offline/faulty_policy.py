"""Faults of the published code in what a policy makes of its network's output: see `faults.py`."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from ...baselines.policy import Policy


def faulty_policy(policy: Policy, legacy: Sequence[str]) -> Policy:
    """The policy, with logits that go through tanh under `tanh-logits`; changed in place."""
    if "tanh-logits" in legacy:
        model: Any = policy.model
        model.head = nn.Sequential(model.head, nn.Tanh())
    return policy
