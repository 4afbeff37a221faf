"""REINFORCE (Williams 1992).

The settings are AppleRetrieval's (Wołczyk et al. 2024, arXiv 2402.02868, Appendix A.2). Values that the paper does
not give were chosen in pilots. Shapes: E episodes, T steps, S observation.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
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
    """E episodes of at most T steps."""

    observations: Tensor  # (E, T, S)
    stages: Tensor  # (E, T) int64
    actions: Tensor  # (E, T) int64, or (E, T, A)
    rewards: Tensor  # (E, T); 0 after an episode's last step
    mask: Tensor  # (E, T) float: 1 up to an episode's last step, then 0


class Reinforce(Agent):
    """An actor, and gradient descent on it."""

    def __init__(self, config: ReinforceConfig, spec: StagedSpec, seed: int) -> None:
        super().__init__([seed])
        self.config = config
        with first_weights(seed):
            self.actor = Actor(spec, config)
        with torch.no_grad():
            for parameter in self.actor.parameters():
                parameter.mul_(config.initial_scale)
        self.updates = UpdateCount()
        self.optimizers["actor"] = torch.optim.SGD(self.actor.parameters(), config.learning_rate)

    def actor_optimizer(self) -> torch.optim.Optimizer:
        """Plain gradient descent."""
        return self.optimizers["actor"]

    def update(self, episodes: Episodes, retention: Retention) -> Info:
        """Take one optimiser step."""
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
        """Minus the sum over steps of log pi(a|s) * return, mean over episodes."""
        returns = discounted_returns(episodes.rewards, self.config.discount)
        observations = episodes.observations.flatten(0, 1)  # (B, S), (B,)
        stages = episodes.stages.flatten()
        policy = self.actor.distribution(observations, stages)
        weighted = (policy.log_prob(episodes.actions.flatten(0, 1)) * (returns * episodes.mask).flatten()).sum()
        loss = -weighted / len(episodes.rewards)
        info = {"policy_loss": loss.detach(), "return": (episodes.rewards * episodes.mask).sum(-1).mean()}
        return loss, info, Visited(observations, stages, policy, episodes.mask.flatten())


def discounted_returns(rewards: Tensor, discount: float) -> Tensor:
    """The discounted sum (..., T) of the rewards from each step on, its own included."""
    returns = rewards.clone()
    steps = np.moveaxis(returns.numpy(), -1, 0)
    for step in range(len(steps) - 2, -1, -1):
        steps[step] += discount * steps[step + 1]
    return returns
