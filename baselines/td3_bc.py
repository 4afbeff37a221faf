"""TD3+BC (Fujimoto and Gu 2021, arXiv 2106.06860): twin delayed deterministic policy gradients that clone the data.

Defaults are the authors' code (sfujim/TD3_BC). Beside the differences that `delayed_actor_critic.py` names there is
one more: states are divided by their standard deviation, to which the authors' code adds 0.001.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..datasets.fractions import Subset
from ..datasets.windows import TransitionBatch, TransitionSampler
from .delayed_actor_critic import DelayedActorCritic, DelayedActorCriticConfig
from .fields import Amount


@dataclass(frozen=True)
class TD3BCConfig(DelayedActorCriticConfig):
    """Settings of TD3+BC, on which the authors' code and CORL agree."""

    value_weight: Amount = 2.5  # alpha: weight of the value against cloning; the paper's Section 5


class TD3BC(DelayedActorCritic[TransitionBatch]):
    """An actor that maximises the first critic's values and stays near the data."""

    config: TD3BCConfig

    @property
    def actor_is_due(self) -> bool:
        """Check whether the current update moves the actor: by default every second one."""
        return (self.updates.done + 1) % self.config.actor_every == 0

    def sampler(self, subset: Subset) -> TransitionSampler:
        """Single transitions."""
        return TransitionSampler(subset)

    def actor_losses(self, states: Tensor, actions: Tensor) -> dict[str, Tensor]:
        """Equation 3: -lambda Q1(s, pi(s)) + (pi(s) - a)^2, where lambda = alpha / mean |Q1| (Equation 5)."""
        chosen = torch.tanh(self.actor(states))
        value = self.critic(torch.cat([states, chosen], -1), frozen=True, members=1).float()
        scale = self.config.value_weight / value.detach().abs().mean()
        error = F.mse_loss(chosen, actions)
        return {"actor_loss": error - scale * value.mean(), "action_error": error}
