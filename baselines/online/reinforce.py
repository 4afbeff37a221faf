"""REINFORCE (Williams 1992), for several seeds in one pass.

The settings are AppleRetrieval's (Wołczyk et al. 2024, arXiv 2402.02868, Appendix A.2). Values that the paper does
not give were chosen in pilots. Shapes: N seeds, E episodes, T steps, S observation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..fields import Amount, Count, Share
from ..networks import UpdateCount
from .actors import Actor
from .agent import Agent, Info, first_weights
from .networks import NetworkConfig
from .retention import Retention
from .transitions import StagedSpec, Visited


@dataclass(frozen=True)
class ReinforceConfig(NetworkConfig):
    """Settings of AppleRetrieval's policy: a sigmoid of w * o + b."""

    hidden: tuple[Count, ...] = ()  # Appendix A.2: linear
    activation: Literal["relu", "tanh", "leaky-relu"] = "tanh"
    layer_norm: bool = False
    head_a_stage: bool = False  # the observation's sign tells the phase; Appendix A.2
    learning_rate: Amount = 1e-3  # of plain gradient descent; pilots
    discount: Share = 0.99  # pilots
    initial_scale: Amount = 0.0  # factor of PyTorch's first weights; pilots. Hidden layers need more than 0


@dataclass(frozen=True)
class Episodes:
    """E episodes of at most T steps, of each of N seeds; one seed has no first dimension."""

    observations: Tensor  # (N, E, T, S)
    stages: Tensor  # (N, E, T) int64
    actions: Tensor  # (N, E, T) int64, or (N, E, T, A)
    rewards: Tensor  # (N, E, T); 0 after an episode's last step
    mask: Tensor  # (N, E, T) float: 1 up to an episode's last step, then 0


class Reinforce(Agent):
    """An actor, and gradient descent on it."""

    def __init__(self, config: ReinforceConfig, spec: StagedSpec, seeds: Sequence[int]) -> None:
        super().__init__(seeds)
        self.config = config
        self.actor = Actor(spec, config, len(seeds))
        self._begin(spec, seeds)
        self.updates = UpdateCount()
        self.optimizers["actor"] = torch.optim.SGD(self.actor.parameters(), config.learning_rate)

    @torch.no_grad()
    def _begin(self, spec: StagedSpec, seeds: Sequence[int]) -> None:
        """Give each seed the first weights that it would have alone."""
        for number, seed in enumerate(seeds):
            with first_weights(seed):
                alone = Actor(spec, self.config)
            for stacked, own in zip(self.actor.parameters(), alone.parameters(), strict=True):
                stacked[number] = self.config.initial_scale * own[0]

    def actor_optimizer(self) -> torch.optim.Optimizer:
        """Plain gradient descent."""
        return self.optimizers["actor"]

    def update(self, episodes: Episodes, retention: Retention) -> Info:
        """Take one optimiser step for all seeds."""
        loss, info, visited = self.loss(episodes)
        retained = retention.loss(self.actor, visited, self.updates.done, self.generators)
        optimizer = self.optimizers["actor"]
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss + retained)
        optimizer.step()
        retention.after_step(self.actor, optimizer)
        self.updates.add()
        return info | {"retention_loss": retained.detach()}

    def loss(self, episodes: Episodes) -> tuple[Tensor, Info, Visited]:
        """Minus the sum over steps of log pi(a|s) * return, mean over episodes, sum over seeds."""
        returns = discounted_returns(episodes.rewards, self.config.discount)
        observations = episodes.observations.flatten(-3, -2)  # (N, B, S), (N, B)
        stages = episodes.stages.flatten(-2)
        actions = episodes.actions.flatten(*((-2, -1) if self.actor.discrete else (-3, -2)))
        policy = self.actor.distribution(observations, stages)
        weighted = (policy.log_prob(actions) * (returns * episodes.mask).flatten(-2)).sum(-1)  # (N,)
        loss = -weighted.sum() / episodes.rewards.shape[-2]
        info = {"policy_loss": loss.detach(), "return": (episodes.rewards * episodes.mask).sum(-1).mean()}
        return loss, info, Visited(observations, stages, policy, episodes.mask.flatten(-2))


def discounted_returns(rewards: Tensor, discount: float) -> Tensor:
    """The discounted sum (..., T) of the rewards from each step on, its own included."""
    returns = torch.empty_like(rewards)
    later = torch.zeros_like(rewards[..., 0])
    for step in range(rewards.shape[-1] - 1, -1, -1):
        later = rewards[..., step] + discount * later
        returns[..., step] = later
    return returns
