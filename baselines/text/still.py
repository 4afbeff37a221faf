"""The policy of an agent whose weights stand still: every text is read once, and games are played side by side.

Shapes: B states, C commands of them all, H hidden.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from ...datasets.games.players import OpenEpisode
from .network import CommandNetwork, read
from .texts import PieceVectors, State, Texts, VectorTable, make_sequences


class ReadTexts:
    """Texts of one kind as a recurrent network read them."""

    def __init__(self, reader: "StillPolicy", network: nn.GRU) -> None:
        self.reader = reader
        self.network = network
        self.known = VectorTable(network.hidden_size)

    def __call__(self, texts: Iterable[int]) -> Tensor:
        """Return (N, H) of texts by number, any of them as often as it stands there."""
        wanted = list(texts)
        if new := self.known.lacking(wanted):
            pieces, sequences = make_sequences(self.reader.texts, new)
            projected = self.reader.network.project(self.reader.vectors(pieces))
            self.known.add(new, read(self.network, projected, sequences))
        return self.known.rows(wanted)


class StillPolicy:
    """An agent's policy as it is when this is made; it holds until the agent learns."""

    def __init__(
        self,
        network: CommandNetwork,
        texts: Texts,
        vectors: PieceVectors,
        preferences: Callable[[Tensor], Tensor],
    ) -> None:
        """`preferences` (C,) of what the network says of commands are what the policy is the softmax of."""
        self.network = network
        self.texts = texts
        self.vectors = vectors
        self.preferences = preferences
        self.observations = ReadTexts(self, network.observation)
        self.inventories = ReadTexts(self, network.inventory)
        self.commands = ReadTexts(self, network.command)

    def __call__(self, episodes: Sequence[OpenEpisode]) -> list[Tensor]:
        """The policy over the commands that each of B episodes has now."""
        return self.probabilities([self.texts.state(episode.scenes[-1]) for episode in episodes])

    @torch.no_grad()
    def probabilities(self, states: Sequence[State]) -> list[Tensor]:
        """The policy over the commands of each of B states."""
        counts = [len(state.commands) for state in states]
        state_of = torch.repeat_interleave(torch.arange(len(states)), torch.tensor(counts))  # (C,)
        observations = self.observations(state.observation for state in states)[state_of]  # (C, H)
        inventories = self.inventories(state.inventory for state in states)[state_of]
        commands = self.commands(command for state in states for command in state.commands)
        preferences = self.preferences(self.network.values(observations, inventories, commands))
        return [each.softmax(0) for each in torch.split(preferences, counts)]
