"""Several seeds of one method trained in one process: their weights are stacked, and one pass serves all of them.

Every seed stays a run of its own, with its folder, logs and checkpoints, its batches and its random numbers: a run that
was begun together can be finished alone, and the other way round. The numbers are those of a run alone but for the
order in which floating-point sums are taken. What can be stacked is small networks on vectors without anything random
inside the loss: what `Policy.draw` returns is drawn for each seed before it.

Shapes: N seeds.
"""

import copy
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
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
from ...datasets.errors import UserError
from ..runs.methods import METHODS
from ..runs.store import is_done, note_on_terminal
from ..training.devices import choose_device
from ..training.learner import Learner, Tally
from ..training.life import Note, opened
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
    """Runs that can be trained together: equal but for their seeds and subsets. Any other is by itself."""
    found: dict[str, list[OfflineConfig]] = {}
    for run in runs:
        shared = asdict(run) | dict.fromkeys(run.per_seed)
        found.setdefault(json.dumps(shared) if stackable(run, device) else run.id, []).append(run)
    return [tuple(group) for group in found.values()]


def train_together(
    configs: Sequence[OfflineConfig],
    root: Path,
    device: str = "auto",
    report: Report | None = None,
    wait: bool = False,
    note: Note = note_on_terminal,
) -> dict[str, str]:
    """Train the runs of a group (`groups`), each from its last checkpoint; returns one line for each that failed.

    As in `train`, finished runs are left as they are, damaged folders are set aside, and `wait` is patience with other
    processes that work on them.
    """
    tell = report or (lambda run, done, total: None)
    chosen = choose_device(device)
    failed = dict[str, str]()

    def make(config: OfflineConfig, folder: Path) -> Training:
        return Training(config, folder, chosen, lambda done, total: tell(config.id, done, total))

    with ExitStack() as locks:
        seeds = []
        for config in sorted(configs, key=lambda config: config.id):  # in one order everywhere: no two wait in a ring
            with _failures(config, failed):
                training = locks.enter_context(opened(config, root, partial(make, config), wait, note))
                if training is not None:
                    seeds.append(Seed(training))
        try:
            _train(seeds, failed)
        except Exception as error:
            for seed in seeds:
                if seed.config.id not in failed and not is_done(root, seed.config):
                    seed.training.crash(error)
            raise
    return failed


class Seed:
    """One of the runs, and PyTorch's random state as this run left it."""

    def __init__(self, training: Training) -> None:
        self.config = training.config
        self.training = training
        self.random = _random_states(training.device)

    @contextmanager
    def turn(self) -> Iterator[Training]:
        """Give PyTorch this run's random state while the run draws, saves or loads."""
        device = self.training.device
        torch.set_rng_state(self.random[0])
        if device.type == "cuda":
            torch.cuda.set_rng_state(self.random[1], device)
        try:
            yield self.training
        except UserError as error:
            self.training.crash(error)
            raise
        finally:
            self.random = _random_states(device)


def _random_states(device: torch.device) -> list[Tensor]:
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


@contextmanager
def _failures(config: OfflineConfig, failed: dict[str, str]) -> Iterator[None]:
    """Note what goes wrong with one run, and let the others go on."""
    try:
        yield
    except UserError as error:
        failed[config.id] = str(error)


def _train(seeds: list[Seed], failed: dict[str, str]) -> None:
    """Train the seeds: those that are behind go first, until all stand at the same step."""
    for seed in seeds:
        with _failures(seed.config, failed), seed.turn() as training:
            training.begin()
    stack: Stack | None = None
    while left := [seed for seed in seeds if seed.config.id not in failed and _steps_left(seed)]:
        behind = [seed for seed in left if _steps_left(seed) == max(map(_steps_left, left))]
        if len(behind) == 1:
            stack = None
            with _failures(behind[0].config, failed), behind[0].turn() as training:
                training.advance(training.due())
                training.settle()
            continue
        if stack is None or stack.seeds != behind:
            stack = Stack(behind)
        stack.advance(behind[0].training.due(), failed)
    for seed in seeds:
        if seed.config.id not in failed:
            with seed.turn() as training:
                training.finish()


def _steps_left(seed: Seed) -> int:
    return seed.config.steps - seed.training.progress.step


class Stack(Learner):
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
            with _failures(seed.config, failed), seed.turn() as training:
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
