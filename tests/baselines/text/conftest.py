"""A tiny encoder whose weights are trained, scenes, and an agent on them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lamobench.baselines.text.drrn import DRRN, DRRNConfig
from lamobench.baselines.text.encoders import Encoder, HashEncoder
from lamobench.baselines.text.network import CommandNetwork
from lamobench.baselines.text.replay import Transition
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


SCENES = (
    scene("a dark room", "", "go on", "look"),
    scene("a dark room", "a lamp", "go", "drop the lamp", "look"),
    scene("", "a lamp", "look"),
)
RNG = np.random.default_rng(0)  # nothing is drawn from it


def steps_on(agent: Any) -> list[Transition]:
    """A step to each of the later scenes, one to a game's end, and one to where there are no commands."""
    first, second, third = (agent.texts.state(each) for each in SCENES)
    over = agent.texts.state(scene("done", "", over=True))
    return [
        Transition(first, first.commands[0], 1.0, second, False),
        Transition(second, second.commands[1], 2.0, third, False),
        Transition(second, second.commands[1], 3.0, over, True),
        Transition(third, third.commands[0], 4.0, State(third.observation, third.inventory, ()), False),
    ]


def after_learning_which_pays(agent: Any, updates: int) -> list[float]:
    """The agent's policy after so many updates on a room's three commands, the second of which pays."""
    room = agent.texts.state(scene("a dark room", "", "go on", "look", "wait"))
    over = agent.texts.state(scene("done", "", over=True))
    steps = [Transition(room, command, float(command == room.commands[1]), over, True) for command in room.commands]
    for _ in range(updates):
        agent.update(steps, RNG)
    found: list[float] = agent.probabilities(room).tolist()
    return found


@pytest.fixture
def make() -> Make:
    """An agent of few hidden units; `letters` says whether its encoder is trained."""

    def agent(*, letters: bool = False, seed: int = 0, **settings: float) -> DRRN:
        encoder: Encoder = Letters() if letters else HashEncoder()
        config = DRRNConfig(**({"hidden": 4, "learning_rate": 0.01} | settings))  # type: ignore[arg-type]
        return DRRN(config, encoder, PieceVectors(Texts(encoder), encoder.encode), seed)

    return agent
