"""Behavioural cloning: regress the data's actions on its observations."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..datasets.fractions import Subset
from ..datasets.windows import TransitionBatch, TransitionSampler
from .fields import Amount, Count
from .networks import mlp
from .policy import ActionBounds, History, Normalizer, OptimizerSettings, Policy, Spec


@dataclass(frozen=True)
class BCConfig:
    """CORL's `any_percent_bc.py`, on all of the data (its default keeps the best 10 %)."""

    hidden: tuple[Count, ...] = (256, 256)  # widths of the hidden layers; CORL
    learning_rate: Amount = 3e-4  # CORL
    weight_decay: Amount = 0.0  # CORL uses Adam without
    decay: Literal["constant", "cosine"] = "constant"  # learning-rate schedule; CORL: constant


class BC(Policy):
    """A deterministic policy pi(s) = tanh(MLP(s)), scaled to the action space."""

    def __init__(self, config: BCConfig, spec: Spec) -> None:
        super().__init__()
        self.config = config
        self.normalize, self.bounds = Normalizer(spec), ActionBounds(spec)
        self.actor = mlp((spec.observation_dim, *config.hidden, spec.action_dim))

    def sampler(self, subset: Subset) -> TransitionSampler:
        """Single transitions."""
        return TransitionSampler(subset)

    def policy(self, observations: Tensor) -> Tensor:
        """Actions (B, A) for observations (B, S)."""
        return self.bounds.from_unit(torch.tanh(self.actor(self.normalize(observations))))

    def loss(self, batch: TransitionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared error over batch and action dimensions."""
        loss = F.mse_loss(self.policy(batch.observations), batch.actions)
        return loss, {"action_error": loss.detach()}

    def act(self, history: History) -> Tensor:
        """Act on the newest observation alone."""
        return self.policy(history.observations[:, -1])

    def optimizer_settings(self) -> OptimizerSettings:
        """One group."""
        group = {"params": list(self.parameters()), "lr": self.config.learning_rate}
        return OptimizerSettings([group | {"weight_decay": self.config.weight_decay}], decay=self.config.decay)
