"""DRRN: Q-learning over a text game's commands, each of which is read as a text.

He et al. 2016 (arXiv 1511.04636) for the network (`network.py`). The published code of Gruppi et al. 2024 (arXiv
2404.10174) for the learning: a policy softmax(Q / T), a Huber loss to r + discount * max Q of a target network, half of
each batch from the best episodes. That code calls it actor-critic.
Shapes: B states, C commands of them all, P pieces of text, D width of a piece's vector, H hidden.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from ..fields import Amount, Count, Delay, Environments, Positive, Share
from ..networks import copy_all
from ..online.agent import first_weights
from ..optimizers import load_moments, moments
from .encoders import Encoder
from .network import CommandNetwork
from .replay import Transition
from .retention import NOTHING, Retention
from .still import StillPolicy
from .texts import PieceVectors, State, make_batch

ADAM = "optimizer.adam"


@dataclass(frozen=True)
class DRRNConfig:
    """Settings; the defaults are those of the published code's runs with language models (github mgruppi/XTX)."""

    learning_rate: Positive = 1e-4
    discount: Share = 0.9
    temperature: Positive = 1.0  # of the softmax over Q, in training and in evaluations
    hidden: Count = 128  # H
    gradient_clip: Amount = 5.0  # norm of all gradients together
    batch_size: Count = 64
    environments: Environments = 8  # games at a time, a step of each in turn
    update_every: Count = 8  # environment steps; there: one of each of 8 games
    replay: Count = 10_000  # transitions that are kept
    best_share: Share = 0.5  # of a batch, from the best episodes
    target_every: Count = 100  # updates between copies to the target network
    encoder_learning_rate: Positive = 1e-4  # of an encoder's weights, where they are trained
    warm_up: Delay = 0  # updates before they move


class DRRN:
    """The agent: a network, its target, the encoder that both read with, and an optimiser."""

    outputs = 1  # numbers of each command: Q

    def __init__(
        self,
        config: DRRNConfig,
        encoder: Encoder,
        vectors: PieceVectors,
        seed: int,
        retention: Retention = NOTHING,
    ) -> None:
        """`vectors` are those of the encoder as it begins; weights of an encoder that want gradients are trained.

        `retention` says how much of what they were they keep.
        """
        self.config = config
        self.retention = retention
        self.encoder = encoder
        self.texts = vectors.texts
        with first_weights(seed):
            self.network = CommandNetwork(encoder.width, config.hidden, self.outputs)
        self.target = copy.deepcopy(self.network).requires_grad_(False)
        self.tuned = trained_weights(encoder)
        self.target_tuned = _copies(self.tuned)
        self.vectors = PieceVectors(self.texts, self._encode_with_target) if self.tuned else vectors
        self.updates = 0
        groups: list[dict[str, Any]] = [{"params": list(self.network.parameters()), "lr": config.learning_rate}]
        if self.tuned:
            groups.append({"params": list(self.tuned.values()), "lr": config.encoder_learning_rate})
        self.optimizer = torch.optim.Adam(groups, fused=True)
        self.parameters: list[nn.Parameter] = [weight for group in groups for weight in group["params"]]

    @property
    def frozen(self) -> int:
        """Number of weights that nothing trains."""
        return self.encoder.frozen

    def loss(self, transitions: Sequence[Transition]) -> Tensor:
        """The mean Huber loss of Q to r + discount * max over the commands that follow of the target's Q."""
        targets = self.targets(transitions)  # (B,)
        states = [transition.state for transition in transitions]
        batch = make_batch(self.texts, states, [(transition.command,) for transition in transitions])
        return F.smooth_l1_loss(self.network(self._online_vectors(batch.pieces), batch), targets)

    @torch.no_grad()
    def targets(self, transitions: Sequence[Transition]) -> Tensor:
        """Return r + discount * max Q (B,); r alone where the game ended, or no command follows."""
        batch = make_batch(self.texts, [transition.following for transition in transitions])
        following = self.target(self.vectors(batch.pieces), batch)  # (C,)
        rewards = torch.tensor([transition.reward for transition in transitions])
        best = torch.zeros(len(transitions)).scatter_reduce(0, batch.state_of, following, "amax", include_self=False)
        goes_on = torch.tensor([0.0 if transition.ended else 1.0 for transition in transitions])
        return rewards + self.config.discount * goes_on * best

    def update(self, transitions: Sequence[Transition], rng: np.random.Generator) -> dict[str, Tensor]:
        """Take one step of the optimiser; returns what it measured. What retention draws comes from `rng`."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(transitions)
        kept = self.retention.loss(rng) if self._trains_encoder() else torch.zeros(())
        (loss + kept).backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.parameters, self.config.gradient_clip)
        self.optimizer.step()
        if self._trains_encoder():
            self.retention.after_step(self.optimizer)
        self.updates += 1
        if self.updates % self.config.target_every == 0:
            self.copy_to_target()
        measured = {"loss": loss.detach(), "gradient_norm": norm}
        return measured | ({"retention_loss": kept.detach()} if self.tuned else {})

    @torch.no_grad()
    def copy_to_target(self) -> None:
        """Bring the target to the network's weights, and to the encoder's."""
        self.target.load_state_dict(self.network.state_dict())
        for name, weight in self.target_tuned.items():
            weight.copy_(self.tuned[name])
        self.forget()

    def forget(self) -> None:
        """Forget what the target's encoder read.

        What it says of a sentence depends, in its last bits, on what is computed beside it. A run that goes on from
        here has forgotten everything; so must one that was never cut short, to have the same vectors.
        """
        if self.tuned:
            self.vectors.clear()

    @torch.no_grad()
    def probabilities(self, state: State) -> Tensor:
        """The policy (C,) over a state's commands, by which the agent plays while it learns.

        Where the encoder is trained, it is the target's, of `target_every` updates ago at most: what the target's
        encoder read is at hand, and a network of today would not fit to it.
        """
        batch = make_batch(self.texts, [state])
        network = self.target if self.tuned else self.network
        return self.preferences(network(self.vectors(batch.pieces), batch)).softmax(0)

    def preferences(self, outputs: Tensor) -> Tensor:
        """Return what the policy is the softmax of, (C,), from what the network says of commands: Q / T."""
        return outputs / self.config.temperature

    def policy(self) -> StillPolicy:
        """The policy as it is now, of texts as the encoder reads them now; it holds until the agent learns."""
        vectors = PieceVectors(self.texts, self.encoder.encode) if self.tuned else self.vectors
        return StillPolicy(self.network, self.texts, vectors, self.preferences)

    def tensors(self) -> dict[str, Tensor]:
        """All that training changes: weights, moments, and how many updates there were."""
        kept = {f"policy.{name}": tensor for name, tensor in self._weights().items()}
        return kept | moments(self.optimizer, ADAM) | {"random.updates": torch.tensor(self.updates)}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Come to where an agent of this configuration was when its `tensors` were taken.

        Raises `KeyError`, `ValueError` or `RuntimeError` where they are not those of such an agent.
        """
        self.load_weights(tensors)
        self.updates = int(tensors["random.updates"])
        load_moments(self.optimizer, tensors, ADAM)

    def load_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """Come to the policy whose `tensors` these are; further training needs the rest. Raises as `load` does."""
        copy_all(self._weights(), tensors)
        self.forget()

    def _weights(self) -> dict[str, Tensor]:
        """Every tensor that training changes, as it is, by name."""
        parts = {
            "network": self.network.state_dict(),
            "target": self.target.state_dict(),
            "encoder": {name: parameter.data for name, parameter in self.tuned.items()},
            "target_encoder": self.target_tuned,
        }
        return {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}

    def _online_vectors(self, pieces: Sequence[int]) -> Tensor:
        """Vectors (1 + P, D), with gradients of the encoder's trained weights."""
        if not self._trains_encoder():
            return self.vectors(pieces)
        assert isinstance(self.encoder, nn.Module)
        vectors: Tensor = self.encoder(self.texts.names(pieces))
        return torch.cat([vectors.new_zeros(1, vectors.shape[1]), vectors])

    def _trains_encoder(self) -> bool:
        return bool(self.tuned) and self.updates >= self.config.warm_up

    def _encode_with_target(self, pieces: Sequence[str]) -> Tensor:
        assert isinstance(self.encoder, nn.Module)
        vectors: Tensor = functional_call(self.encoder, self.target_tuned, (pieces,))
        return vectors


def trained_weights(encoder: Encoder) -> dict[str, nn.Parameter]:
    """The parameters of an encoder that want gradients, by name; none of one that has no parameters."""
    if not isinstance(encoder, nn.Module):
        return {}
    return {name: parameter for name, parameter in encoder.named_parameters() if parameter.requires_grad}


def _copies(parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in parameters.items()}
