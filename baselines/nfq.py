"""Neural fitted Q-iteration (Riedmiller 2005) as d3rlpy has it: deep Q-learning without a target network.

Each update fits the network to targets that it has just computed itself. Riedmiller's algorithm fits a network to fixed
targets until it converges and only then computes new ones; LaMo's tables compare with d3rlpy's.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..datasets.fractions import Subset
from ..datasets.windows import TransitionBatch, TransitionSampler
from .deep_q import QNetwork, bellman_target, newest, of_actions
from .fields import Amount, Count, Positive, Share
from .policy import History, OptimizerSettings, Policy, Spec


@dataclass(frozen=True)
class NFQConfig:
    """Settings of NFQ; each comment names the source. "d3rlpy" is its `reproductions/offline/nfq.py`."""

    hidden: tuple[Count, ...] = (256, 256)  # of vectors, d3rlpy's encoder; of images (512,), deep Q-learning's
    discount: Share = 0.99  # d3rlpy
    learning_rate: Amount = 5e-5  # d3rlpy
    adam_epsilon: Positive = 1e-8  # d3rlpy


class NFQ(Policy):
    """Expected returns of every action."""

    def __init__(self, config: NFQConfig, spec: Spec) -> None:
        super().__init__()
        self.config = config
        self.view = spec.view
        self.q_network = QNetwork(spec, config.hidden)

    def sampler(self, subset: Subset) -> TransitionSampler:
        """Single transitions."""
        return TransitionSampler(subset, self.view)

    def loss(self, batch: TransitionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Huber loss of the Bellman error."""
        values = self.q_network(batch.observations)  # (B, A, 1)
        bellman_loss = F.smooth_l1_loss(of_actions(values, batch.actions), self.target(batch))
        return bellman_loss, {"bellman_loss": bellman_loss.detach(), "value": values.detach().mean()}

    @torch.no_grad()
    def target(self, batch: TransitionBatch) -> Tensor:
        """The Bellman target (B, 1) of the best next action by the network's own values."""
        return bellman_target(batch, self.q_network(batch.next_observations).amax(1), self.config.discount)

    def act(self, history: History) -> Tensor:
        """The action of the highest value."""
        return torch.as_tensor(self.q_network(newest(history)).squeeze(-1).argmax(-1))

    def optimizer_settings(self) -> OptimizerSettings:
        """Adam on one group."""
        group = {"params": list(self.parameters()), "lr": self.config.learning_rate, "weight_decay": 0.0}
        return OptimizerSettings([group], epsilon=self.config.adam_epsilon)
