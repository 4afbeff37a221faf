"""Several seeds of one method trained in one pass (`training/together.py`): their weights are stacked.

The numbers are those of a run alone but for the order in which floating-point sums are taken. What can be stacked is
small networks on vectors without anything random inside the loss: what `Policy.draw` returns is drawn for each seed
before it.

Shapes: N seeds.
"""

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.utils._pytree import tree_map

from ...baselines.onednn import faster_here
from ...baselines.policy import Policy
from ...datasets.catalog import find_task
from ..runs.methods import METHODS
from ..runs.store import note_on_terminal
from ..training import together
from ..training.devices import choose_device
from ..training.learner import Learner, Tally
from ..training.life import Note
from .config import OfflineConfig
from .loop import Training

LARGE = 1 << 24  # multiplications: 256 rows and two layers of 256

Report = Callable[[str, int, int], None]  # called with (run id, steps done, steps in all)


def stackable(config: OfflineConfig, device: torch.device | None) -> bool:
    """Check whether a run's seeds can be stacked: not with images, dropout, compiled steps, bfloat16 or legacy faults.

    They can't on a CPU either where oneDNN's large products are most of a step: a stack takes longer than one seed
    after the other. Without a device, say whether there are any on which they can.
    """
    if device is not None and device.type == "cpu" and faster_here() and _multiplications(config) >= LARGE:
        return False
    plain = config.precision == "float32" and not config.compiled and not config.legacy
    networks = METHODS[config.method].stacks and not find_task(config.task).frame_stack
    return plain and networks and not config.policy.get("dropout")


def _multiplications(config: OfflineConfig) -> int:
    """The multiplications in a loss' largest product, between hidden layers; CQL has three proposals for each state."""
    proposals = 3 * int(config.policy["sampled_actions"]) if config.method == "cql" else 1
    sizes = pairwise(config.policy.get("hidden", ()))
    return config.batch_size * proposals * max((int(inputs) * int(outputs) for inputs, outputs in sizes), default=0)


def groups(runs: Iterable[OfflineConfig], device: torch.device | None) -> list[tuple[OfflineConfig, ...]]:
    """Runs that can be trained together on a device; any other is by itself."""
    return together.groups(runs, lambda run: stackable(run, device))


def train_together(
    configs: Sequence[OfflineConfig],
    root: Path,
    device: str = "auto",
    report: Report | None = None,
    wait: bool = False,
    note: Note = note_on_terminal,
) -> dict[str, str]:
    """Train the runs of a group (`groups`), each from its last checkpoint; returns one line for each that failed."""
    tell = report or (lambda run, done, total: None)
    chosen = choose_device(device)

    def make(config: OfflineConfig, folder: Path) -> Seed:
        return Seed(Training(config, folder, chosen, lambda done, total: tell(config.id, done, total)))

    return together.train_together(configs, root, make, Stack, wait, note)


class Seed(together.Seed[OfflineConfig, Training]):
    """One of the runs, and PyTorch's random state as this run left it."""

    def __init__(self, training: Training) -> None:
        super().__init__(training.config, training)
        self.random = _random_states(training.device)

    @contextmanager
    def turn(self) -> Iterator[Training]:
        """Give PyTorch this run's random state while the run draws, saves or loads."""
        device = self.training.device
        torch.set_rng_state(self.random[0])
        if device.type == "cuda":
            torch.cuda.set_rng_state(self.random[1], device)
        try:
            with super().turn() as training:
                yield training
        finally:
            self.random = _random_states(device)


def _random_states(device: torch.device) -> list[Tensor]:
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


class Stack(Learner, together.Stack):
    """N runs at the same step as one learner: each tensor of its policy and of its optimiser has a leading N."""

    def __init__(self, seeds: list[Seed]) -> None:
        first = seeds[0].training
        super().__init__(first.config, _stacked([seed.training.policy for seed in seeds]), first.device)
        assert not self.settings.gradient_clip, "the norm of the gradients would be that of all seeds together"
        self.seeds = seeds
        self.loss = _Loss(self.policy)
        self.tensors = dict([*self.loss.named_parameters(), *self.loss.named_buffers()])
        for parameter, *own in zip(self.parameters, *(seed.training.parameters for seed in seeds), strict=True):
            states = [seed.training.optimizer.state[p] for seed, p in zip(seeds, own, strict=True)]
            for name, value in states[0].items():
                values = value.clone() if name == "step" else torch.stack([state[name] for state in states])
                self.optimizer.state[parameter][name] = values

    def advance(self, steps: int, failed: dict[str, str]) -> None:
        """Take some optimiser steps, then do what is due for each run, which is given its share of the seconds."""
        started = time.perf_counter()
        tally = Tally({})
        step = self.seeds[0].training.progress.step
        for number in range(step, step + steps):
            tally.add(self.update(number))
        means = [own.means() for own in tally.each()]
        seconds = (time.perf_counter() - started) / len(self.seeds)
        for index, (seed, own) in enumerate(zip(self.seeds, means, strict=True)):
            with together.failures(seed.config, failed), seed.turn() as training:
                self.hand_back(index, training)
                training.first = training.first or {name: value[index] for name, value in self.first.items()}
                training.log(steps, own, seconds)
                training.settle()

    def measure(self, size: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The losses (N,) of N batches, and what to log, each (N,)."""
        drawn = []
        for seed in self.seeds:
            with seed.turn() as training:
                batch = training.draw(size)
                drawn.append((vars(batch), training.policy.draw(batch)))
        kind = type(batch)

        def loss(tensors: dict[str, Tensor], fields: dict[str, Tensor], noise: Any) -> Any:
            return functional_call(self.loss, tensors, (kind(**fields), *noise))

        stacked = tree_map(lambda *tensors: torch.stack(tensors), *drawn)
        losses: tuple[Tensor, dict[str, Tensor]] = torch.vmap(loss)(self.tensors, *stacked)
        return losses

    @torch.no_grad()
    def hand_back(self, index: int, training: Training) -> None:
        """Bring one of the runs to where the stack is, as if it had come there alone."""
        training.policy.load_state_dict({name: t[index] for name, t in self.policy.state_dict().items()})
        for own, parameter in zip(training.parameters, self.parameters, strict=True):
            for name, value in self.optimizer.state[parameter].items():
                training.optimizer.state[own][name] = (value if name == "step" else value[index]).clone()
        for group, stacked in zip(training.optimizer.param_groups, self.optimizer.param_groups, strict=True):
            group["lr"] = stacked["lr"]


class _Loss(nn.Module):
    """A policy's loss as the forward pass of a module, which is what `functional_call` calls."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, *arguments: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and metrics of a batch, and of what `Policy.draw` drew for it."""
        return self.policy.loss(*arguments)


def _stacked(policies: list[Policy]) -> Policy:
    """A policy whose parameters and buffers are those of all policies, stacked; its optimiser settings are theirs."""
    stack = copy.deepcopy(policies[0])
    parameters, buffers = stack_module_state(list(policies))  # type: ignore[arg-type]
    for name, tensor in parameters.items():
        module, _, leaf = name.rpartition(".")
        stack.get_submodule(module)._parameters[leaf] = nn.Parameter(tensor.detach(), tensor.requires_grad)
    for name, tensor in buffers.items():
        module, _, leaf = name.rpartition(".")
        stack.get_submodule(module)._buffers[leaf] = tensor
    return stack
