"""Stretches of episodes, for agents that remember: what was seen, and what was remembered before.

Shapes: B sequences, T steps, S bytes of an observation, W width of its encoding, H width of the memory.
"""

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

Numbers = Tensor | slice  # of sequences


@dataclass(frozen=True)
class Sequences:
    """B stretches of T steps."""

    observations: Tensor  # (B, T, S) uint8, or (B, T, W) float: as an encoder that stays as it is has them
    begins: Tensor  # (B, T) bool: whether an episode begins with the step, before which nothing is remembered
    states: Tensor  # (B, 2, H): output and cell of the memory before the first step

    def __len__(self) -> int:
        return len(self.observations)

    def __getitem__(self, numbers: Numbers) -> "Sequences":
        return Sequences(self.observations[numbers], self.begins[numbers], self.states[numbers])


@dataclass(frozen=True)
class SequenceMemory:
    """M stretches of T steps that a recurrent policy was trained on; what `Transitions` are to other agents."""

    screens: Tensor  # (M, T, S) uint8, or (M, T, W) float
    begins: Tensor  # (M, T) bool
    states: Tensor  # (M, 2, H), as pi* had them
    chosen: Tensor  # (M, T) int64: the actions that were to be taken
    stages: Tensor  # (M,) int64, of their first steps

    def __len__(self) -> int:
        return len(self.stages)

    @property
    def length(self) -> int:
        """T, the steps of a row."""
        return self.screens.shape[1]

    @property
    def observations(self) -> Any:
        """The `Sequences` that its policy sees, where other policies see a tensor."""
        return Sequences(self.screens, self.begins, self.states)

    @property
    def actions(self) -> Tensor:
        """Actions (M T,) int64, one sequence after the other, as log probabilities have them."""
        return self.chosen.flatten()

    def rows(self, numbers: Numbers) -> "SequenceMemory":
        """Sequences of those numbers, in their order."""
        return SequenceMemory(**{field.name: getattr(self, field.name)[numbers] for field in fields(self)})

    def steps_of(self, rows: Tensor) -> Tensor:
        """Numbers (b T,) of the steps of sequences (b,)."""
        return (rows[:, None] * self.length + torch.arange(self.length)).flatten()
