"""The contract between an algorithm and everything else.

The training loop, checkpoints and evaluation are written once against `Policy` and know nothing of any algorithm.
Shapes: B batch, E environments, k steps of history (at most the policy's context K), S observation, A action,
F stacked frames.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..datasets.fractions import Subset
from ..datasets.trajectories import Array
from ..datasets.windows import VECTORS, ContextBatch, View


@dataclass(frozen=True)
class Spec:
    """The facts of task and data that a policy needs before it can be built."""

    observation_dim: int  # S; 0 where observations are images
    action_dim: int  # A, or the number of actions where they are discrete
    action_low: Array  # (A,) lower bounds of the action space; (0,) for discrete actions
    action_high: Array  # (A,) upper bounds; (0,) for discrete actions
    observation_mean: Array  # (S,) over the training subset
    observation_std: Array  # (S,)
    horizon: int  # most steps an episode can have
    return_scale: float  # returns-to-go are divided by this before they enter a network
    discrete: bool = False  # actions are numbers from 0 to A - 1
    # Whether a trajectory model sees actions mapped from their box to [-1, 1]; other methods always do.
    unit_actions: bool = False
    view: View = VECTORS  # how stored steps are seen: stacked frames, clipped rewards
    background: float = 0.0  # of images: the commonest grey over the training subset, from 0 (black) to 1
    sub_goals: tuple[str, ...] = ()  # of the task, in the order in which they are pursued
    # The lowest and the highest reward a step, over the rest of the horizon, among all steps of the data.
    reward_rates: tuple[float, float] = (-math.inf, math.inf)


@dataclass(frozen=True)
class History:
    """The last k steps of E environments; the newest step's action is not chosen yet and reads zero."""

    observations: Tensor  # (E, k, S), or frames (E, F - 1 + k, H, W) uint8
    actions: Tensor  # (E, k, A), or (E, k) int64
    returns_to_go: Tensor  # (E, k): the target return minus the rewards collected before each step
    timesteps: Tensor  # (E, k) int64

    def newest(self, steps: int) -> "History":
        """The last `steps` steps; of frames, also those that the first step's stack reaches back to."""
        earlier = self.observations.shape[1] - self.returns_to_go.shape[1]
        return History(
            self.observations[:, -(earlier + steps) :],
            self.actions[:, -steps:],
            self.returns_to_go[:, -steps:],
            self.timesteps[:, -steps:],
        )


# An actor is called at each step of episodes that are played side by side. It gets what of `History` is at hand, and
# the places, (E,) int64, that these episodes had in the call before: episodes that ended since are left out, the others
# keep their order. It returns their actions.
Actor = Callable[[History, Tensor], Tensor]


@dataclass(frozen=True)
class OptimizerSettings:
    """The settings of a policy's optimiser: AdamW on parameter groups under one schedule."""

    groups: list[dict[str, Any]]  # each {"params": [...], "lr": ..., "weight_decay": ...}, and "decay" if its own
    gradient_clip: float = 0.0  # largest norm of all gradients together; 0: no clipping
    warmup_steps: int = 0  # the learning rate rises linearly over these steps
    decay: str = "constant"  # "constant", or "cosine" to zero at the last step
    epsilon: float = 1e-8  # AdamW's

    def of(self, group: dict[str, Any]) -> "OptimizerSettings":
        """The settings for one of the groups, with the group's own schedule if it has one."""
        return replace(self, decay=group.get("decay", self.decay))


class Sampler(Protocol):
    """A source of training batches."""

    def sample(self, batch_size: int, rng: np.random.Generator) -> Any:
        """A batch, which has a method `to(device)`."""


class Policy(nn.Module, ABC):
    """An algorithm: what it trains on, its losses, and how it acts."""

    context: int = 1  # K, the longest history `act` makes use of
    view: View = VECTORS  # as in its `Spec`

    @abstractmethod
    def sampler(self, subset: Subset) -> Sampler:
        """The batches this policy trains on."""

    @abstractmethod
    def loss(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The scalar to minimise, and scalars to log (kept as tensors until they are written)."""

    def draw(self, batch: Any) -> tuple[Any, ...]:
        """Random numbers that `loss` takes after the batch; without them, `loss` calls this itself.

        They are drawn separately so that several seeds go through one loss together, each with its own numbers.
        """
        return ()

    @abstractmethod
    def act(self, history: History) -> Tensor:
        """Deterministic actions (E, A) inside the action space's bounds, or (E,) int64."""

    def begin_episodes(self, cached_context: bool = False) -> "Actor":
        """Begin to act in episodes that are played side by side; by default from the whole history each time.

        With `cached_context`, results of earlier steps are kept (`baselines/acting.py`), for policies that have
        a context.
        """
        assert not cached_context, f"{type(self).__name__} has no context to keep"
        return lambda history, kept: self.act(history)

    def action_loss(self, windows: ContextBatch) -> Tensor | None:
        """The loss of predicting the data's actions in windows that the policy does not learn from.

        None for a method without such a loss: the error of its actions is measured all the same.
        """
        return None

    @abstractmethod
    def optimizer_settings(self) -> OptimizerSettings:
        """Parameter groups and schedule; called once, before training."""

    def after_update(self) -> None:
        """Do what follows each optimiser step, for instance move a target network."""

    def rebuilt(self) -> set[str]:
        """Names of tensors that building the policy restores (a frozen base model); checkpoints leave them out."""
        return set()

    def diagnostics(self) -> dict[str, float]:
        """Slower measurements that are logged with each evaluation."""
        return {}


class Normalizer(nn.Module):
    """Normalise observations to zero mean and unit variance over the training subset.

    A dimension that never varies in the data is only centred: dividing by its rounding noise would make any later
    deviation enormous.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        std = np.where(spec.observation_std < 1e-6, 1.0, spec.observation_std)
        self.register_buffer("mean", torch.as_tensor(spec.observation_mean, dtype=torch.float32))
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32))

    def forward(self, observations: Tensor) -> Tensor:
        """Normalise (..., S)."""
        return (observations - self.mean) / self.std


class ActionBounds(nn.Module):
    """The action space's box, kept as buffers so that it follows the policy to its device."""

    low: Tensor
    high: Tensor

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.register_buffer("low", torch.as_tensor(spec.action_low, dtype=torch.float32))
        self.register_buffer("high", torch.as_tensor(spec.action_high, dtype=torch.float32))

    def clip(self, actions: Tensor) -> Tensor:
        """Move actions (..., A) to the nearest point of the box."""
        return torch.minimum(torch.maximum(actions, self.low), self.high)

    def from_unit(self, unit: Tensor) -> Tensor:
        """Map (..., A) from [-1, 1] to the box."""
        return self.low + (unit + 1.0) * (self.high - self.low) / 2.0

    def to_unit(self, actions: Tensor) -> Tensor:
        """Map (..., A) from the box to [-1, 1]."""
        return 2.0 * (actions - self.low) / (self.high - self.low) - 1.0
