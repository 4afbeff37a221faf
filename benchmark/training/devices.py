"""The devices on which tensors are computed."""

import torch

from ...datasets.errors import UserError, choose


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` is the GPU if there is one."""
    choose("device", name, ["auto", "cpu", "cuda"])
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device 'cuda' was asked for, but PyTorch sees no GPU; give --device cpu or auto")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def autocast(precision: str, kind: str) -> torch.autocast:
    """The precision of matrix products, a name of `config.PRECISIONS`, on devices of that kind, as a context."""
    return torch.autocast(kind, torch.bfloat16, enabled=precision == "bfloat16")
