"""The contract between an agent that learns online and everything else.

An agent knows no environment and no file: it sees tensors. Its weights begin as its seed says, and all that it draws
comes from generators of its own or its caller's, so what it does depends on nothing else that runs.
Shapes: N seeds in one pass, B batch, S observation, A action.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..optimizers import load_moments, moments
from .actors import Actor

Info = dict[str, Tensor]  # scalars to log, tensors until they are written


class Agent(nn.Module, ABC):
    """An actor, what else learns beside it, its optimisers and its random state."""

    actor: Actor

    def __init__(self, seeds: Sequence[int]) -> None:
        super().__init__()
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.optimizers: dict[str, torch.optim.Optimizer] = {}

    @abstractmethod
    def actor_optimizer(self) -> torch.optim.Optimizer:
        """The optimiser that moves the actor, and maybe others."""

    @torch.no_grad()
    def act(self, observations: Tensor, stages: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Actions (B, A), or (B,) int64, at observations (B, S) and stages (B,).

        They are drawn with the generator (an agent's own is for training); without one they are the likeliest.
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
        """Come to where another agent of this configuration was when its `tensors` were taken.

        Raises `KeyError`, `ValueError` or `RuntimeError` where they are not those of such an agent.
        """
        of_policy = {name.removeprefix("policy."): t for name, t in tensors.items() if name.startswith("policy.")}
        self.load_state_dict(of_policy)
        for name, optimizer in self.optimizers.items():
            load_moments(optimizer, tensors, f"optimizer.{name}")
        for number, generator in enumerate(self.generators):
            generator.set_state(tensors[f"random.{number}"])


@contextmanager
def first_weights(seed: int) -> Iterator[None]:
    """Inside, PyTorch draws what follows from the seed; outside, it goes on as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
