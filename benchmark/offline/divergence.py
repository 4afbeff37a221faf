"""Find why a run's numbers are no longer finite: its start and its data are suspected before its learning rate."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ...baselines.policy import Policy
from ...datasets.fractions import Subset
from ..runs.checkpoint import trained_tensors
from .config import OfflineConfig

LEARNED_FROM = ("observations", "last_observations", "actions", "rewards")
LARGEST = 1e18  # float32 ends at 3.4e38: larger numbers have no square there
ROWS = 1 << 16  # rows read at a time: the data may not fit in memory


def unsound(policy: Policy, optimizer: torch.optim.Optimizer) -> str:
    """Name what is not finite before anything is learned: a weight, a constant such as an action's bound, a moment."""
    tensors = {**trained_tensors(policy), **dict(policy.named_buffers())}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    return next((name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()), "")


def advice(config: OfflineConfig, start: str, first: Mapping[str, Tensor], subset: Subset) -> str:
    """Say what to do about it. `start` is what was `unsound`, `first` the first batch's metrics, before any update."""
    data = f"lamobench data verify {config.dataset}` and `lamobench data show {config.dataset}"
    look = f"a lower learning rate is no help: look at the data with `{data}`"
    if extreme := _extreme(subset):
        return f"{extreme}; {look}"
    if start:
        places = f"{look}, and at the bounds of the environment's spaces"
        return f"{start} was not finite before the first update; {places}, or remove the run if its checkpoint holds it"
    broken = [f"{name} {float(value):g}" for name, value in first.items() if not torch.isfinite(value).all()]
    if broken:
        return f"the first batch, before any update, had {', '.join(broken)}; {look}"
    rates = [field for field in config.policy if field.endswith("learning_rate")]
    lower = ", ".join(f"--set {rate}={config.policy[rate] / 10:g}" for rate in rates)
    return f"try a lower learning rate, e.g. {lower}"


def _extreme(subset: Subset) -> str:
    """Name the array of the data, if any, that has numbers which float32 can't reckon with."""
    for name in LEARNED_FROM:
        array = getattr(subset.trajectories, name)
        for start in range(0, len(array) if array.dtype.kind == "f" else 0, ROWS):
            largest = float(np.abs(array[start : start + ROWS]).max())
            if not largest <= LARGEST:
                return f"the data's {name} hold {largest:g} (from step {start} on)"
    return ""
