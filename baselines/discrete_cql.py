"""Conservative Q-Learning (Kumar et al. 2020, arXiv 2006.04779) for discrete actions, on QR-DQN.

CQL(H) of the paper's Equation 4: with finitely many actions the soft maximum over them is exact. Defaults are those of
d3rlpy's reproduction on Atari, which follow the authors' code but for double Q-learning: there as here, the online
network picks the next action and the target network values it.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from ..datasets.fractions import Subset
from ..datasets.windows import TransitionBatch, TransitionSampler
from .deep_q import QNetwork, bellman_target, newest, of_actions, quantile_huber, synchronise
from .fields import Amount, Count, Positive, Share
from .policy import History, OptimizerSettings, Policy, Spec


@dataclass(frozen=True)
class DiscreteCQLConfig:
    """Settings; each comment names the source. "d3rlpy" is its `reproductions/offline/discrete_cql.py`."""

    hidden: tuple[Count, ...] = (256, 256)  # of vectors, d3rlpy's encoder; of images (512,), deep Q-learning's
    quantiles: Count = 200  # N; d3rlpy, CQL's code, QR-DQN
    discount: Share = 0.99  # d3rlpy, CQL's code
    learning_rate: Amount = 5e-5  # d3rlpy, CQL's code
    adam_epsilon: Positive = 1e-2 / 32  # d3rlpy, CQL's code
    target_interval: Count = 2000  # updates between copies; d3rlpy, CQL's code (8000 agent steps, an update each 4)
    conservative_weight: Amount = 4.0  # alpha; d3rlpy; the command in the README of CQL's code: 1


class DiscreteCQL(Policy):
    """Quantiles of every action's return, pushed down for actions that the data do not take."""

    updates: Tensor  # () int64: optimiser steps done

    def __init__(self, config: DiscreteCQLConfig, spec: Spec) -> None:
        super().__init__()
        self.config = config
        self.view = spec.view
        self.q_network = QNetwork(spec, config.hidden, config.quantiles)
        self.target_network = copy.deepcopy(self.q_network).requires_grad_(False)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))  # a tensor, so that it is checkpointed

    def sampler(self, subset: Subset) -> TransitionSampler:
        """Single transitions."""
        return TransitionSampler(subset, self.view)

    def loss(self, batch: TransitionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """QR-DQN's loss plus alpha times the conservative gap."""
        quantiles = self.q_network(batch.observations)  # (B, A, N)
        bellman_loss = quantile_huber(of_actions(quantiles, batch.actions), self.target(batch))
        gap = conservative_gap(quantiles.mean(-1), batch.actions)
        metrics = {"bellman_loss": bellman_loss, "conservative_gap": gap, "value": quantiles.mean()}
        total = bellman_loss + self.config.conservative_weight * gap
        return total, {name: value.detach() for name, value in metrics.items()}

    @torch.no_grad()
    def target(self, batch: TransitionBatch) -> Tensor:
        """The Bellman target (B, N) of the next action that the online network finds best."""
        best = self.q_network(batch.next_observations).mean(-1).argmax(-1)
        next_quantiles = of_actions(self.target_network(batch.next_observations), best)
        return bellman_target(batch, next_quantiles, self.config.discount)

    def act(self, history: History) -> Tensor:
        """The action of the highest mean."""
        return torch.as_tensor(self.q_network(newest(history)).mean(-1).argmax(-1))

    def after_update(self) -> None:
        """Count an update, and copy the network to the target when it is due."""
        self.updates += 1
        synchronise(self.target_network, self.q_network, self.updates, self.config.target_interval)

    def optimizer_settings(self) -> OptimizerSettings:
        """Adam on one group."""
        group = {"params": list(self.q_network.parameters()), "lr": self.config.learning_rate, "weight_decay": 0.0}
        return OptimizerSettings([group], epsilon=self.config.adam_epsilon)


def conservative_gap(values: Tensor, actions: Tensor) -> Tensor:
    """Equation 4's regulariser: soft maximum of values (B, A) less value of the data's actions (B,), averaged."""
    return (torch.logsumexp(values, -1) - of_actions(values, actions)).mean()
