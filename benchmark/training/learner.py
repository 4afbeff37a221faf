"""Optimiser steps, written once: for one run (`offline/loop.py`), and for several seeds (`offline/together.py`).

Shapes: N seeds; of a single run, no such dimension.
"""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from ...baselines.policy import OptimizerSettings, Policy
from ..runs.config import RunConfig
from . import devices


def autocast(config: RunConfig, device: torch.device) -> torch.autocast:
    """The precision that a run trains and is evaluated in, as a context."""
    return devices.autocast(config.precision, device.type)


@dataclass
class Tally:
    """Sums of metrics, () or (N,), between two log steps, kept as tensors so that no step waits for the device.

    A metric is averaged over the steps that measured it: only some steps have a delayed actor's loss.
    """

    sums: dict[str, Tensor]
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, metrics: dict[str, Tensor]) -> None:
        """Add the metrics of one more step."""
        for name, value in metrics.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.counts.update(metrics.keys())

    def means(self) -> dict[str, float]:
        """The means of metrics ()."""
        return {name: float(total) / self.counts[name] for name, total in self.sums.items()}

    def each(self) -> list["Tally"]:
        """The tallies of metrics (N,), one for each seed."""
        seeds = zip(*(total.unbind() for total in self.sums.values()), strict=True)
        return [Tally(dict(zip(self.sums, values, strict=True)), self.counts) for values in seeds]


Schedule = Callable[[int], float]  # the factor of learning rates at each step, from 0


class Learner(ABC):
    """A policy, its optimiser and its schedule. A subclass says what it learns from."""

    def __init__(self, config: RunConfig, policy: Policy, device: torch.device) -> None:
        self.config = config
        self.policy = policy
        self.device = device
        self.settings: OptimizerSettings = policy.optimizer_settings()
        self.optimizer = torch.optim.AdamW(self.settings.groups, eps=self.settings.epsilon, fused=True)
        self.base_rates = [group["lr"] for group in self.optimizer.param_groups]
        self.schedules = [self.schedule(self.settings.of(group)) for group in self.optimizer.param_groups]
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.first: dict[str, Tensor] = {}  # what the first batch measured, before any update of this process

    def schedule(self, settings: OptimizerSettings) -> Schedule:
        """The schedule of the parameters that have these settings."""
        return partial(learning_rate_factor, steps=self.config.steps, settings=settings)

    @abstractmethod
    def measure(self, size: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss on a new batch of `size`, and what to log: each (), or (N,)."""

    def update(self, step: int) -> dict[str, Tensor]:
        """Take one optimiser step; return what it measured."""
        for group, rate, factor in zip(self.optimizer.param_groups, self.base_rates, self.schedules, strict=True):
            group["lr"] = rate * factor(step)
        self.optimizer.zero_grad(set_to_none=True)
        metrics = self.backward()
        if self.settings.gradient_clip > 0:
            metrics["gradient_norm"] = nn.utils.clip_grad_norm_(self.parameters, self.settings.gradient_clip)
        self.first = self.first or dict(metrics)
        self.optimizer.step()
        self.policy.after_update()
        return metrics

    def backward(self) -> dict[str, Tensor]:
        """Add up the gradients of a batch's parts; return the means of what they measured."""
        parts = self.config.accumulation
        tally = Tally({})
        for _ in range(parts):
            with autocast(self.config, self.device):
                loss, metrics = self.measure(self.config.batch_size // parts)
            (loss / parts).sum().backward()  # type: ignore[no-untyped-call]
            tally.add({"loss": loss.detach(), **metrics})
        return {name: total / parts for name, total in tally.sums.items()}


def learning_rate_factor(step: int, steps: int, settings: OptimizerSettings) -> float:
    """Linear warm-up, then constant or a half cosine that would reach zero one step after the last."""
    warmup = min(1.0, (step + 1) / settings.warmup_steps) if settings.warmup_steps else 1.0
    if settings.decay == "cosine":
        return warmup * 0.5 * (1.0 + math.cos(math.pi * step / steps))
    return warmup
