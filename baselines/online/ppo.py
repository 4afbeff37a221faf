"""Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347), with clipped ratios.

Several seeds can share a pass (`SharedPPO`): each learns from its own steps, in its own order, and comes to the numbers
that it would have alone.
Shapes: T steps, E environments, B = T * E or a minibatch of them, S observation, A action; the dots stand for N seeds,
and for nothing where there is one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..fields import Amount, Count, Share
from ..networks import UpdateCount
from .actors import Actor, stacked_actor
from .agent import Agent, Info, first_weights
from .distributions import Distribution
from .networks import NetworkConfig, StackedNetwork, stacked_network
from .retention import Retention
from .transitions import StagedSpec, Visited


@dataclass(frozen=True)
class PPOLossConfig:
    """The settings of what is learned from a rollout, whatever the networks are.

    The defaults of Stable-Baselines3, after the paper's Table 3, unless a comment says otherwise.
    """

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


@dataclass(frozen=True)
class PPOConfig(PPOLossConfig, NetworkConfig):
    """The settings of an agent whose networks are perceptrons; defaults as above."""

    hidden: tuple[Count, ...] = (64, 64)  # of actor and critic, which are separate
    activation: Literal["relu", "tanh", "leaky-relu"] = "tanh"
    layer_norm: bool = False
    head_a_stage: bool = False
    # Bounds of the log standard deviation. Stable-Baselines3 learns one for all states, without bounds.
    log_std_range: tuple[float, float] = (-5.0, 2.0)


@dataclass(frozen=True)
class Decision:
    """The agent's actions in E environments, their log probabilities, and the values of the states."""

    actions: Tensor  # (..., E, A), or (..., E) int64
    log_probs: Tensor  # (..., E)
    values: Tensor  # (..., E)


@dataclass(frozen=True)
class Rollout:
    """T steps of E environments, with the log probabilities and values of the policy that collected them."""

    observations: Tensor  # (..., T, E, S)
    stages: Tensor  # (..., T, E) int64
    actions: Tensor  # (..., T, E, A), or (..., T, E) int64
    log_probs: Tensor  # (..., T, E)
    values: Tensor  # (..., T, E)
    rewards: Tensor  # (..., T, E)
    dones: Tensor  # (..., T, E) float: 1 where nothing after the step counts for it
    last_values: Tensor  # (..., E): of the states after the last step


@dataclass(frozen=True)
class Minibatch:
    """Steps of a rollout, in any order."""

    observations: Tensor  # (..., B, S)
    stages: Tensor  # (..., B) int64
    actions: Tensor  # (..., B, A), or (..., B) int64
    log_probs: Tensor  # (..., B)
    advantages: Tensor  # (..., B)
    returns: Tensor  # (..., B): what the critic learns


class PPO(Agent):
    """An actor, a critic, and one optimiser for both."""

    config: PPOLossConfig

    def __init__(self, config: PPOConfig, spec: StagedSpec, seed: int) -> None:
        super().__init__([seed])
        self.config = config
        with first_weights(seed):
            self.actor = Actor(spec, config, log_std_range=config.log_std_range)
            self.critic = StackedNetwork(1, spec.observation_dim, 1, self.actor.heads, config)
        self.updates = UpdateCount()
        self.optimizers["all"] = torch.optim.Adam(
            self.parameters(), config.learning_rate, eps=config.epsilon, fused=True
        )

    def actor_optimizer(self) -> torch.optim.Optimizer:
        """Adam over actor and critic."""
        return self.optimizers["all"]

    @torch.no_grad()
    def decide(self, observations: Tensor, stages: Tensor) -> Decision:
        """Draw actions for a rollout, at observations (..., E, S) and stages (..., E)."""
        policy = self.actor.distribution(observations, stages)
        actions = self.drawn(policy)
        return Decision(actions, policy.log_prob(actions), self.value(observations, stages))

    def value(self, observations: Tensor, stages: Tensor) -> Tensor:
        """The critic's values (..., B) at observations (..., B, S) and stages (..., B)."""
        values: Tensor = self.critic(observations, stages)
        return values[0, :, 0]

    def judge(self, observations: Tensor, stages: Tensor) -> tuple[Distribution, Tensor]:
        """The policy at observations (..., B, S) and stages (..., B), and the critic's values (..., B)."""
        return self.actor.distribution(observations, stages), self.value(observations, stages)

    def visited(self, batch: Minibatch, policy: Distribution) -> Visited:
        """The states of a minibatch, for retention."""
        return Visited(batch.observations, batch.stages, policy)

    def update(self, rollout: Rollout, retention: Retention) -> Info:
        """Learn from a rollout in `epochs` passes of minibatches; return means over all of them."""
        infos = [self.update_once(batch, retention) for batch in self.minibatches(rollout)]
        return {name: torch.stack([info[name] for info in infos], -1).mean(-1) for name in infos[0]}

    def minibatches(self, rollout: Rollout) -> Iterator[Minibatch]:
        """Each step once an epoch in random order. The rollout is permuted once, so that a minibatch is a view."""
        steps = self.steps(rollout)
        count = steps.returns.shape[-1]
        for _ in range(self.config.epochs):
            orders = [torch.randperm(count, generator=generator) for generator in self.generators]
            shuffled = (self._shuffled(column, orders) for column in vars(steps).values())
            split = (torch.split(column, self.config.batch_size, int(self.seeds > 1)) for column in shuffled)
            yield from (Minibatch(*columns) for columns in zip(*split, strict=True))

    def _shuffled(self, column: Tensor, orders: Sequence[Tensor]) -> Tensor:
        """The steps (..., B, *) of each seed in its own order."""
        if self.seeds == 1:
            return column[orders[0]]
        return torch.stack([own[order] for own, order in zip(column, orders, strict=True)])

    def steps(self, rollout: Rollout) -> Minibatch:
        """All steps of a rollout, with their advantages and returns."""
        c = self.config
        advantages = generalized_advantages(rollout, c.discount, c.gae_lambda)
        fields = (rollout.observations, rollout.stages, rollout.actions, rollout.log_probs)
        first = rollout.rewards.ndim - 2  # dimensions of a step follow those of the seeds
        return Minibatch(*(x.flatten(first, first + 1) for x in (*fields, advantages, advantages + rollout.values)))

    def update_once(self, batch: Minibatch, retention: Retention) -> Info:
        """Take one step of actor and critic."""
        loss, info, visited = self.loss(batch)
        retained = retention.loss(self.actor, visited, self.updates.done, self.generators)
        self._step(loss + retained)
        self._after_step(retention)
        return info | {"retention_loss": retained.detach()}

    def loss(self, batch: Minibatch) -> tuple[Tensor, Info, Visited]:
        """The paper's Equation 9 (...), negated so that it is minimised; also what retention needs."""
        c = self.config
        policy, values = self.judge(batch.observations, batch.stages)
        policy_loss = self.policy_loss(policy, batch)
        value_loss = squared_error(values, batch.returns)
        loss = policy_loss + c.value_weight * value_loss
        entropy = (policy if c.entropy_weight else policy.detach()).entropy().mean(-1)  # only logged without a weight
        if c.entropy_weight:
            loss = loss - c.entropy_weight * entropy
        info = {"policy_loss": policy_loss, "value_loss": value_loss, "entropy": entropy}
        return loss, {name: value.detach() for name, value in info.items()}, self.visited(batch, policy)

    def policy_loss(self, policy: Distribution, batch: Minibatch) -> Tensor:
        """The clipped surrogate objective (...), the paper's Equation 7, negated."""
        advantages = batch.advantages
        if self.config.normalize_advantages and advantages.shape[-1] > 1:
            deviation = advantages.std(-1, keepdim=True)
            advantages = (advantages - advantages.mean(-1, keepdim=True)) / (deviation + 1e-8)
        ratio = (policy.log_prob(batch.actions) - batch.log_probs).exp()
        clipped = ratio.clamp(1.0 - self.config.clip, 1.0 + self.config.clip)
        return -torch.minimum(advantages * ratio, advantages * clipped).mean(-1)

    def update_critic(self, rollout: Rollout) -> Info:
        """Train only the critic on a rollout: its warm-up under a policy that does not change."""
        losses = []
        for batch in self.minibatches(rollout):
            loss = squared_error(self.value(batch.observations, batch.stages), batch.returns)
            self._step(loss)  # the actor has no gradient, and the optimiser leaves it alone
            losses.append(loss.detach())
        return {"value_loss": torch.stack(losses, -1).mean(-1)}

    def _step(self, loss: Tensor) -> None:
        """Take an optimiser step on the parameters that the loss (...) has a gradient for."""
        self.optimizers["all"].zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._move()

    def _networks(self) -> list[nn.Parameter]:
        """The parameters of actor and critic."""
        return [*self.actor.parameters(), *self.critic.parameters()]

    def _move(self) -> None:
        """Follow the gradients."""
        optimizer = self.optimizers["all"]
        nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], self.config.gradient_clip)
        optimizer.step()

    def _after_step(self, retention: Retention) -> None:
        """Let retention correct the step, and count it."""
        retention.after_step(self.actor, self.actor_optimizer())
        self.updates.add()


class SharedPPO(PPO):
    """N agents of one shape: what they do and what they lose is computed in one pass, and each takes its own steps.

    Their parameters become parts of the stacked ones, so that they have what they learn. Nothing else of them changes.
    """

    def __init__(self, agents: Sequence[PPO]) -> None:
        Agent.__init__(self, [])
        self.config = agents[0].config
        self.agents = list(agents)
        self.generators = [agent.generators[0] for agent in agents]
        self.updates = agents[0].updates
        self.actor = stacked_actor([agent.actor for agent in agents])
        self.critic = stacked_network([agent.critic for agent in agents])
        for stacked, *own in zip(self._networks(), *(agent._networks() for agent in agents), strict=True):
            for number, parameter in enumerate(own):
                parameter.data = stacked.data[number : number + 1]

    def value(self, observations: Tensor, stages: Tensor) -> Tensor:
        """The critics' values (N, B) at observations (N, B, S) and stages (N, B)."""
        hidden = self.critic.trunk(observations)[-1]
        # One by one: several products with a single column each take another routine, which sums in another order.
        each = [slice(number, number + 1) for number in range(self.seeds)]
        return torch.cat([self.critic.head(hidden[own], stages[own], own) for own in each])[..., 0]

    def _step(self, loss: Tensor) -> None:
        self.zero_grad(set_to_none=True)
        torch.autograd.backward(loss.sum())
        for number, agent in enumerate(self.agents):
            for stacked, own in zip(self._networks(), agent._networks(), strict=True):
                own.grad = None if stacked.grad is None else stacked.grad[number : number + 1]
            agent._move()

    def _after_step(self, retention: Retention) -> None:
        for agent, own in zip(self.agents, retention.parts, strict=True):
            agent._after_step(own)


def squared_error(values: Tensor, returns: Tensor) -> Tensor:
    """The mean squared error (...) of values (..., B)."""
    return F.mse_loss(values, returns, reduction="none").mean(-1)


def generalized_advantages(rollout: Rollout, discount: float, gae_lambda: float) -> Tensor:
    """Generalised advantage estimates (..., T, E) (Schulman et al. 2016, arXiv 1506.02438, Equation 16).

    The steps are gone through in NumPy, whose small operations take a tenth of PyTorch's time.
    """
    goes_on = 1.0 - rollout.dones
    following = torch.cat([rollout.values[..., 1:, :], rollout.last_values[..., None, :]], -2)
    errors = rollout.rewards + discount * goes_on * following - rollout.values
    decay = discount * gae_lambda * goes_on
    advantages = np.moveaxis(errors.numpy(), -2, 0)  # becomes what it is named, from the last step on
    decays = np.moveaxis(decay.numpy(), -2, 0)
    for step in range(len(advantages) - 2, -1, -1):
        advantages[step] += decays[step] * advantages[step + 1]
    return errors
