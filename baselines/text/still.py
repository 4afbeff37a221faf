"""The policy of an agent whose weights stand still: every text is read once, and games are played side by side.

Shapes: B states, C commands of them all, H hidden.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from .drrn import DRRN, read
from .texts import PieceVectors, State, make_sequences


class ReadTexts:
    """Texts of one kind as a recurrent network read them."""

    def __init__(self, agent: DRRN, network: nn.GRU, vectors: PieceVectors) -> None:
        self.agent = agent
        self.network = network
        self.vectors = vectors
        self.places: dict[int, int] = {}
        self.outputs = torch.zeros(0, network.hidden_size)

    def __call__(self, texts: Iterable[int]) -> Tensor:
        """Return (N, H) of texts by number, any of them as often as it stands there."""
        wanted = list(texts)
        if new := [text for text in dict.fromkeys(wanted) if text not in self.places]:
            pieces, sequences = make_sequences(self.agent.texts, new)
            projected = self.agent.network.project(self.vectors(pieces))
            self.places |= {text: len(self.places) + number for number, text in enumerate(new)}
            self.outputs = torch.cat([self.outputs, read(self.network, projected, sequences)])
        return self.outputs[torch.tensor([self.places[text] for text in wanted])]


class StillPolicy:
    """The agent's policy as it is when this is made; it holds until the agent learns."""

    def __init__(self, agent: DRRN) -> None:
        self.agent = agent
        vectors = (
            agent.vectors if not agent.tuned else PieceVectors(agent.texts, agent.encoder.encode, one_by_one=False)
        )
        self.observations = ReadTexts(agent, agent.network.observation, vectors)
        self.inventories = ReadTexts(agent, agent.network.inventory, vectors)
        self.commands = ReadTexts(agent, agent.network.command, vectors)

    @torch.no_grad()
    def probabilities(self, states: Sequence[State]) -> list[Tensor]:
        """The policy over the commands of each of B states."""
        counts = [len(state.commands) for state in states]
        state_of = torch.repeat_interleave(torch.arange(len(states)), torch.tensor(counts))  # (C,)
        observations = self.observations(state.observation for state in states)[state_of]  # (C, H)
        inventories = self.inventories(state.inventory for state in states)[state_of]
        commands = self.commands(command for state in states for command in state.commands)
        values = self.agent.network.values(observations, inventories, commands)
        return [(each / self.agent.config.temperature).softmax(0) for each in torch.split(values, counts)]
