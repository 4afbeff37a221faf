"""Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347), with clipped ratios.

Shapes: T steps, E environments, B = T * E or a minibatch of them, S observation, A action.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..fields import Amount, Count, Share
from ..networks import UpdateCount
from .actors import Actor
from .agent import Agent, Info, first_weights
from .distributions import Distribution
from .networks import NetworkConfig, StackedNetwork
from .retention import Retention
from .transitions import StagedSpec, Visited


@dataclass(frozen=True)
class PPOConfig(NetworkConfig):
    """Settings of PPO: Stable-Baselines3's defaults, after the paper's Table 3, unless a comment says otherwise."""

    hidden: tuple[Count, ...] = (64, 64)  # of actor and critic, which are separate
    activation: Literal["relu", "tanh", "leaky-relu"] = "tanh"
    layer_norm: bool = False
    head_a_stage: bool = False
    discount: Share = 0.99
    gae_lambda: Share = 0.95
    learning_rate: Amount = 3e-4
    epsilon: Amount = 1e-5  # Adam's
    epochs: Count = 10  # passes over a rollout
    batch_size: Count = 64  # of a minibatch
    clip: Amount = 0.2  # of the ratio, around 1
    normalize_advantages: bool = True  # to zero mean and unit variance in each minibatch
    entropy_weight: Amount = 0.0
    value_weight: Amount = 0.5
    gradient_clip: Amount = 0.5  # largest norm of all gradients together
    # Bounds of the log standard deviation. Stable-Baselines3 learns one for all states, without bounds.
    log_std_range: tuple[float, float] = (-5.0, 2.0)


@dataclass(frozen=True)
class Decision:
    """The agent's actions in E environments, their log probabilities, and the values of the states."""

    actions: Tensor  # (E, A), or (E,) int64
    log_probs: Tensor  # (E,)
    values: Tensor  # (E,)


@dataclass(frozen=True)
class Rollout:
    """T steps of E environments, with the log probabilities and values of the policy that collected them."""

    observations: Tensor  # (T, E, S)
    stages: Tensor  # (T, E) int64
    actions: Tensor  # (T, E, A), or (T, E) int64
    log_probs: Tensor  # (T, E)
    values: Tensor  # (T, E)
    rewards: Tensor  # (T, E)
    dones: Tensor  # (T, E) float: 1 where nothing after the step counts for it
    last_values: Tensor  # (E,): of the states after the last step


@dataclass(frozen=True)
class Minibatch:
    """Steps of a rollout, in any order."""

    observations: Tensor  # (B, S)
    stages: Tensor  # (B,) int64
    actions: Tensor  # (B, A), or (B,) int64
    log_probs: Tensor  # (B,)
    advantages: Tensor  # (B,)
    returns: Tensor  # (B,): what the critic learns


class PPO(Agent):
    """An actor, a critic, and one optimiser for both."""

    def __init__(self, config: PPOConfig, spec: StagedSpec, seed: int) -> None:
        super().__init__([seed])
        self.config = config
        with first_weights(seed):
            self.actor = Actor(spec, config, log_std_range=config.log_std_range)
            self.critic = StackedNetwork(1, spec.observation_dim, 1, self.actor.network.heads, config)
        self.updates = UpdateCount()
        self.optimizers["all"] = torch.optim.Adam(
            self.parameters(), config.learning_rate, eps=config.epsilon, fused=True
        )

    def actor_optimizer(self) -> torch.optim.Optimizer:
        """Adam over actor and critic."""
        return self.optimizers["all"]

    @torch.no_grad()
    def decide(self, observations: Tensor, stages: Tensor) -> Decision:
        """Draw actions for a rollout, at observations (E, S) and stages (E,)."""
        policy = self.actor.distribution(observations, stages)
        actions = policy.sample(policy.noise(self.generators[0]))
        return Decision(actions, policy.log_prob(actions), self.value(observations, stages))

    def value(self, observations: Tensor, stages: Tensor) -> Tensor:
        """The critic's values (B,) at observations (B, S) and stages (B,)."""
        values: Tensor = self.critic(observations, stages)
        return values[0, :, 0]

    def update(self, rollout: Rollout, retention: Retention) -> Info:
        """Learn from a rollout in `epochs` passes of minibatches; return means over all of them."""
        infos = [self.update_once(batch, retention) for batch in self.minibatches(rollout)]
        return {name: torch.stack([info[name] for info in infos]).mean() for name in infos[0]}

    def minibatches(self, rollout: Rollout) -> Iterator[Minibatch]:
        """Each step once an epoch in random order. The rollout is permuted once, so that a minibatch is a view."""
        steps = self.steps(rollout)
        for _ in range(self.config.epochs):
            order = torch.randperm(len(steps.returns), generator=self.generators[0])
            shuffled = (torch.split(column[order], self.config.batch_size) for column in vars(steps).values())
            yield from (Minibatch(*columns) for columns in zip(*shuffled, strict=True))

    def steps(self, rollout: Rollout) -> Minibatch:
        """All steps of a rollout, with their advantages and returns."""
        c = self.config
        advantages = generalized_advantages(rollout, c.discount, c.gae_lambda)
        fields = (rollout.observations, rollout.stages, rollout.actions, rollout.log_probs)
        return Minibatch(*(x.flatten(0, 1) for x in (*fields, advantages, advantages + rollout.values)))

    def update_once(self, batch: Minibatch, retention: Retention) -> Info:
        """Take one step of actor and critic."""
        loss, info, visited = self.loss(batch)
        retained = retention.loss(self.actor, visited, self.updates.done, self.generators)
        self._step(loss + retained)
        retention.after_step(self.actor, self.actor_optimizer())
        self.updates.add()
        return info | {"retention_loss": retained.detach()}

    def loss(self, batch: Minibatch) -> tuple[Tensor, Info, Visited]:
        """The paper's Equation 9, negated so that it is minimised; also what retention needs."""
        c = self.config
        policy = self.actor.distribution(batch.observations, batch.stages)
        policy_loss = self.policy_loss(policy, batch)
        value_loss = F.mse_loss(self.value(batch.observations, batch.stages), batch.returns)
        loss = policy_loss + c.value_weight * value_loss
        entropy = (policy if c.entropy_weight else policy.detach()).entropy().mean()  # only logged without a weight
        if c.entropy_weight:
            loss = loss - c.entropy_weight * entropy
        info = {"policy_loss": policy_loss, "value_loss": value_loss, "entropy": entropy}
        visited = Visited(batch.observations, batch.stages, policy)
        return loss, {name: value.detach() for name, value in info.items()}, visited

    def policy_loss(self, policy: Distribution, batch: Minibatch) -> Tensor:
        """The clipped surrogate objective, the paper's Equation 7, negated."""
        advantages = batch.advantages
        if self.config.normalize_advantages and len(advantages) > 1:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        ratio = (policy.log_prob(batch.actions) - batch.log_probs).exp()
        clipped = ratio.clamp(1.0 - self.config.clip, 1.0 + self.config.clip)
        return -torch.minimum(advantages * ratio, advantages * clipped).mean()

    def update_critic(self, rollout: Rollout) -> Info:
        """Train only the critic on a rollout: its warm-up under a policy that does not change."""
        losses = []
        for batch in self.minibatches(rollout):
            loss = F.mse_loss(self.value(batch.observations, batch.stages), batch.returns)
            self._step(loss)  # the actor has no gradient, and the optimiser leaves it alone
            losses.append(loss.detach())
        return {"value_loss": torch.stack(losses).mean()}

    def _step(self, loss: Tensor) -> None:
        """Take an optimiser step on the parameters that the loss has a gradient for."""
        optimizer = self.optimizers["all"]
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], self.config.gradient_clip)
        optimizer.step()


def generalized_advantages(rollout: Rollout, discount: float, gae_lambda: float) -> Tensor:
    """Generalised advantage estimates (T, E) (Schulman et al. 2016, arXiv 1506.02438, Equation 16)."""
    goes_on = 1.0 - rollout.dones
    following = torch.cat([rollout.values[1:], rollout.last_values[None]])
    errors = rollout.rewards + discount * goes_on * following - rollout.values
    advantages = torch.empty_like(errors)
    later = torch.zeros_like(rollout.last_values)
    for step in range(len(errors) - 1, -1, -1):
        later = errors[step] + discount * gae_lambda * goes_on[step] * later
        advantages[step] = later
    return advantages
