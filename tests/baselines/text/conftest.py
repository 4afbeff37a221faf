"""A tiny encoder whose weights are trained, scenes, and an agent on them."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lamobench.baselines.text.drrn import DRRN, DRRNConfig
from lamobench.baselines.text.encoders import Encoder, HashEncoder
from lamobench.baselines.text.network import CommandNetwork
from lamobench.baselines.text.texts import PieceVectors, State, Texts
from lamobench.datasets.games.game import Scene

Make = Callable[..., DRRN]


class Letters(nn.Module):
    """The mean of a trained vector for each letter of a word."""

    width = 3
    frozen = 0

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.table = nn.Parameter(torch.randn(128, 3, generator=generator))

    def cut(self, text: str) -> Sequence[str]:
        return text.split()

    def encode(self, pieces: Sequence[str]) -> Tensor:
        return self(pieces)  # type: ignore[no-any-return]

    def forward(self, pieces: Sequence[str]) -> Tensor:
        return torch.stack([self.table[[ord(letter) % 128 for letter in piece]].mean(0) for piece in pieces])


def scene(observation: str, inventory: str, *commands: str, score: float = 0.0, over: bool = False) -> Scene:
    """A moment of a game of two points."""
    return Scene(observation, inventory, commands, score, 2.0, 0, over, over)


def alone(agent: Any, network: CommandNetwork, state: State, command: int) -> Tensor:
    """The numbers (outputs,) of one command, by a network of the agent's: one text at a time, without padding."""

    def read(reader: nn.GRU, text: int) -> Tensor:
        pieces = agent.texts.names(agent.texts.pieces[text])
        vectors = agent.encoder.encode(pieces) if pieces else torch.zeros(1, agent.encoder.width)
        outputs, _ = reader(network.project(vectors)[None])
        return outputs[0, -1]

    texts = [
        read(network.observation, state.observation),
        read(network.inventory, state.inventory),
        read(network.command, command),
    ]
    return network.score(torch.cat(texts)).detach()  # type: ignore[no-any-return]


@pytest.fixture
def make() -> Make:
    """An agent of few hidden units; `letters` says whether its encoder is trained."""

    def agent(*, letters: bool = False, seed: int = 0, **settings: float) -> DRRN:
        encoder: Encoder = Letters() if letters else HashEncoder()
        config = DRRNConfig(**({"hidden": 4, "learning_rate": 0.01} | settings))  # type: ignore[arg-type]
        return DRRN(config, encoder, PieceVectors(Texts(encoder), encoder.encode), seed)

    return agent
