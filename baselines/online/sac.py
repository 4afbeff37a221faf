"""Soft actor-critic (Haarnoja et al. 2018, arXiv 1801.01290 and, with learned temperatures, 1812.05905).

It is for environments with stages, as in RoboticSequence (Wołczyk et al. 2024, arXiv 2402.02868, Appendix B.3, after
Continual World): one trunk, and an output head and a temperature for each stage.
Shapes: B batch, S observation, A action, K stages.
"""

import copy
import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..fields import Amount, Bounds, Count, Delay, Positive, Share
from ..networks import UpdateCount, move_towards
from .actors import Actor
from .agent import Agent, Info, first_weights
from .distributions import SquashedGaussian
from .networks import NetworkConfig, StackedNetwork
from .retention import Retention
from .transitions import StagedSpec, Transitions, Visited


@dataclass(frozen=True)
class SACConfig(NetworkConfig):
    """Settings of RoboticSequence's SAC; each comment names the source."""

    hidden: tuple[Count, ...] = (256, 256, 256, 256)  # of actor and critics; Appendix B.3
    activation: Literal["relu", "tanh", "leaky-relu"] = "leaky-relu"  # Appendix B.3
    layer_norm: bool = True  # Appendix B.3 (Continual World adds a tanh behind it)
    head_a_stage: bool = True  # Appendix B.3
    discount: Share = 0.99  # Continual World
    learning_rate: Amount = 1e-3  # of actor, critics and temperatures; Appendix B.3
    target_rate: Share = 5e-3  # share of the critics that moves into their targets at each step; Continual World
    initial_temperature: Positive = 1.0  # of every stage; Continual World
    target_entropy: float | None = None  # None: -A; the second paper
    batch_size: Count = 128  # Appendix B.3
    capacity: Annotated[int, Bounds(1, 10_000_000)] = 100_000  # of the replay buffer, in steps; Appendix B.3
    start_steps: Delay = 10_000  # first steps, whose actions are drawn uniformly; Continual World
    update_after: Delay = 1000  # steps before the first update; Continual World
    updates_per_step: Annotated[float, Bounds(1e-12, 1000.0)] = 1.0  # Continual World: 50 after every 50 steps
    # Bounds of the log standard deviation, clamped in the policy. Continual World: -20 and 2. A clone of a scripted
    # player reaches -20, where a divergence is practically infinite.
    log_std_range: tuple[float, float] = (-5.0, 2.0)


class SAC(Agent):
    """A squashed Gaussian actor, two critics with targets, and a learned temperature for each stage."""

    def __init__(self, config: SACConfig, spec: StagedSpec, seed: int) -> None:
        super().__init__([seed])
        self.config = config
        self.target_entropy = -float(spec.action_dim) if config.target_entropy is None else config.target_entropy
        heads = spec.stages if config.head_a_stage else 1
        with first_weights(seed):
            self.actor = Actor(spec, config, log_std_range=config.log_std_range)
            self.critic = StackedNetwork(2, spec.observation_dim + spec.action_dim, 1, heads, config)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.log_temperature = nn.Parameter(torch.full((spec.stages,), math.log(config.initial_temperature)))
        self.updates = UpdateCount()
        # Neither the actor nor the temperatures have a gradient by the other's loss, so they share an optimiser.
        parts = {"actor": [*self.actor.parameters(), self.log_temperature], "critic": self.critic.parameters()}
        for name, parameters in parts.items():
            self.optimizers[name] = torch.optim.Adam(parameters, config.learning_rate, fused=True)

    def actor_optimizer(self) -> torch.optim.Optimizer:
        """Adam over the actor and the temperatures."""
        return self.optimizers["actor"]

    def update(self, batch: Transitions, retention: Retention) -> Info:
        """Take a step of critics, then of actor and temperatures, and move the targets."""
        return self.update_critics(batch) | self.update_actor(batch, retention)

    def update_critics(self, batch: Transitions) -> Info:
        """Take one step of the critics and move their targets: all that a critic's warm-up does."""
        loss, info = self.critic_loss(batch, self.noise(batch))
        self._step("critic", loss)
        move_towards(self.target_critic, self.critic, self.config.target_rate)
        return info

    def update_actor(self, batch: Transitions, retention: Retention) -> Info:
        """Take one step of the actor, bound by a retention, and of the temperatures."""
        loss, info, visited, log_probs = self.actor_loss(batch, self.noise(batch))
        retained = retention.loss(self.actor, visited, self.updates.done, self.generators)
        self._step("actor", loss + retained + self.temperature_loss(batch, log_probs))
        retention.after_step(self.actor, self.actor_optimizer())
        self.updates.add()
        return info | {"retention_loss": retained.detach()}

    def noise(self, batch: Transitions) -> Tensor:
        """Noise (B, A), standard normal."""
        return torch.randn(batch.actions.shape, generator=self.generators[0])

    def critic_loss(self, batch: Transitions, noise: Tensor) -> tuple[Tensor, Info]:
        """Half the mean squared Bellman error, summed over both critics; the first paper's Equation 5."""
        target = self.bellman_target(batch, noise)
        values = self.values(self.critic, batch.observations, batch.actions, batch.stages)
        loss = F.mse_loss(values, target.expand_as(values))  # the mean over both: half of the sum of both means
        return loss, {"critic_loss": loss.detach(), "value": values.detach().mean()}

    @torch.no_grad()
    def bellman_target(self, batch: Transitions, noise: Tensor) -> Tensor:
        """The target (B,) r + discount * (min Q'(s', a') - temperature * log pi(a'|s')); r alone where a step is done.

        A step that is not done stays in its stage. Where a stage ended, nothing is bootstrapped.
        """
        actions, log_probs = self.gaussian(batch.next_observations, batch.stages).sample_with_log_prob(noise)
        value = self.values(self.target_critic, batch.next_observations, actions, batch.stages).amin(0)
        value = value - self.temperature(batch.stages) * log_probs
        return batch.rewards + self.config.discount * (1.0 - batch.dones) * value

    def actor_loss(self, batch: Transitions, noise: Tensor) -> tuple[Tensor, Info, Visited, Tensor]:
        """Mean of temperature * log pi(a|s) - min Q(s, a); also what retention needs, and the log densities (B,)."""
        policy = self.gaussian(batch.observations, batch.stages)
        actions, log_probs = policy.sample_with_log_prob(noise)
        value = self.values(self.critic, batch.observations, actions, batch.stages).amin(0)
        loss = (self.temperature(batch.stages) * log_probs - value).mean()
        info = {"actor_loss": loss.detach(), "entropy": -log_probs.detach().mean()}
        return loss, info, Visited(batch.observations, batch.stages, policy), log_probs.detach()

    def temperature_loss(self, batch: Transitions, log_probs: Tensor) -> Tensor:
        """The loss -log temperature * (log pi + target entropy); all code has the logarithm, the paper does not."""
        return -(self.log_temperature.index_select(0, batch.stages) * (log_probs + self.target_entropy)).mean()

    def gaussian(self, observations: Tensor, stages: Tensor) -> SquashedGaussian:
        """The actor's distribution."""
        policy = self.actor.distribution(observations, stages)
        assert isinstance(policy, SquashedGaussian), "SAC is for continuous actions"
        return policy

    def values(self, critic: StackedNetwork, observations: Tensor, actions: Tensor, stages: Tensor) -> Tensor:
        """Values (2, B) of observations (B, S), actions (B, A) and stages (B,) by both critics."""
        values: Tensor = critic(torch.cat([observations, actions], -1), stages)
        return values.squeeze(-1)

    def temperature(self, stages: Tensor) -> Tensor:
        """The temperature (B,) of each stage: the reward that a nat of entropy is worth, a constant in every loss."""
        return self.log_temperature.detach().exp().index_select(0, stages)

    def _step(self, name: str, loss: Tensor) -> None:
        """Take a step of one optimiser: only its parameters get gradients and move."""
        optimizer = self.optimizers[name]
        parameters = optimizer.param_groups[0]["params"]
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        optimizer.step()
