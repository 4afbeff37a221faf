"""Behavioural cloning: a regression of the data's actions on its observations, of all episodes or of the best ones."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..datasets.fractions import Subset, best_episodes
from ..datasets.windows import ContextBatch, StepBatch, StepSampler
from .fields import Amount, Count, Share
from .networks import observation_network
from .policy import ActionBounds, History, Normalizer, OptimizerSettings, Policy, Spec


@dataclass(frozen=True)
class BCConfig:
    """CORL's `any_percent_bc.py`, on all of the data (its default keeps the best 10 %)."""

    hidden: tuple[Count, ...] = (256, 256)  # widths of the hidden layers; CORL
    learning_rate: Amount = 3e-4  # CORL
    weight_decay: Amount = 0.0  # CORL uses Adam without
    decay: Literal["constant", "cosine"] = "constant"  # learning-rate schedule; CORL: constant
    best_share: Share = 1.0  # of the subset's episodes, by return, that is cloned, at least one; CORL: BC 1, BC-10 0.1


@dataclass(frozen=True)
class BestBCConfig(BCConfig):
    """BC on the best 10 % of the episodes: CORL's default and its `configs/offline/bc_10`."""

    best_share: Share = 0.1  # CORL


class BC(Policy):
    """A deterministic policy pi(s) = tanh(MLP(s)), scaled to the action space, or a classifier of discrete actions.

    Images go through the convolutions of deep Q-learning first, whose output is as wide as the first hidden layer.
    """

    def __init__(self, config: BCConfig, spec: Spec) -> None:
        super().__init__()
        self.config = config
        self.view = spec.view
        self.discrete = spec.discrete
        self.normalize = nn.Identity() if spec.view.frames else Normalizer(spec)
        self.bounds = ActionBounds(spec)
        self.actor = observation_network(spec, config.hidden, spec.action_dim)

    def sampler(self, subset: Subset) -> StepSampler:
        """Single steps, of the best episodes where the configuration says so.

        Observations are normalised by the moments of the whole subset all the same, where CORL takes the best ones'.
        """
        chosen = subset if self.config.best_share == 1.0 else best_episodes(subset, self.config.best_share)
        return StepSampler(chosen, self.view)

    def policy(self, observations: Tensor) -> Tensor:
        """Actions (B, A), or logits of discrete ones, for observations (B, S) or frames (B, F, 84, 84)."""
        output = self.actor(self.normalize(observations))
        return output if self.discrete else self.bounds.from_unit(torch.tanh(output))

    def loss(self, batch: StepBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared error over batch and action dimensions; cross entropy of discrete actions."""
        predicted = self.policy(batch.observations)
        loss = F.cross_entropy(predicted, batch.actions) if self.discrete else F.mse_loss(predicted, batch.actions)
        return loss, {"action_error": loss.detach()}

    def action_loss(self, windows: ContextBatch) -> Tensor:
        """The loss of the windows' only steps."""
        observations = windows.observations if self.view.frames else windows.observations[:, 0]
        return self.loss(StepBatch(observations, windows.actions[:, 0]))[0]

    def act(self, history: History) -> Tensor:
        """Act on the newest observation alone."""
        newest = self.policy(history.observations if self.view.frames else history.observations[:, -1])
        return newest.argmax(-1) if self.discrete else self.bounds.clip(newest)

    def optimizer_settings(self) -> OptimizerSettings:
        """One group."""
        group = {"params": list(self.parameters()), "lr": self.config.learning_rate}
        return OptimizerSettings([group | {"weight_decay": self.config.weight_decay}], decay=self.config.decay)
