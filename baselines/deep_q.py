"""The parts that deep Q-networks share: values of discrete actions, their targets, and the losses of both.

Shapes: B batch, A actions, N quantiles of the return (1: its expectation alone), M quantiles of the target.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..datasets.windows import TransitionBatch
from .networks import observation_network
from .policy import History, Normalizer, Spec


class QNetwork(nn.Module):
    """N quantiles of the return of every action, from vectors or through the convolutions of deep Q-learning.

    The arrangement is the Nature network's (Mnih et al. 2015) and that of QR-DQN (Dabney et al. 2018), whose last layer
    is N times as wide.
    """

    def __init__(self, spec: Spec, hidden: Sequence[int], quantiles: int = 1) -> None:
        super().__init__()
        self.shape = (spec.action_dim, quantiles)
        self.normalize = nn.Identity() if spec.view.frames else Normalizer(spec)
        self.network = observation_network(spec, hidden, spec.action_dim * quantiles)

    def forward(self, observations: Tensor) -> Tensor:
        """Map observations (B, S) or frames (B, F, 84, 84) to (B, A, N)."""
        values: Tensor = self.network(self.normalize(observations))
        return values.view(-1, *self.shape).float()


def newest(history: History) -> Tensor:
    """The newest step of a history that holds one step: (E, S), or the frames that it is seen with."""
    return history.observations if history.observations.ndim == 4 else history.observations[:, -1]


def of_actions(values: Tensor, actions: Tensor) -> Tensor:
    """The entries (B, N) of `values` (B, A, N) that belong to the actions (B,)."""
    return values[torch.arange(len(actions), device=actions.device), actions]


def bellman_target(batch: TransitionBatch, next_values: Tensor, discount: float) -> Tensor:
    """The target r + discount * Q' for next values (B, N), without Q' at a terminal; timeouts bootstrap."""
    alive = discount * (1.0 - batch.terminals)
    return batch.rewards[:, None] + alive[:, None] * next_values


def quantile_huber(predicted: Tensor, target: Tensor) -> Tensor:
    """QR-DQN's loss (Dabney et al. 2018, Equation 10, kappa = 1) of quantiles (B, N) against (B, M).

    Summed over the predicted quantiles, averaged over the target's and the batch, as the equation has it.
    """
    quantiles = predicted.shape[1]
    midpoints = (torch.arange(quantiles, device=predicted.device) + 0.5) / quantiles  # Lemma 2
    shape = (-1, quantiles, target.shape[1])
    mine = predicted[:, :, None].expand(shape)  # (B, N, M)
    theirs = target[:, None, :].expand(shape)  # (B, N, M)
    weight = (midpoints[:, None] - (theirs < mine).float()).abs()  # an overestimate weighs 1 - midpoint
    errors = F.smooth_l1_loss(mine, theirs, reduction="none")
    return torch.as_tensor((weight * errors).mean(2).sum(1).mean())


@torch.no_grad()
def synchronise(target: nn.Module, source: nn.Module, updates: Tensor, interval: int) -> None:
    """Copy `source` into `target` after every `interval`-th of the `updates` () counted so far.

    The count stays a tensor on the parameters' device: reading its value would make every step wait for the device.
    """
    due = (updates % interval == 0).float()
    for old, new in zip(target.parameters(), source.parameters(), strict=True):
        old.lerp_(new, due)
