"""Twin delayed deterministic policy gradients (TD3, Fujimoto et al. 2018, arXiv 1802.09477) on fixed data.

The parts that TD3+BC and ReBRAC share. Actor and critics learn from one backward pass, so an actor's step uses the
critics' weights from before that step, not from after it as in the authors' code. The last step before a timeout is
trained on; the authors' readers drop it.
"""

import copy
from abc import abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..datasets.windows import TransitionBatch
from .fields import Amount, Count, Share
from .networks import Ensemble, UpdateCount, mlp, move_towards
from .policy import ActionBounds, History, Normalizer, OptimizerSettings, Policy, Spec

Batch = TypeVar("Batch", bound=TransitionBatch)


@dataclass(frozen=True)
class DelayedActorCriticConfig:
    """Settings of both methods, with TD3+BC's values; each comment names the source."""

    hidden: tuple[Count, ...] = (256, 256)  # of actor and critics; authors' code
    discount: Share = 0.99  # authors' code
    actor_learning_rate: Amount = 3e-4  # authors' code
    critic_learning_rate: Amount = 3e-4  # authors' code
    target_rate: Share = 5e-3  # share of actor and critics that moves into their targets; authors' code
    target_noise: Amount = 0.2  # standard deviation of the noise on a target's action, in [-1, 1]; authors' code
    target_noise_limit: Amount = 0.5  # largest size of that noise; authors' code
    actor_every: Count = 2  # critic updates to one of the actor and of all targets; authors' code


class DelayedActorCritic(Policy, Generic[Batch]):
    """A deterministic actor and two critics, all with targets."""

    config: DelayedActorCriticConfig

    def __init__(
        self, config: DelayedActorCriticConfig, spec: Spec, *, normalize: bool = True, layer_norm: bool = False
    ) -> None:
        super().__init__()
        self.config = config
        hidden = config.hidden
        self.normalize: nn.Module = Normalizer(spec) if normalize else nn.Identity()
        self.bounds = ActionBounds(spec)
        self.actor = mlp((spec.observation_dim, *hidden, spec.action_dim))
        self.critic = Ensemble(2, (spec.observation_dim + spec.action_dim, *hidden, 1), layer_norm)
        self.initialize()
        self.target_actor = copy.deepcopy(self.actor).requires_grad_(False)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.updates = UpdateCount()

    def initialize(self) -> None:
        """Set the first weights, before the targets are copied; by default they stay as PyTorch draws them."""

    @property
    @abstractmethod
    def actor_is_due(self) -> bool:
        """Check whether the current update moves the actor."""

    @abstractmethod
    def actor_losses(self, states: Tensor, actions: Tensor) -> dict[str, Tensor]:
        """`actor_loss`, which is minimised, and further metrics, from states (B, S) and actions (B, A) in [-1, 1]."""

    def penalty(self, batch: Batch, next_actions: Tensor) -> Tensor | float:
        """The penalty (B,) that is subtracted from the value of the target's actions (B, A)."""
        return 0.0

    def draw(self, batch: Batch) -> tuple[Tensor]:
        """Noise (B, A) of variance 1, for the target's actions."""
        return (torch.randn_like(batch.actions),)

    def loss(self, batch: Batch, noise: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """The critics' loss and, when the actor is due, the actor's; each reaches only its own parameters.

        Otherwise the actor has no gradient, and the optimiser leaves it and its moments unchanged.
        """
        if noise is None:
            (noise,) = self.draw(batch)
        states = self.normalize(batch.observations)
        actions = self.bounds.to_unit(batch.actions)
        total = self.critic_loss(batch, states, actions, noise)
        metrics = {"critic_loss": total}
        if self.actor_is_due:
            metrics |= self.actor_losses(states, actions)
            total = total + metrics["actor_loss"]
        return total, {name: value.detach() for name, value in metrics.items()}

    def critic_loss(self, batch: Batch, states: Tensor, actions: Tensor, noise: Tensor) -> Tensor:
        """Mean squared Bellman error, summed over both critics."""
        target = self.bellman_target(batch, noise)
        values = self.critic(torch.cat([states, actions], -1)).squeeze(-1).float()  # (2, B)
        return F.mse_loss(values, target.expand_as(values), reduction="none").mean(1).sum()

    @torch.no_grad()
    def bellman_target(self, batch: Batch, noise: Tensor) -> Tensor:
        """The target (B,) r + discount * (min Q'(s', a') - penalty), a' = pi'(s') + noise.

        Without the second term at a terminal; timeouts bootstrap.
        """
        next_states = self.normalize(batch.next_observations)
        chosen = torch.tanh(self.target_actor(next_states))
        next_actions = smoothed(chosen, self.config.target_noise * noise, self.config.target_noise_limit)
        value: Tensor = self.target_critic(torch.cat([next_states, next_actions], -1)).squeeze(-1).float().amin(0)
        value = value - self.penalty(batch, next_actions)
        return batch.rewards + self.config.discount * (1.0 - batch.terminals) * value

    def act(self, history: History) -> Tensor:
        """The actor's action."""
        chosen = torch.tanh(self.actor(self.normalize(history.observations[:, -1])))
        return self.bounds.clip(self.bounds.from_unit(chosen))

    def after_update(self) -> None:
        """Count the update, and after the actor's updates move the targets."""
        if self.actor_is_due:
            move_towards(self.target_actor, self.actor, self.config.target_rate)
            move_towards(self.target_critic, self.critic, self.config.target_rate)
        self.updates.add()

    def optimizer_settings(self) -> OptimizerSettings:
        """One group for the actor, one for the critics."""
        parts = ((self.actor, self.config.actor_learning_rate), (self.critic, self.config.critic_learning_rate))
        return OptimizerSettings(
            [{"params": list(part.parameters()), "lr": rate, "weight_decay": 0.0} for part, rate in parts]
        )


def smoothed(actions: Tensor, noise: Tensor, limit: float) -> Tensor:
    """Actions (B, A) in [-1, 1] with clipped noise (B, A) (target policy smoothing; Fujimoto et al. 2018)."""
    return (actions + noise.clamp(-limit, limit)).clamp(-1.0, 1.0)
