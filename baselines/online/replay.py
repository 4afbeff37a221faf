"""A replay buffer with an optional protected part: episodic memory.

Shapes: B batch, S observation, A action.
"""

from dataclasses import fields

import numpy as np
import torch
from torch import Tensor

from .transitions import StagedSpec, Transitions

NAMES = tuple(field.name for field in fields(Transitions))


class ReplayBuffer:
    """The protected transitions, and the newest of the others up to a fixed number.

    Rows [0, protected) are never overwritten; the others are a ring.
    """

    def __init__(self, capacity: int, spec: StagedSpec) -> None:
        actions = np.zeros(capacity, np.int64) if spec.discrete else np.zeros((capacity, spec.action_dim), np.float32)
        self.capacity = capacity
        self.protected = 0
        self.size = 0
        self.position = 0  # of the next row
        self.columns: dict[str, np.ndarray] = {
            "observations": np.zeros((capacity, spec.observation_dim), np.float32),
            "actions": actions,
            "rewards": np.zeros(capacity, np.float32),
            "next_observations": np.zeros((capacity, spec.observation_dim), np.float32),
            "dones": np.zeros(capacity, np.float32),
            "stages": np.zeros(capacity, np.int64),
        }

    def protect(self, transitions: Transitions) -> None:
        """Keep these for good; the buffer must be empty, and at least one row has to be left for others."""
        count = len(transitions)
        assert self.size == 0, "rows are protected before any other is added"
        assert count < self.capacity, f"{count} rows are to be protected in a buffer of {self.capacity}"
        self._write(np.arange(count), transitions)
        self.protected = count
        self.size = count
        self.position = count

    def add(self, transitions: Transitions) -> None:
        """Add rows; without room they replace the oldest that are not protected."""
        room = self.capacity - self.protected
        count = len(transitions)
        assert count <= room, f"{count} rows at once are more than the {room} that are not protected"
        where = self.protected + (self.position - self.protected + np.arange(count)) % room
        self._write(where, transitions)
        self.size = min(self.capacity, max(self.size, self.position + count))
        self.position = self.protected + (self.position - self.protected + count) % room

    def sample(self, rng: np.random.Generator, size: int) -> Transitions:
        """Transitions drawn uniformly, with replacement."""
        where = rng.integers(self.size, size=size)
        return Transitions(**{name: torch.from_numpy(column[where]) for name, column in self.columns.items()})

    def tensors(self) -> dict[str, Tensor]:
        """Return copies of the rows that are filled, and the place where the ring stands."""
        rows = {name: torch.from_numpy(column[: self.size].copy()) for name, column in self.columns.items()}
        return rows | {"ring": torch.tensor([self.protected, self.size, self.position])}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore the state of another buffer of this capacity."""
        self.protected, self.size, self.position = (int(number) for number in tensors["ring"])
        for name, column in self.columns.items():
            column[: self.size] = tensors[name].numpy()

    def _write(self, places: np.ndarray, transitions: Transitions) -> None:
        for name in NAMES:
            self.columns[name][places] = getattr(transitions, name).numpy()
