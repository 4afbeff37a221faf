"""Distributions over actions: agents draw from them, retention compares them.

Noise is drawn separately from what is computed of it, so that several seeds go through one pass, each with its own
numbers. Shapes: B batch, A action; the dots stand for any leading dimensions.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from ..densities import squashed_log_density

HALF_LOG_TWO_PI_E = 0.5 * math.log(2.0 * math.pi * math.e)
EDGE = 1.0 - 1e-6  # actions are clamped to this size: at 1 the inverse hyperbolic tangent is infinite


class Distribution(ABC):
    """A distribution over actions at each of (...) states."""

    @abstractmethod
    def noise(self, generator: torch.Generator) -> Tensor:
        """The random numbers that `sample` takes for these states."""

    @abstractmethod
    def sample(self, noise: Tensor) -> Tensor:
        """Actions (..., A), or (...) int64."""

    @abstractmethod
    def mode(self) -> Tensor:
        """The likeliest actions, (..., A) or (...) int64; of a squashed Gaussian, its mean's."""

    @abstractmethod
    def log_prob(self, actions: Tensor) -> Tensor:
        """Log densities, or log probabilities, (...) of actions (..., A) or (...)."""

    @abstractmethod
    def entropy(self) -> Tensor:
        """Entropy (...) in nats; of a squashed Gaussian, the entropy before squashing."""

    @abstractmethod
    def kl(self, other: Self) -> Tensor:
        """KL(self || other), (...) in nats. It is the same before and after squashing both."""

    @abstractmethod
    def fisher_terms(self) -> Tensor:
        """Numbers (..., P) whose squared gradients by a parameter sum to its Fisher information at each state."""

    def rows(self, numbers: Tensor) -> Self:
        """The distributions at some of the states: (..., b) of (..., B), by their numbers (..., b) int64."""
        return self._changed(lambda field: torch.take_along_dim(field, numbers[..., None], -2))

    def of_seed(self, number: int) -> Self:
        """The distributions (...) of one of N seeds, of (N, ...)."""
        return self._changed(lambda field: field[number])

    def detach(self) -> Self:
        """The same distribution, without gradients to its inputs."""
        return self._changed(Tensor.detach)

    def _changed(self, change: Callable[[Tensor], Tensor]) -> Self:
        return type(self)(*(change(field) for field in vars(self).values()))


@dataclass(frozen=True)
class Categorical(Distribution):
    """One of A actions."""

    log_probabilities: Tensor  # (..., A), normalised

    @classmethod
    def of_logits(cls, logits: Tensor) -> "Categorical":
        """Normalise logits (..., A)."""
        return cls(F.log_softmax(logits, -1))

    def noise(self, generator: torch.Generator) -> Tensor:
        """Numbers (...), uniform in [0, 1)."""
        return torch.rand(self.log_probabilities.shape[:-1], generator=generator, device=self.log_probabilities.device)

    def sample(self, noise: Tensor) -> Tensor:
        """Actions (...) int64, by the inverse of the cumulative distribution."""
        below = self.log_probabilities.exp().cumsum(-1)[..., :-1] <= noise[..., None]
        return below.sum(-1)

    def mode(self) -> Tensor:
        """Actions (...) int64."""
        return self.log_probabilities.argmax(-1)

    def log_prob(self, actions: Tensor) -> Tensor:
        """Log probabilities (...) of actions (...) int64."""
        return self.log_probabilities.gather(-1, actions[..., None]).squeeze(-1)

    def entropy(self) -> Tensor:
        """Entropies (...)."""
        return -(self.log_probabilities.exp() * self.log_probabilities).sum(-1)

    def kl(self, other: "Categorical") -> Tensor:
        """Divergences (...)."""
        return (self.log_probabilities.exp() * (self.log_probabilities - other.log_probabilities)).sum(-1)

    def fisher_terms(self) -> Tensor:
        """Terms (..., A): F = sum over a of pi(a) (d log pi(a))^2, the exact expectation over actions."""
        return (0.5 * self.log_probabilities.detach()).exp() * self.log_probabilities


@dataclass(frozen=True)
class SquashedGaussian(Distribution):
    """The hyperbolic tangent of a diagonal Gaussian."""

    mean: Tensor  # (..., A), before the squashing
    log_std: Tensor  # (..., A)

    def noise(self, generator: torch.Generator) -> Tensor:
        """Numbers (..., A), standard normal."""
        return torch.randn(self.mean.shape, generator=generator, device=self.mean.device)

    def sample(self, noise: Tensor) -> Tensor:
        """Actions (..., A) in [-1, 1]."""
        return torch.tanh(self.mean + self.log_std.exp() * noise)

    def sample_with_log_prob(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Actions (..., A), differentiable by mean and deviation, and their log densities (...)."""
        pre_tanh = torch.addcmul(self.mean, self.log_std.exp(), noise)
        return torch.tanh(pre_tanh), squashed_log_density(pre_tanh, noise, self.log_std)

    def mode(self) -> Tensor:
        """Actions (..., A)."""
        return torch.tanh(self.mean)

    def log_prob(self, actions: Tensor) -> Tensor:
        """Log densities (...) of actions (..., A)."""
        pre_tanh = torch.atanh(actions.clamp(-EDGE, EDGE))
        return squashed_log_density(pre_tanh, (pre_tanh - self.mean) / self.log_std.exp(), self.log_std)

    def entropy(self) -> Tensor:
        """An upper bound (...) of the squashed entropy, which has no closed form."""
        return (self.log_std + HALF_LOG_TWO_PI_E).sum(-1)

    def kl(self, other: "SquashedGaussian") -> Tensor:
        """Divergences (...)."""
        gap = other.log_std - self.log_std
        distance = (self.mean - other.mean) * (-other.log_std).exp()
        return (gap + 0.5 * (torch.expm1(-2.0 * gap) + distance.square())).sum(-1)

    def fisher_terms(self) -> Tensor:
        """Terms (..., 2 A): F = ((d mean)^2 + 2 (d std)^2) / (std^2 + 1e-6), summed over action dimensions.

        Continual World's (Wołczyk et al. 2021), published code; the 1e-6 is theirs.
        """
        std = self.log_std.exp()
        scale = (std.detach().square() + 1e-6).rsqrt()
        return torch.cat([self.mean * scale, math.sqrt(2.0) * std * scale], -1)


def stacked(policies: Sequence[Distribution]) -> Distribution:
    """The distributions (...) of each of N seeds as (N, ...); those of a single seed as they are."""
    if len(policies) == 1:
        return policies[0]
    fields = zip(*(vars(policy).values() for policy in policies), strict=True)
    return type(policies[0])(*(torch.stack(field) for field in fields))
