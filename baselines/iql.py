"""Implicit Q-Learning (Kostrikov et al. 2021, arXiv 2110.06169): values by expectiles, a policy by weighted cloning.

It never evaluates an action outside the data: V is an upper expectile of Q over the data's actions, Q is regressed on
r + discount * V, and the policy clones the data's actions, each weighted by its advantage over V.

Defaults are the authors' code (ikostrikov/implicit_q_learning) for locomotion. Three things differ from it. All
networks learn from one backward pass, so Q and policy use V from before the step (as in CORL) rather than from
after it. Observations are normalised (as in CORL). Layers start as PyTorch's do rather than orthogonal.
"""

import copy
import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..datasets.fractions import Subset
from ..datasets.windows import TransitionBatch, TransitionSampler, reward_scale
from .fields import Amount, Count, Positive, Share
from .networks import Ensemble, mlp, move_towards
from .policy import ActionBounds, History, Normalizer, OptimizerSettings, Policy, Spec

LOG_STD_MIN = -5.0  # authors' code
LOG_STD_MAX = 2.0


@dataclass(frozen=True)
class IQLConfig:
    """Settings of IQL; each comment names the source."""

    hidden: tuple[Count, ...] = (256, 256)  # of all networks; authors' code
    discount: Share = 0.99  # authors' code
    actor_learning_rate: Amount = 3e-4  # authors' code
    critic_learning_rate: Amount = 3e-4  # authors' code
    value_learning_rate: Amount = 3e-4  # authors' code
    actor_decay: Literal["constant", "cosine"] = "cosine"  # of the actor's learning rate alone; authors' code
    target_rate: Share = 5e-3  # share of the critics that moves into their targets at each step; authors' code
    expectile: Share = 0.7  # tau; authors' code: 0.7 for locomotion and Kitchen, 0.9 for AntMaze
    temperature: Amount = 3.0  # beta, which multiplies the advantage: 0 clones; authors' code: 3, Kitchen 0.5
    largest_weight: Positive = 100.0  # of a cloned action; authors' code
    dropout: Share = 0.0  # in the actor, after each hidden layer; authors' code: none, Kitchen 0.1
    scale_rewards: bool = False  # to 1000 between the subset's worst and best return; authors: locomotion, CORL: hopper


class IQL(Policy):
    """A Gaussian actor whose deviation does not depend on the state, two critics with targets, and a state value."""

    def __init__(self, config: IQLConfig, spec: Spec) -> None:
        super().__init__()
        self.config = config
        self.normalize = Normalizer(spec)
        self.bounds = ActionBounds(spec)
        self.actor = mlp((spec.observation_dim, *config.hidden, spec.action_dim), config.dropout)
        self.log_std = nn.Parameter(torch.zeros(spec.action_dim))
        self.value = mlp((spec.observation_dim, *config.hidden, 1))
        self.critic = Ensemble(2, (spec.observation_dim + spec.action_dim, *config.hidden, 1))
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)

    def sampler(self, subset: Subset) -> TransitionSampler:
        """Single transitions, their rewards scaled if the configuration says so."""
        return TransitionSampler(subset, reward_scale=reward_scale(subset) if self.config.scale_rewards else 1.0)

    def loss(self, batch: TransitionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum of the three losses; each reaches only its own parameters, so one backward pass serves all."""
        states = self.normalize(batch.observations)
        actions = self.bounds.to_unit(batch.actions)
        with torch.no_grad():
            target_value = self.q(self.target_critic, states, actions).amin(0)
        advantage = target_value - self.v(states)
        metrics = {
            "actor_loss": self.actor_loss(states, actions, advantage.detach()),
            "critic_loss": self.critic_loss(batch, states, actions),
            "value_loss": expectile_loss(advantage, self.config.expectile),
        }
        total = metrics["actor_loss"] + metrics["critic_loss"] + metrics["value_loss"]
        return total, {name: value.detach() for name, value in metrics.items()} | {
            "advantage": advantage.detach().mean()
        }

    def actor_loss(self, states: Tensor, actions: Tensor, advantage: Tensor) -> Tensor:
        """Equation 7: minus the log density of the data's actions, each weighted by exp(beta * advantage), clipped."""
        weight = (self.config.temperature * advantage).exp().clamp(max=self.config.largest_weight)
        return -(weight * self.log_density(states, actions)).mean()

    def critic_loss(self, batch: TransitionBatch, states: Tensor, actions: Tensor) -> Tensor:
        """Equation 6, summed over both critics: nothing beyond a terminal; timeouts bootstrap."""
        with torch.no_grad():
            beyond = (1.0 - batch.terminals) * self.v(self.normalize(batch.next_observations))
            target = batch.rewards + self.config.discount * beyond
        values = self.q(self.critic, states, actions)
        return F.mse_loss(values, target.expand_as(values), reduction="none").mean(1).sum()

    def log_density(self, states: Tensor, actions: Tensor) -> Tensor:
        """Log density (B,) of actions (B, A) in [-1, 1] under a Gaussian around the mode, not cut at the bounds."""
        log_std = self.log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)
        error = (actions - self.mode(states)) / log_std.exp()
        return (-0.5 * error.square() - log_std - 0.5 * math.log(2.0 * math.pi)).sum(-1)

    def mode(self, states: Tensor) -> Tensor:
        """The likeliest actions (B, A), in [-1, 1]."""
        return torch.tanh(self.actor(states).float())

    def v(self, states: Tensor) -> Tensor:
        """Values (B,) of states (B, S)."""
        return torch.as_tensor(self.value(states).squeeze(-1).float())

    def q(self, critic: Ensemble, states: Tensor, actions: Tensor) -> Tensor:
        """Values (2, B) of states (B, S) and actions (B, A) by both members."""
        return torch.as_tensor(critic(torch.cat([states, actions], -1)).squeeze(-1).float())

    def act(self, history: History) -> Tensor:
        """The actor's likeliest actions."""
        return self.bounds.clip(self.bounds.from_unit(self.mode(self.normalize(history.observations[:, -1]))))

    def after_update(self) -> None:
        """Move the target critics a little towards the critics."""
        move_towards(self.target_critic, self.critic, self.config.target_rate)

    def optimizer_settings(self) -> OptimizerSettings:
        """Settings with a group for each network; only the actor's learning rate falls."""
        c = self.config
        actor = {"params": [*self.actor.parameters(), self.log_std], "lr": c.actor_learning_rate}
        critic = {"params": list(self.critic.parameters()), "lr": c.critic_learning_rate}
        value = {"params": list(self.value.parameters()), "lr": c.value_learning_rate}
        return OptimizerSettings(
            [group | {"weight_decay": 0.0} for group in (actor | {"decay": c.actor_decay}, critic, value)]
        )


def expectile_loss(difference: Tensor, expectile: float) -> Tensor:
    """Equation 5: mean of |tau - 1(u < 0)| u^2 over differences u (B,)."""
    weight = torch.where(difference > 0, expectile, 1.0 - expectile)
    return (weight * difference.square()).mean()
