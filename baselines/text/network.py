"""Recurrent networks that read texts, and a small one that scores commands: what every agent here is made of.

He et al. 2016 (arXiv 1511.04636). Shapes: B states, C commands of them all, N different texts of a kind, L pieces of
the longest, P different pieces, D width of a piece's vector, H hidden.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .texts import Batch, Sequences, State


class CommandNetwork(nn.Module):
    """Numbers for commands, from vectors of pieces of text: one for each command, or several."""

    def __init__(self, width: int, hidden: int, outputs: int = 1) -> None:
        super().__init__()
        # Encoders differ in scale, and their vectors may be wider than the recurrent networks.
        self.project = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden), nn.ReLU())
        self.observation = nn.GRU(hidden, hidden, batch_first=True)
        self.inventory = nn.GRU(hidden, hidden, batch_first=True)
        self.command = nn.GRU(hidden, hidden, batch_first=True)
        self.score = nn.Sequential(nn.Linear(3 * hidden, hidden), nn.ReLU(), nn.Linear(hidden, outputs))

    def forward(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Map vectors (1 + P, D), the first of them padding, to numbers (C,), or (C, outputs) where there are more."""
        pieces = self.project(vectors)  # (1 + P, H)
        observations = read(self.observation, pieces, batch.observations)[batch.observation_of]  # (B, H)
        inventories = read(self.inventory, pieces, batch.inventories)[batch.inventory_of]  # (B, H)
        commands = read(self.command, pieces, batch.commands)[batch.command_of]  # (C, H)
        return self.values(observations[batch.state_of], inventories[batch.state_of], commands)

    def values(self, observations: Tensor, inventories: Tensor, commands: Tensor) -> Tensor:
        """Map texts that were read, (C, H) of each kind, to numbers (C,), or (C, outputs)."""
        found: Tensor = self.score(torch.cat([observations, inventories, commands], 1))
        return found.squeeze(1) if found.shape[1] == 1 else found


def read(network: nn.GRU, pieces: Tensor, texts: Sequences) -> Tensor:
    """The recurrent network's output (N, H) after the last piece of each text; `pieces` (1 + P, H)."""
    if not len(texts.rows):
        return pieces.new_zeros(0, network.hidden_size)
    outputs, _ = network(pieces[texts.rows])  # (N, L, H)
    return outputs[torch.arange(len(texts.last)), texts.last]  # type: ignore[no-any-return]


def log_policy(preferences: Tensor, state_of: Tensor, states: int) -> Tensor:
    """The logarithm (C,) of the softmax of `preferences` (C,) over the commands of each of B states."""
    highest = preferences.new_zeros(states).scatter_reduce(0, state_of, preferences, "amax", include_self=False)
    shifted = preferences - highest.detach()[state_of]
    sums = preferences.new_zeros(states).index_add(0, state_of, shifted.exp())
    return shifted - sums.log()[state_of]


def places_of(states: Sequence[State], commands: Sequence[int]) -> Tensor:
    """The place (B,) among all C commands of the states' of one command of each, by the numbers of their texts."""
    places = []
    before = 0
    for state, command in zip(states, commands, strict=True):
        places.append(before + state.commands.index(command))
        before += len(state.commands)
    return torch.tensor(places, dtype=torch.int64)
