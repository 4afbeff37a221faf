"""Conservative Q-Learning (Kumar et al. 2020, arXiv 2006.04779) on soft actor-critic with automatic entropy.

The variant is CQL(H) of the paper's Equation 4, without its factor 1/2 on the Bellman error, as in the authors' code.
The soft maximum is the importance-sampled one of Appendix F, over actions drawn from the uniform distribution and from
the current policy at s; also at s', which only the code does. Defaults are the published code's as CORL configures it
for locomotion; the code's other options are fields. Actor and critics learn from one backward pass, so each uses the
others' weights from before the step, as in CORL. Layers start as PyTorch's do, where CORL's critics start orthogonal.
"""

import copy
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..datasets.fractions import Subset
from ..datasets.windows import TransitionBatch, TransitionSampler, reward_scale
from .densities import squashed_log_density
from .fields import Amount, Count, Delay, Positive, Share
from .networks import Ensemble, mlp, move_towards
from .policy import ActionBounds, History, Normalizer, OptimizerSettings, Policy, Spec

LOG_STD_MIN = -20.0  # soft actor-critic's published bounds
LOG_STD_MAX = 2.0


@dataclass(frozen=True)
class CQLConfig:
    """Settings of CQL; each comment names the source. A is the number of action dimensions."""

    hidden: tuple[Count, ...] = (256, 256, 256)  # of actor and critics; CQL's code and CORL
    discount: Share = 0.99  # CQL's code
    actor_learning_rate: Amount = 3e-5  # CORL; CQL's Appendix F: 3e-5 to 1e-4
    critic_learning_rate: Amount = 3e-4  # CQL's Appendix F
    target_rate: Share = 5e-3  # share of the critic that moves into its target at each step; CQL's code
    conservative_weight: Amount = 10.0  # alpha, as the code scales it; CORL: 10, CQL's code: 5 or 10 without Lagrange
    sampled_actions: Count = 10  # drawn from each of the three proposals; CQL's code
    initial_temperature: Positive = 1.0  # of the entropy bonus; CQL's code
    automatic_entropy: bool = True  # whether the temperature is learned; CQL's code: yes, else it stays 1
    target_entropy: float | None = None  # None: -A, as in soft actor-critic
    backup_entropy: bool = False  # whether the Bellman target carries the entropy bonus; CQL's code: no
    cloning_steps: Delay = 0  # the actor clones the data in its first ones; CQL's code: 40,000 of 3M, CORL: 0
    clip_gap: Amount | None = None  # bound on each sample's conservative gap; CQL's code: none
    # tau, the Lagrange version: alpha is multiplied by a learned factor that holds alpha times the gap at this value.
    # None: alpha is fixed. CQL's Appendix F: 10 for locomotion, 5 for Kitchen and Adroit; its README and CORL: none
    target_gap: Amount | None = None
    importance_sampling: bool = True  # CQL's code: yes (`min_q_version` 3); no: its version 2, CQL(rho), no densities
    soft_maximum_temperature: Positive = 1.0  # CQL's code (`temp`)
    max_backup: bool = False  # the target's value is the best of `sampled_actions`; CQL's code: no
    scale_rewards: bool = False  # to 1000 between the subset's worst and best return; CORL: on hopper-medium


class Noise(NamedTuple):
    """Noise of a loss, in the order of draws: standard normal, but `uniform` in [-1, 1). n is `sampled_actions`."""

    actor: Tensor  # (B, A): of the actor's loss
    target: Tensor  # (B, A), or with `max_backup` (n, B, A): of the Bellman target
    uniform: Tensor  # (n, B, A): the proposals of the uniform distribution
    current: Tensor  # (n, B, A): of the proposals at s
    following: Tensor  # (n, B, A): of the proposals at s'


class CQL(Policy):
    """A tanh-Gaussian actor, two critics with targets, and a learned entropy temperature."""

    updates: Tensor  # () int64: optimiser steps done

    def __init__(self, config: CQLConfig, spec: Spec) -> None:
        super().__init__()
        self.config = config
        self.action_dim = spec.action_dim
        self.target_entropy = -float(spec.action_dim) if config.target_entropy is None else config.target_entropy
        self.normalize = Normalizer(spec)
        self.bounds = ActionBounds(spec)
        self.actor = mlp((spec.observation_dim, *config.hidden, 2 * spec.action_dim))
        self.critic = Ensemble(2, (spec.observation_dim + spec.action_dim, *config.hidden, 1))
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))  # a tensor, so that it is checkpointed
        start = torch.tensor(math.log(config.initial_temperature))
        self.log_temperature = nn.Parameter(start, requires_grad=config.automatic_entropy)
        if config.target_gap is not None:
            self.log_factor = nn.Parameter(torch.zeros(()))  # on the conservative weight

    def sampler(self, subset: Subset) -> TransitionSampler:
        """Single transitions, their rewards scaled if the configuration says so."""
        return TransitionSampler(subset, reward_scale=reward_scale(subset) if self.config.scale_rewards else 1.0)

    def draw(self, batch: TransitionBatch) -> tuple[Noise]:
        """The noise of every action that the losses sample."""
        one = batch.actions.shape
        many = (self.config.sampled_actions, *batch.actions.shape)
        device = batch.actions.device
        noise = Noise(
            actor=torch.randn(one, device=device),
            target=torch.randn(many if self.config.max_backup else one, device=device),
            uniform=torch.rand(many, device=device) * 2.0 - 1.0,
            current=torch.randn(many, device=device),
            following=torch.randn(many, device=device),
        )
        return (noise,)

    def loss(self, batch: TransitionBatch, noise: Noise | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum of all losses; each reaches only its own parameters, so one backward pass serves all."""
        if noise is None:
            (noise,) = self.draw(batch)
        states = self.normalize(batch.observations)
        next_states = self.normalize(batch.next_observations)
        actions = self.bounds.to_unit(batch.actions)
        actor_loss, temperature_loss, entropy = self.actor_losses(states, actions, noise.actor)
        bellman_loss, gap = self.critic_losses(batch, states, actions, next_states, noise)
        total = actor_loss + temperature_loss + bellman_loss
        if self.config.target_gap is None:
            total = total + self.config.conservative_weight * gap
        else:
            total = total + self.lagrangian(gap, self.config.target_gap)
        metrics = {
            "actor_loss": actor_loss,
            "bellman_loss": bellman_loss,
            "conservative_gap": gap,
            "entropy": entropy,
            "temperature": self.log_temperature.exp(),
        }
        if self.config.target_gap is not None:
            metrics["conservative_factor"] = self.log_factor.exp()
        return total, {name: value.detach() for name, value in metrics.items()}

    def actor_losses(self, states: Tensor, data_actions: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Soft actor-critic's policy and temperature losses, and the policy's entropy estimate.

        In the first `cloning_steps` updates the log density of the data's actions stands in for the critics' value.
        """
        actions, log_density = self.sample_actions(states, noise)
        temperature = self.log_temperature.exp().detach()
        value = self.q(states, actions, frozen=True).amin(0)
        if self.config.cloning_steps:
            value = torch.where(self.updates < self.config.cloning_steps, self.log_density(states, data_actions), value)
        actor_loss = (temperature * log_density - value).mean()
        if self.config.automatic_entropy:
            temperature_loss = -(self.log_temperature * (log_density.detach() + self.target_entropy)).mean()
        else:
            temperature_loss = torch.zeros((), device=states.device)
        return actor_loss, temperature_loss, -log_density.mean()

    def critic_losses(
        self, batch: TransitionBatch, states: Tensor, actions: Tensor, next_states: Tensor, noise: Noise
    ) -> tuple[Tensor, Tensor]:
        """The Bellman error and the conservative gap of Equation 4, each summed over both critics."""
        samples = self.config.sampled_actions
        size = len(states)
        with torch.no_grad():
            target = self.bellman_target(batch, next_states, noise.target)
            proposals, log_densities = self.proposals(states, next_states, noise)  # (3n, B, A), (3n, B)
        everything = torch.cat([actions[None], proposals])  # (1 + 3n, B, A): one pass through the critics for all
        values = self.q(states.repeat(3 * samples + 1, 1), everything.reshape(-1, self.action_dim))
        values = values.view(2, 3 * samples + 1, size)
        data_value = values[:, 0]
        proposed = values[:, 1:]
        bellman_loss = F.mse_loss(data_value, target.expand_as(data_value), reduction="none").mean(1).sum()
        compared = proposed - log_densities if self.config.importance_sampling else values
        gap = self.soft_maximum(compared) - data_value
        if self.config.clip_gap is not None:
            gap = gap.clamp(-self.config.clip_gap, self.config.clip_gap)
        return bellman_loss, gap.mean(1).sum()

    def soft_maximum(self, values: Tensor) -> Tensor:
        """The soft maximum T log mean exp(values / T), (2, B) from values (2, n, B).

        The mean inside the logarithm (Appendix F) differs from the published code's sum by a constant.
        """
        temperature = self.config.soft_maximum_temperature
        return temperature * (torch.logsumexp(values / temperature, dim=1) - math.log(values.shape[1]))

    def lagrangian(self, gap: Tensor, target: float) -> Tensor:
        """The Lagrange version's critic loss and, for its factor, minus half of it; `gap` is summed over both critics.

        The target is compared with the published code's gap, whose soft maximum has the sum inside the logarithm.
        """
        compared = 3 * self.config.sampled_actions + (0 if self.config.importance_sampling else 1)
        constant = self.config.soft_maximum_temperature * math.log(compared)
        factor = self.log_factor.exp().clamp(max=1e6)  # as in the published code
        excess = self.config.conservative_weight * (gap + 2.0 * constant) - 2.0 * target
        return factor.detach() * excess - 0.5 * factor * excess.detach()

    def bellman_target(self, batch: TransitionBatch, next_states: Tensor, noise: Tensor) -> Tensor:
        """The target (B,) r + discount * min Q'(s', a'), without Q' at a terminal; timeouts bootstrap.

        With `max_backup`, each critic's value is that of its best of n actions, and entropy has no part in it.
        """
        next_actions, log_density = self.sample_actions(next_states, noise)
        if self.config.max_backup:
            samples, size = noise.shape[:2]
            values = self.q(next_states.repeat(samples, 1), next_actions.reshape(-1, self.action_dim), target=True)
            value = values.view(2, samples, size).amax(1).amin(0)
        else:
            value = self.q(next_states, next_actions, target=True).amin(0)
            if self.config.backup_entropy:
                value = value - self.log_temperature.exp() * log_density
        return batch.rewards + self.config.discount * (1.0 - batch.terminals) * value

    def proposals(self, states: Tensor, next_states: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Actions (3n, B, A) and their log densities (3n, B): n each from uniform, pi(.|s) and pi(.|s')."""
        log_uniform = torch.full(noise.uniform.shape[:2], -self.action_dim * math.log(2.0), device=states.device)
        current, log_current = self.sample_actions(states, noise.current)
        following, log_following = self.sample_actions(next_states, noise.following)
        return torch.cat([noise.uniform, current, following]), torch.cat([log_uniform, log_current, log_following])

    def log_density(self, states: Tensor, actions: Tensor) -> Tensor:
        """Log density (B,) that the actor gives to actions (B, A) in [-1, 1]."""
        mean, log_std = self.gaussian(states)
        before = torch.atanh(actions.clamp(-1.0 + 1e-6, 1.0 - 1e-6))  # at the bounds themselves it would be infinite
        return squashed_log_density(before, (before - mean) / log_std.exp(), log_std)

    def gaussian(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of the actor before squashing, each (B, A)."""
        mean, log_std = self.actor(states).float().chunk(2, -1)
        return mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)

    def sample_actions(self, states: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Actions in [-1, 1], reparametrised by noise (B, A) or (n, B, A), and their log densities (B,) or (n, B)."""
        mean, log_std = self.gaussian(states)
        before = mean + log_std.exp() * noise
        return torch.tanh(before), squashed_log_density(before, noise, log_std)

    def q(self, states: Tensor, actions: Tensor, *, frozen: bool = False, target: bool = False) -> Tensor:
        """Values (2, B) of states (B, S) and actions (B, A) by both critics."""
        critic = self.target_critic if target else self.critic
        values: Tensor = critic(torch.cat([states, actions], -1), frozen=frozen)
        return values.squeeze(-1).float()

    def act(self, history: History) -> Tensor:
        """The actor's mode before squashing, squashed."""
        mean, _ = self.gaussian(self.normalize(history.observations[:, -1]))
        return self.bounds.clip(self.bounds.from_unit(torch.tanh(mean)))

    def after_update(self) -> None:
        """Move the target critics a little towards the critics, and count the update."""
        self.updates += 1
        move_towards(self.target_critic, self.critic, self.config.target_rate)

    def optimizer_settings(self) -> OptimizerSettings:
        """The temperature has the actor's learning rate, the Lagrange version's factor the critics'."""
        actor = list(self.actor.parameters())
        critic = list(self.critic.parameters())
        if self.config.automatic_entropy:
            actor.append(self.log_temperature)
        if self.config.target_gap is not None:
            critic.append(self.log_factor)
        return OptimizerSettings(
            [
                {"params": actor, "lr": self.config.actor_learning_rate, "weight_decay": 0.0},
                {"params": critic, "lr": self.config.critic_learning_rate, "weight_decay": 0.0},
            ]
        )
