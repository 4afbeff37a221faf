"""The moments of an optimiser as named tensors, for checkpoints, and back."""

from collections.abc import Mapping

import torch
from torch import Tensor


def moments(optimizer: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """Copies of the optimiser's state of each parameter, as "PREFIX.INDEX.FIELD"."""
    return {
        f"{prefix}.{index}.{field}": torch.as_tensor(value).clone()
        for index, state in optimizer.state_dict()["state"].items()
        for field, value in state.items()
        if value is not None
    }


def load_moments(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], prefix: str) -> None:
    """Restore the state of an optimiser of the same parameters from its `moments`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(f"{prefix}."):
            index, field = name.split(".")[-2:]
            state.setdefault(int(index), {})[field] = tensor.clone()
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
