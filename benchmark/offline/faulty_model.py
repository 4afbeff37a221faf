"""Faults of the published code in its language model: see `faults.py`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..lm.families import family_of


class NoPositions(nn.Module):
    """A stand-in for a language model's position embeddings that adds nothing and has nothing to train."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, positions: Tensor) -> Tensor:
        """Zeros (..., D) for positions (...)."""
        return torch.zeros(*positions.shape, self.width, device=positions.device)


def faulty_language_model(language_model: Any, legacy: Sequence[str]) -> Any:
    """The language model, without its position embeddings under `no-positions`; changed in place."""
    if "no-positions" in legacy:
        language_model.set_submodule(
            family_of(language_model).positions, NoPositions(language_model.config.hidden_size)
        )
    return language_model
