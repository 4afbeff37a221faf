"""Checkpoints: everything that a run needs to go on as if it had never stopped, in one safetensors file.

It is one file, so that a single rename makes all of it current: weights, optimiser moments, random states, step and
log can't disagree. It holds only what training changes; a frozen base model is named by the configuration.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...baselines.policy import Policy
from ...datasets.errors import UserError
from ...datasets.storage import whole_file
from .records import check_checkpoint, state_in


@dataclass
class Progress:
    """The state of a run apart from its tensors."""

    step: int  # optimiser steps done
    train_seconds: float  # spent in optimiser steps, over all attempts
    metrics: list[dict[str, Any]]  # rows of metrics.jsonl so far
    episodes: str  # the content of episodes.csv so far
    evaluation_seconds: float = 0.0  # spent in evaluations, over all attempts; not known of the time before it was kept
    stages: str = ""  # the content of stages.csv so far; empty where a task has no stages
    meters: str = ""  # the content of meters.csv so far; empty where nothing is metered


def trained_tensors(policy: Policy) -> dict[str, Tensor]:
    """The tensors that training changes: trainable parameters, target networks, buffers; no frozen base model.

    A parameter with two names, such as GPT-2's shared embedding and output layer, is kept under its first.
    """
    first_names = dict(policy.named_parameters())
    second_names = dict(policy.named_parameters(remove_duplicate=False)).keys() - first_names.keys()
    left_out = policy.rebuilt() | second_names
    return {name: tensor for name, tensor in policy.state_dict().items() if name not in left_out}


def save_checkpoint(
    path: Path,
    policy: Policy,
    optimizer: torch.optim.Optimizer | None,
    rng: np.random.Generator,
    progress: Progress,
    labels: Mapping[str, str] | None = None,
) -> None:
    """Replace the checkpoint at `path`, whole or not at all; `labels` identify a file that lost its folder.

    After the last step there is no `optimizer`: its moments (two thirds of the file) and PyTorch's random states are
    only needed for further steps.
    """
    tensors = {f"policy.{name}": tensor.detach().contiguous() for name, tensor in trained_tensors(policy).items()}
    if optimizer is not None:
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
        tensors["random.torch"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["random.cuda"] = torch.cuda.get_rng_state()
    write_checkpoint(path, tensors, progress, rng, labels)


def write_checkpoint(
    path: Path,
    tensors: Mapping[str, Tensor],
    progress: Progress,
    rng: np.random.Generator,
    labels: Mapping[str, str] | None = None,
) -> None:
    """Replace the checkpoint at `path`, whole or not at all, by tensors, progress and the run's random state.

    Names of tensors begin with "policy.", "optimizer." or "random." (`sharing/files.py`).
    """
    state = vars(progress) | {"random": rng.bit_generator.state}
    with whole_file(path) as temporary:
        save_file(dict(tensors), temporary, metadata={**(labels or {}), "state": json.dumps(state)})


def read_checkpoint(path: Path, rng: np.random.Generator) -> tuple[dict[str, Tensor], Progress]:
    """Read what `write_checkpoint` wrote: tensors and progress; also restore the state of `rng`."""
    tensors, state = _read(path)
    try:
        rng.bit_generator.state = state.pop("random")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _unreadable(path, f"{type(error).__name__}: {error}") from error
    return tensors, Progress(**{name: state[name] for name in Progress.__dataclass_fields__ if name in state})


def restore(path: Path, rng: np.random.Generator, bring: Callable[[dict[str, Tensor]], None]) -> Progress:
    """Read what `write_checkpoint` wrote, and `bring` what is trained to its tensors; restores `rng` too.

    A `UserError` where they are not those that it wants.
    """
    tensors, progress = read_checkpoint(path, rng)
    try:
        bring(tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(
            f"checkpoint {path} holds other tensors than this run has ({error}); "
            f"delete {path.parent} to start that run again"
        ) from None
    return progress


def load_checkpoint(
    path: Path, policy: Policy, optimizer: torch.optim.Optimizer, rng: np.random.Generator, steps: int
) -> Progress:
    """Restore policy, optimiser and all random states to those of the checkpoint.

    After the last of `steps` only the policy is restored: the file has nothing else (`save_checkpoint`).
    """
    tensors, progress = read_checkpoint(path, rng)
    _restore_policy(policy, tensors, path)
    if progress.step >= steps:
        return progress
    try:
        optimizer.load_state_dict(
            {"state": _optimizer_state(tensors, optimizer), "param_groups": optimizer.state_dict()["param_groups"]}
        )
        torch.set_rng_state(tensors["random.torch"])
        if "random.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random.cuda"])
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise _unreadable(path, f"{type(error).__name__}: {error}") from error
    return progress


def load_policy(path: Path, policy: Policy) -> None:
    """Load the checkpoint's weights into a freshly built policy, for evaluation.

    A `UserError` if the run has finished and its checkpoint is no longer what was written then.
    """
    check_checkpoint(path.parent)
    _restore_policy(policy, _read(path)[0], path)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a finished run's policy, whose names begin with "policy."; all that a published one has.

    A `UserError` if the checkpoint is no longer what was written, or holds numbers that are not finite.
    """
    check_checkpoint(path.parent)
    weights = {name: tensor for name, tensor in _read(path)[0].items() if name.startswith("policy.")}
    if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
        raise _unreadable(path, "it holds weights that are not finite")
    return weights


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors of a checkpoint, and its state."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - safe_open is no mapping
            return tensors, state_in(file.metadata())
    except (OSError, SafetensorError, ValueError) as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, reason: str) -> UserError:
    first = (reason.splitlines() or [""])[0]
    return UserError(f"checkpoint {path} cannot be read ({first}); delete {path.parent} to start that run again")


def _restore_policy(policy: Policy, tensors: dict[str, Tensor], path: Path) -> None:
    saved = {name.removeprefix("policy."): t for name, t in tensors.items() if name.startswith("policy.")}
    wanted = trained_tensors(policy)
    if saved.keys() != wanted.keys() or any(saved[name].shape != wanted[name].shape for name in saved):
        raise UserError(
            f"checkpoint {path} holds other tensors than this policy has; it belongs to another configuration"
        )
    if not all(torch.isfinite(tensor).all() for tensor in saved.values()):
        raise _unreadable(path, "it holds weights that are not finite")
    policy.load_state_dict(saved, strict=False)


def _optimizer_state(tensors: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> dict[int, dict[str, Tensor]]:
    """The moments of each parameter, by its number; a `ValueError` unless they are finite and of its shape."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, field = name.split(".")
            if tensor.shape not in ((), parameters[int(index)].shape) or not torch.isfinite(tensor).all():
                raise ValueError(f"{name} is not finite, or not of its parameter's shape")
            state.setdefault(int(index), {})[field] = tensor
    return state
