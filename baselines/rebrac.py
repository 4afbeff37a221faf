"""ReBRAC (Tarasov et al. 2023, arXiv 2305.09836): TD3+BC with penalties on actor and critics, and deeper networks.

Defaults are the authors' code as CORL publishes it; its penalties are tuned for each data set. Beside the differences
that `delayed_actor_critic.py` names there is one more. Their reader drops the step before a timeout; here it is trained
on, without a penalty on the critics' target, since the data have no next action there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..datasets.fractions import Subset
from ..datasets.windows import ChainedBatch, ChainedSampler
from .delayed_actor_critic import DelayedActorCritic, DelayedActorCriticConfig
from .fields import Amount, Count
from .networks import Ensemble
from .policy import Spec


@dataclass(frozen=True)
class ReBRACConfig(DelayedActorCriticConfig):
    """Settings of ReBRAC; each comment names the source. Discount (AntMaze: 0.999) and targets are TD3+BC's."""

    hidden: tuple[Count, ...] = (256, 256, 256)  # of actor and critics; authors' code
    layer_norm: bool = True  # in the critics, after each ReLU; authors' code
    normalize_states: bool = False  # to zero mean and unit variance; authors' code: no
    actor_learning_rate: Amount = 1e-3  # authors' code for locomotion
    critic_learning_rate: Amount = 1e-3  # authors' code for locomotion
    actor_penalty: Amount = 1.0  # beta_1, on the actor's squared distance to the data; authors' code, before tuning
    critic_penalty: Amount = 1.0  # beta_2, on the target action's squared distance; authors' code, before tuning


class ReBRAC(DelayedActorCritic[ChainedBatch]):
    """An actor that maximises the lower critic; actor and critics are penalised for leaving the data."""

    config: ReBRACConfig

    def __init__(self, config: ReBRACConfig, spec: Spec) -> None:
        super().__init__(config, spec, normalize=config.normalize_states, layer_norm=config.layer_norm)

    def initialize(self) -> None:
        """Start from the authors' initial weights."""
        initialize(self.actor, self.critic)

    @property
    def actor_is_due(self) -> bool:
        """Check whether the current update moves the actor: by default the first, and then every second one."""
        return self.updates.done % self.config.actor_every == 0

    def sampler(self, subset: Subset) -> ChainedSampler:
        """Transitions with the data's next action."""
        return ChainedSampler(subset)

    def actor_losses(self, states: Tensor, actions: Tensor) -> dict[str, Tensor]:
        """The loss beta_1 |pi(s) - a|^2 - lambda min Q(s, pi(s)), lambda = 1 / mean |min Q|; the norm sums over A."""
        chosen = torch.tanh(self.actor(states))
        value = self.critic(torch.cat([states, chosen], -1), frozen=True).float().amin(0)
        scale = 1.0 / value.detach().abs().mean()
        distance = (chosen - actions).square().sum(-1).mean()
        return {
            "actor_loss": self.config.actor_penalty * distance - scale * value.mean(),
            "action_error": distance / actions.shape[-1],
        }

    def penalty(self, batch: ChainedBatch, next_actions: Tensor) -> Tensor:
        """The penalty (B,) beta_2 |a' - the data's next action|^2, 0 where there is none; the norm sums over A."""
        distance = (next_actions - self.bounds.to_unit(batch.next_actions)).square().sum(-1)
        return self.config.critic_penalty * batch.goes_on * distance


@torch.no_grad()
def initialize(actor: nn.Sequential, critic: Ensemble) -> None:
    """Set the authors' first weights: as PyTorch's, hidden biases 0.1, and outputs near 0 (0.001 and 0.003)."""
    linear = [layer for layer in actor if isinstance(layer, nn.Linear)]
    for layer in linear[:-1]:
        layer.bias.fill_(0.1)
    for parameter in linear[-1].parameters():
        parameter.uniform_(-1e-3, 1e-3)
    for bias in critic.biases[:-1]:
        bias.fill_(0.1)
    for parameter in (critic.weights[-1], critic.biases[-1]):
        parameter.uniform_(-3e-3, 3e-3)
