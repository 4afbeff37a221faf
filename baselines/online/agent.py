"""The contract between an agent that learns online and everything else.

An agent knows no environment and no file: it sees tensors. Its seed decides its first weights, and every random draw
comes from its own generators or its caller's, so nothing else that runs can change what it does.
Shapes: N seeds in one pass, B batch, S observation, A action.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..optimizers import load_moments, moments
from .actors import Actor
from .distributions import Distribution

Info = dict[str, Tensor]  # scalars to log, tensors until they are written


class Agent(nn.Module, ABC):
    """An actor, further networks that learn beside it, optimisers and random state."""

    actor: Actor

    def __init__(self, seeds: Sequence[int]) -> None:
        super().__init__()
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.optimizers: dict[str, torch.optim.Optimizer] = {}

    @abstractmethod
    def actor_optimizer(self) -> torch.optim.Optimizer:
        """The optimiser that moves the actor, and possibly other networks."""

    @property
    def seeds(self) -> int:
        """N, the number of seeds in one pass; tensors of a single one have no dimension for it."""
        return len(self.generators)

    def split(self, rows: Tensor) -> Tensor:
        """Rows (N E, ...) of the environments of all seeds, one seed's after the other's, as (N, E, ...)."""
        return rows.view(self.seeds, -1, *rows.shape[1:]) if self.seeds > 1 else rows

    def joined(self, rows: Tensor) -> Tensor:
        """The rows (N E, ...) that `split` divided."""
        return rows.flatten(0, 1) if self.seeds > 1 else rows

    def drawn(self, policy: Distribution) -> Tensor:
        """Actions of a policy, those of each seed drawn by its own generator."""
        if self.seeds == 1:
            return policy.sample(policy.noise(self.generators[0]))
        noise = [policy.of_seed(number).noise(generator) for number, generator in enumerate(self.generators)]
        return policy.sample(torch.stack(noise))

    @torch.no_grad()
    def act(self, observations: Tensor, stages: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Actions (B, A), or (B,) int64, at observations (B, S) and stages (B,).

        With a generator they are drawn (an agent's own is for training); without one they are the likeliest.
        """
        policy = self.actor.distribution(observations, stages)
        return policy.mode() if generator is None else policy.sample(policy.noise(generator))

    def tensors(self) -> dict[str, Tensor]:
        """All that training changes: weights ("policy."), moments ("optimizer."), random state ("random.")."""
        kept = {f"policy.{name}": tensor.detach().clone() for name, tensor in self.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            kept |= moments(optimizer, f"optimizer.{name}")
        return kept | {f"random.{n}": generator.get_state() for n, generator in enumerate(self.generators)}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore the state of an agent of this configuration from its `tensors`.

        Raises `KeyError`, `ValueError` or `RuntimeError` where they are not those of such an agent.
        """
        of_policy = {name.removeprefix("policy."): t for name, t in tensors.items() if name.startswith("policy.")}
        self.load_state_dict(of_policy)
        optimized = {name.split(".")[1] for name in tensors if name.startswith("optimizer.")}
        if unknown := optimized - self.optimizers.keys():
            raise KeyError(f"moments of {', '.join(sorted(unknown))}, which this agent has no optimiser for")
        for name, optimizer in self.optimizers.items():
            load_moments(optimizer, tensors, f"optimizer.{name}")
        for number, generator in enumerate(self.generators):
            generator.set_state(tensors[f"random.{number}"])


@contextmanager
def first_weights(seed: int) -> Iterator[None]:
    """Seed PyTorch's generator inside the block; outside, its state is as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
