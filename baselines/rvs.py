"""RvS (Emmons et al. 2021, arXiv 2112.10751): clone actions by supervised learning, conditioned on their outcome.

RvS-R is conditioned on the average reward over the rest of the horizon. RvS-G is conditioned on a state that the
episode reached later. It is sampled in training; in evaluation it is the current state with the object of the first
unfinished sub-goal moved to its place. So RvS-G is for tasks with sub-goals: the kitchen.

Defaults are the authors' code (scottemmons/rvs). Four things differ from it. Observations are normalised, and average
rewards divided by the task's return scale. Their evaluation commands one average throughout, picked afterwards from
ten; here it is what the target return leaves for the remaining steps, inside the range of the data. Goals leave out
the half of a kitchen observation that never changes. Layers start as PyTorch's do rather than orthogonal.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..datasets.errors import UserError
from ..datasets.fractions import Subset
from ..datasets.kitchen import GOAL_SIZE, next_goals
from ..datasets.windows import ContextBatch, ContextSampler, GoalBatch, GoalSampler
from .fields import Amount, Count, Share
from .networks import mlp
from .policy import ActionBounds, History, Normalizer, OptimizerSettings, Policy, Spec

LOG_STD_MIN = -20.0  # so that data without noise can't drive a density to infinity; authors: none
LOG_STD_MAX = 2.0


@dataclass(frozen=True)
class RvSConfig:
    """Settings of RvS; each comment names the source."""

    condition: Literal["return", "goal"] = "return"  # RvS-R or RvS-G; authors: "goal" for Kitchen and AntMaze
    hidden: tuple[Count, ...] = (1024, 1024)  # authors' code
    dropout: Share = 0.0  # after each hidden layer; authors' code: 0 for locomotion, 0.1 for Kitchen
    learning_rate: Amount = 1e-3  # authors' code
    decay: Literal["constant", "cosine"] = "constant"  # learning-rate schedule; authors' code: constant


class RvS(Policy):
    """A Gaussian around an MLP of state and condition, whose deviation does not depend on them."""

    lowest: Tensor  # () reward a step over the rest of the horizon that the data saw
    highest: Tensor  # ()

    def __init__(self, config: RvSConfig, spec: Spec) -> None:
        super().__init__()
        if config.condition == "goal" and not spec.sub_goals:
            raise UserError("condition=goal needs a task with sub-goals, as the kitchen has; give condition=return")
        self.config = config
        self.spec = spec
        self.normalize = Normalizer(spec)
        self.bounds = ActionBounds(spec)
        told = GOAL_SIZE if config.condition == "goal" else 1
        self.actor = mlp((spec.observation_dim + told, *config.hidden, spec.action_dim), config.dropout)
        self.log_std = nn.Parameter(torch.zeros(spec.action_dim))
        # as tensors, because each seed has its own; not in checkpoints, since building the policy restores them
        for name, rate in zip(("lowest", "highest"), spec.reward_rates, strict=True):
            self.register_buffer(name, torch.tensor(rate, dtype=torch.float32), persistent=False)

    def sampler(self, subset: Subset) -> ContextSampler | GoalSampler:
        """Single steps with the return that followed, or with a state that did."""
        return GoalSampler(subset) if self.config.condition == "goal" else ContextSampler(subset, context=1)

    def loss(self, batch: ContextBatch | GoalBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Minus the log density of the data's actions, in [-1, 1], summed over action dimensions."""
        if isinstance(batch, GoalBatch):
            mean = self.mean(batch.observations, self.normalize(batch.goals)[:, :GOAL_SIZE])
            actions = batch.actions
        else:
            told = self.average_reward(batch.returns_to_go[:, 0], batch.timesteps[:, 0])
            mean = self.mean(batch.observations[:, 0], told)
            actions = batch.actions[:, 0]
        log_std = self.log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)
        error = self.bounds.to_unit(actions) - mean
        density = -0.5 * (error / log_std.exp()).square() - log_std - 0.5 * math.log(2.0 * math.pi)
        loss = -density.sum(-1).mean()
        return loss, {"negative_log_density": loss.detach(), "action_error": error.detach().square().mean()}

    def mean(self, observations: Tensor, outcome: Tensor) -> Tensor:
        """The likeliest actions (B, A) for observations (B, S) and outcomes (B, 1) or (B, 30); not cut to [-1, 1]."""
        return torch.as_tensor(self.actor(torch.cat([self.normalize(observations), outcome], -1)).float())

    def average_reward(self, returns_to_go: Tensor, timesteps: Tensor) -> Tensor:
        """The reward a step (B, 1) over the rest of the horizon, inside the range of the data, in scaled returns.

        An episode that ends early earns nothing afterwards. A rate of 1 earns `return_scale` in a horizon.
        """
        rate = returns_to_go / (self.spec.horizon - timesteps)
        return (rate.clamp(self.lowest, self.highest) * (self.spec.horizon / self.spec.return_scale))[:, None]

    def action_loss(self, windows: ContextBatch) -> Tensor | None:
        """The loss of these windows of one step; None for RvS-G, whose goals are drawn."""
        return None if self.config.condition == "goal" else self.loss(windows)[0]

    def act(self, history: History) -> Tensor:
        """The mean for the target return that is left, or for the sub-goal that comes next."""
        newest = history.observations[:, -1]
        if self.config.condition == "goal":
            wanted = torch.from_numpy(next_goals(newest.cpu().numpy(), self.spec.sub_goals)).to(newest.device)
            told = self.normalize(wanted)[:, :GOAL_SIZE]
        else:
            told = self.average_reward(history.returns_to_go[:, -1], history.timesteps[:, -1])
        return self.bounds.clip(self.bounds.from_unit(self.mean(newest, told)))

    def optimizer_settings(self) -> OptimizerSettings:
        """One group."""
        group = {"params": list(self.parameters()), "lr": self.config.learning_rate, "weight_decay": 0.0}
        return OptimizerSettings([group], decay=self.config.decay)
