"""TD3+BC (Fujimoto and Gu 2021, arXiv 2106.06860): twin delayed deterministic policy gradients that clone the data.

Defaults are the authors' code (sfujim/TD3_BC). Three things differ from it: actor and critics learn from one backward
pass, so an actor's step sees the critics as they were before that step rather than after it; states are divided by
their standard deviation as it is, where theirs adds 0.001 to it; and an episode's last step before a timeout, which
D4RL's reader drops, is trained on.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..datasets.fractions import Subset
from ..datasets.windows import TransitionBatch, TransitionSampler
from .fields import Amount, Count, Share
from .networks import Ensemble, UpdateCount, mlp, move_towards
from .policy import ActionBounds, History, Normalizer, OptimizerSettings, Policy, Spec


@dataclass(frozen=True)
class TD3BCConfig:
    """Every field's source in its comment; the authors' code and CORL agree on all of them."""

    hidden: tuple[Count, ...] = (256, 256)  # of actor and critics; authors' code
    discount: Share = 0.99  # authors' code
    actor_learning_rate: Amount = 3e-4  # authors' code
    critic_learning_rate: Amount = 3e-4  # authors' code
    target_rate: Share = 5e-3  # share of actor and critics that moves into their targets; authors' code
    target_noise: Amount = 0.2  # standard deviation of the noise on a target's action, in [-1, 1]; authors' code
    target_noise_limit: Amount = 0.5  # largest size of that noise; authors' code
    actor_every: Count = 2  # critic updates to one of the actor and of all targets; authors' code
    value_weight: Amount = 2.5  # alpha: weight of the value against cloning; the paper's Section 5


class TD3BC(Policy):
    """A deterministic actor and two critics, all with targets."""

    def __init__(self, config: TD3BCConfig, spec: Spec) -> None:
        super().__init__()
        self.config = config
        self.normalize, self.bounds = Normalizer(spec), ActionBounds(spec)
        self.actor = mlp((spec.observation_dim, *config.hidden, spec.action_dim))
        self.critic = Ensemble(2, (spec.observation_dim + spec.action_dim, *config.hidden, 1))
        self.target_actor = copy.deepcopy(self.actor).requires_grad_(False)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.updates = UpdateCount()

    @property
    def actor_is_due(self) -> bool:
        """Whether the update under way is one of the actor's: every second one, by default."""
        return (self.updates.done + 1) % self.config.actor_every == 0

    def sampler(self, subset: Subset) -> TransitionSampler:
        """Single transitions."""
        return TransitionSampler(subset)

    def draw(self, batch: TransitionBatch) -> tuple[Tensor]:
        """Noise (B, A) of variance 1, for the target's actions."""
        return (torch.randn_like(batch.actions),)

    def loss(self, batch: TransitionBatch, noise: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """The critics' loss and, where the actor is due, the actor's; each reaches its own parameters alone.

        Where it is not, the actor has no gradient, and the optimiser leaves it and its moments as they are.
        """
        if noise is None:
            (noise,) = self.draw(batch)
        states, actions = self.normalize(batch.observations), self.bounds.to_unit(batch.actions)
        total = self.critic_loss(batch, states, actions, noise)
        metrics = {"critic_loss": total}
        if self.actor_is_due:
            metrics |= self.actor_losses(states, actions)
            total = total + metrics["actor_loss"]
        return total, {name: value.detach() for name, value in metrics.items()}

    def actor_losses(self, states: Tensor, actions: Tensor) -> dict[str, Tensor]:
        """Equation 3: -lambda Q1(s, pi(s)) + (pi(s) - a)^2, where lambda = alpha / mean |Q1| (Equation 5)."""
        chosen = torch.tanh(self.actor(states))
        value = self.critic(torch.cat([states, chosen], -1), frozen=True, members=1).float()
        scale = self.config.value_weight / value.detach().abs().mean()
        error = F.mse_loss(chosen, actions)
        return {"actor_loss": error - scale * value.mean(), "action_error": error}

    def critic_loss(self, batch: TransitionBatch, states: Tensor, actions: Tensor, noise: Tensor) -> Tensor:
        """Mean squared Bellman error, summed over both critics."""
        target = self.bellman_target(batch, noise)
        values = self.critic(torch.cat([states, actions], -1)).squeeze(-1).float()  # (2, B)
        return F.mse_loss(values, target.expand_as(values), reduction="none").mean(1).sum()

    @torch.no_grad()
    def bellman_target(self, batch: TransitionBatch, noise: Tensor) -> Tensor:
        """(B,): r + discount * min Q'(s', pi'(s') + noise), nothing beyond a terminal; timeouts bootstrap."""
        next_states = self.normalize(batch.next_observations)
        chosen = torch.tanh(self.target_actor(next_states))
        next_actions = smoothed(chosen, self.config.target_noise * noise, self.config.target_noise_limit)
        value: Tensor = self.target_critic(torch.cat([next_states, next_actions], -1)).squeeze(-1).float().amin(0)
        return batch.rewards + self.config.discount * (1.0 - batch.terminals) * value

    def act(self, history: History) -> Tensor:
        """The actor's action."""
        return self.bounds.from_unit(torch.tanh(self.actor(self.normalize(history.observations[:, -1]))))

    def after_update(self) -> None:
        """Count, and after the actor's updates move the targets."""
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
