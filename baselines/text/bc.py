"""Behaviour cloning of recorded text games: which of the admissible commands was chosen is what is learned.

The network is DRRN's; the loss is the cross entropy of a softmax over the commands' scores.
Shapes: B moves, C commands of them all.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from ...datasets.games.players import Episode
from ..fields import Amount, Count, Positive
from ..online.agent import first_weights
from ..optimizers import load_moments, moments
from .encoders import Encoder
from .network import CommandNetwork, log_policy, places_of
from .still import StillPolicy
from .texts import PieceVectors, State, make_batch

ADAM = "optimizer.adam"


@dataclass(frozen=True)
class TextBCConfig:
    """Settings; what DRRN has too is as there."""

    recording: Literal["expert", "medium", "random", "mixed"] = "mixed"  # the player of the recorded games
    learning_rate: Positive = 1e-3
    temperature: Positive = 1.0  # of the softmax over scores in evaluations; 1 is what was cloned
    hidden: Count = 128
    gradient_clip: Amount = 5.0  # norm of all gradients together
    batch_size: Count = 64  # moves


@dataclass(frozen=True, slots=True)
class Choice:
    """A recorded move."""

    state: State
    command: int  # the number of its text


class TextBC:
    """The agent: a network, the encoder that it reads with, and an optimiser."""

    def __init__(self, config: TextBCConfig, encoder: Encoder, vectors: PieceVectors, seed: int) -> None:
        """`vectors` are those of the encoder, which is not trained."""
        self.config = config
        self.encoder = encoder
        self.vectors = vectors
        self.texts = vectors.texts
        with first_weights(seed):
            self.network = CommandNetwork(encoder.width, config.hidden)
        self.parameters: list[nn.Parameter] = list(self.network.parameters())
        self.optimizer = torch.optim.Adam(self.parameters, lr=config.learning_rate, fused=True)

    @property
    def frozen(self) -> int:
        """Number of weights that nothing trains."""
        return self.encoder.frozen

    def examples(self, episodes: Sequence[Episode]) -> list[Choice]:
        """The moves of recorded episodes."""
        return [choice for episode in episodes for choice in self._choices(episode)]

    def loss(self, choices: Sequence[Choice]) -> Tensor:
        """The mean of -log of the policy at what was chosen."""
        states = [choice.state for choice in choices]
        batch = make_batch(self.texts, states)
        scores = self.network(self.vectors(batch.pieces), batch)  # (C,)
        chosen = places_of(states, [choice.command for choice in choices])
        return -log_policy(scores, batch.state_of, len(states))[chosen].mean()

    def update(self, choices: Sequence[Choice], rng: np.random.Generator) -> dict[str, Tensor]:
        """Take one step of the optimiser; returns what it measured. Nothing is drawn."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(choices)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.parameters, self.config.gradient_clip)
        self.optimizer.step()
        return {"loss": loss.detach(), "gradient_norm": norm}

    def preferences(self, outputs: Tensor) -> Tensor:
        """Return what the policy is the softmax of, (C,): scores / T."""
        return outputs / self.config.temperature

    def policy(self) -> StillPolicy:
        """The policy as it is now; it holds until the agent learns."""
        return StillPolicy(self.network, self.texts, self.vectors, self.preferences)

    def tensors(self) -> dict[str, Tensor]:
        """All that training changes: weights and moments."""
        kept = {f"policy.{name}": tensor for name, tensor in self.network.state_dict().items()}
        return kept | moments(self.optimizer, ADAM)

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Come to where an agent of this configuration was when its `tensors` were taken.

        Raises `KeyError`, `ValueError` or `RuntimeError` where they are not those of such an agent.
        """
        self.load_weights(tensors)
        load_moments(self.optimizer, tensors, ADAM)

    def load_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """Come to the policy whose `tensors` these are; further training needs the rest. Raises as `load` does."""
        self.network.load_state_dict({name: tensors[f"policy.{name}"] for name in self.network.state_dict()})

    def _choices(self, episode: Episode) -> Iterator[Choice]:
        for scene, index in zip(episode.scenes, episode.chosen, strict=False):
            state = self.texts.state(scene)
            yield Choice(state, state.commands[index])
