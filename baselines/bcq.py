"""Batch-constrained Q-learning for discrete actions (Fujimoto et al. 2019, arXiv 1910.01708).

Q-learning that chooses, in its targets and when it acts, only among the actions that an imitation of the data finds
likely enough. Defaults are the authors' for Atari; with `quantiles` it is d3rlpy's reproduction, on QR-DQN.
"""

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..datasets.fractions import Subset
from ..datasets.windows import TransitionBatch, TransitionSampler
from .deep_q import bellman_target, newest, of_actions, quantile_huber, synchronise
from .fields import Amount, Count, Positive, Share
from .networks import FrameEncoder, mlp
from .policy import History, Normalizer, OptimizerSettings, Policy, Spec


@dataclass(frozen=True)
class BCQConfig:
    """Settings of BCQ; each comment names the source. "BCQ's code" is sfujim/BCQ, `discrete_BCQ/`."""

    hidden: tuple[Count, ...] = (256, 256)  # of vectors; of images (512,); BCQ's code
    quantiles: Count | None = None  # None: expected returns, as the authors'; d3rlpy's reproduction: 200
    discount: Share = 0.99  # BCQ's code
    learning_rate: Amount = 6.25e-5  # BCQ's code
    adam_epsilon: Positive = 1.5e-4  # BCQ's code
    target_interval: Count = 8000  # updates between copies; BCQ's code
    threshold: Share = 0.3  # tau: least probability of an action, as a share of the likeliest one's; BCQ's code
    logit_penalty: Amount = 1e-2  # on the imitation's mean squared logit; BCQ's code


class BCQ(Policy):
    """Values of every action, and an imitation of the data that says which actions may be chosen."""

    updates: Tensor  # () int64: optimiser steps done

    def __init__(self, config: BCQConfig, spec: Spec) -> None:
        super().__init__()
        self.config = config
        self.view = spec.view
        self.network = TwoHeaded(spec, config.hidden, config.quantiles or 1)
        self.target_network = copy.deepcopy(self.network).requires_grad_(False)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))  # a tensor, so that it is checkpointed

    def sampler(self, subset: Subset) -> TransitionSampler:
        """Single transitions."""
        return TransitionSampler(subset, self.view)

    def loss(self, batch: TransitionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The Bellman error's Huber loss, the imitation's cross entropy, and the penalty on its logits."""
        values, logits = self.network(batch.observations)  # (B, A, N), (B, A)
        distance = quantile_huber if self.config.quantiles else F.smooth_l1_loss
        bellman_loss = distance(of_actions(values, batch.actions), self.target(batch))
        imitation_loss = F.cross_entropy(logits, batch.actions)
        total = bellman_loss + imitation_loss + self.config.logit_penalty * logits.square().mean()
        metrics = {"bellman_loss": bellman_loss, "imitation_loss": imitation_loss, "value": values.mean()}
        return total, {name: value.detach() for name, value in metrics.items()}

    @torch.no_grad()
    def target(self, batch: TransitionBatch) -> Tensor:
        """The Bellman target (B, N) of the next action that the online network finds best among the likely ones."""
        best = self.best(*self.network(batch.next_observations))
        next_values = of_actions(self.target_network(batch.next_observations)[0], best)
        return bellman_target(batch, next_values, self.config.discount)

    def best(self, values: Tensor, logits: Tensor) -> Tensor:
        """The most valuable (B,) of the actions more probable than `threshold` times the likeliest one's probability.

        The likeliest action always counts: at a threshold of 1 no other would, and imitation alone decides.
        """
        likely = logits.log_softmax(-1)
        likely = likely - likely.amax(-1, keepdim=True)  # log of the ratio to the likeliest
        least = math.log(self.config.threshold) if self.config.threshold else -math.inf
        unlikely = (likely <= least) & (likely < 0.0)
        return values.mean(-1).masked_fill(unlikely, -math.inf).argmax(-1)

    def act(self, history: History) -> Tensor:
        """The most valuable of the likely actions."""
        return self.best(*self.network(newest(history)))

    def after_update(self) -> None:
        """Count an update, and copy the network to the target when it is due."""
        self.updates += 1
        synchronise(self.target_network, self.network, self.updates, self.config.target_interval)

    def optimizer_settings(self) -> OptimizerSettings:
        """Adam on one group."""
        group = {"params": list(self.network.parameters()), "lr": self.config.learning_rate, "weight_decay": 0.0}
        return OptimizerSettings([group], epsilon=self.config.adam_epsilon)


class TwoHeaded(nn.Module):
    """Values and imitation: of images they share the convolutions, of vectors nothing (BCQ's code)."""

    def __init__(self, spec: Spec, hidden: tuple[int, ...], quantiles: int) -> None:
        super().__init__()
        self.shape = (spec.action_dim, quantiles)
        self.encoder: nn.Module | None = None
        sizes = (spec.observation_dim, *hidden)
        if spec.view.frames:  # one projection as wide as the first layers of both heads, which are its halves
            self.encoder = FrameEncoder(spec, 2 * hidden[0])
            sizes = hidden
        self.normalize = nn.Identity() if spec.view.frames else Normalizer(spec)
        self.values = mlp((*sizes, spec.action_dim * quantiles))
        self.imitation = mlp((*sizes, spec.action_dim))

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Map observations (B, S) or frames (B, F, 84, 84) to values (B, A, N) and logits (B, A)."""
        inputs = self.normalize(observations)
        first = second = inputs
        if self.encoder is not None:
            first, second = F.relu(self.encoder(inputs)[:, 0]).chunk(2, -1)
        return self.values(first).view(-1, *self.shape).float(), self.imitation(second).float()
