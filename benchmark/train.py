"""The training loop, written once for every method."""

import math
import os
import platform
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from ..baselines.policy import OptimizerSettings, Policy, Sampler
from ..datasets.catalog import find_task
from ..datasets.environments import make_environment, simulator_version
from ..datasets.errors import UserError, choose
from ..datasets.storage import write_json
from .build import build_policy, training_subset
from .checkpoint import Progress, load_checkpoint, save_checkpoint, trained_tensors
from .config import RunConfig
from .hyperparameters import budget_for
from .legacy import cumulative_factor
from .legacy_data import evaluation_view
from .memory import keep_freed_memory
from .rollout import COLUMNS, episodes_csv, evaluation_seeds, rollout
from .runs import is_done, open_run, run_folder, write_logs

BATCHES = 1  # tells the stream of batches from that of evaluation starts (`rollout.STARTS`)
LOG_EVERY = 100  # steps; metrics stay on the device in between, and checkpoints are only taken at these steps
CHECKPOINT_SECONDS = 30.0  # a crash costs at most about this much training


class DivergedError(UserError):
    """Training met a number that is not finite. The last checkpoint is from before it."""


Report = Callable[[int, int], None]  # called with (steps done, steps in all)


def train(
    config: RunConfig, root: Path, device: str = "auto", report: Report | None = None, wait: bool = False
) -> Path:
    """Train and evaluate one run, from its last checkpoint if there is one; returns its folder.

    A finished run is left as it is. A run that was killed ends with the same numbers as one that was not. What doesn't
    fit is found before anything is written. While another process works on the run: a `UserError`, or with `wait`
    patience.
    """
    folder, chosen = run_folder(root, config), choose_device(device)
    if is_done(root, config):
        return folder
    keep_freed_memory()
    training = _Training(config, folder, chosen, report or (lambda done, total: None))
    with open_run(root, config, wait):
        if not is_done(root, config):  # another process may have finished it meanwhile
            training.run()
    return folder


def choose_device(name: str) -> torch.device:
    """`auto` takes the GPU where there is one."""
    choose("device", name, ["auto", "cpu", "cuda"])
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device 'cuda' was asked for, but PyTorch sees no GPU; give --device cpu or auto")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def autocast(config: RunConfig, device: torch.device) -> torch.autocast:
    """The precision that a run trains and is evaluated in, as a context."""
    return torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16")


@dataclass
class _Tally:
    """Sums of metrics between two log steps, kept as tensors so that no step waits for the device.

    A metric is averaged over the steps that measured it: a delayed actor's loss is there in some of them only.
    """

    sums: dict[str, Tensor]
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, metrics: dict[str, Tensor]) -> None:
        for name, value in metrics.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.counts.update(metrics.keys())

    def means(self) -> dict[str, float]:
        return {name: float(total) / self.counts[name] for name, total in self.sums.items()}


class _Training:
    """One run on its way: policy, optimiser, data, and where it stands."""

    def __init__(self, config: RunConfig, folder: Path, device: torch.device, report: Report) -> None:
        self.config, self.folder, self.device, self.report = config, folder, device, report
        subset = training_subset(config)
        self.policy: Policy = build_policy(config, subset, device)
        self.loss = torch.compile(self.policy.loss) if config.compiled else self.policy.loss
        self.settings: OptimizerSettings = self.policy.optimizer_settings()
        self.sampler: Sampler = self.policy.sampler(subset)
        self.optimizer = torch.optim.AdamW(self.settings.groups, eps=self.settings.epsilon, fused=True)
        self.base_rates = [group["lr"] for group in self.optimizer.param_groups]
        self.schedules = [schedule(config, self.settings.of(group)) for group in self.optimizer.param_groups]
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.rng = np.random.default_rng([config.seed, 0, BATCHES])
        self.progress = Progress(step=0, train_seconds=0.0, metrics=[], episodes=",".join(COLUMNS) + "\n")
        self.saved_at = time.monotonic()

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.safetensors"

    def run(self) -> None:
        """Train to the last step, evaluating on the way, and mark the run as done."""
        config = self.config
        if self.checkpoint.exists():
            self.progress = load_checkpoint(self.checkpoint, self.policy, self.optimizer, self.rng)
        (self.folder / "failed.json").unlink(missing_ok=True)  # of an earlier attempt
        self.policy.train()
        while self.progress.step < config.steps:
            evaluation_due = config.evaluate_every - self.progress.step % config.evaluate_every
            log_due = LOG_EVERY - self.progress.step % LOG_EVERY
            self.advance(min(evaluation_due, log_due))
            self.check_weights()
            if self.progress.step % config.evaluate_every == 0:
                self.evaluate()
                self.save()
            elif time.monotonic() - self.saved_at > CHECKPOINT_SECONDS:
                self.save()
            self.report(self.progress.step, config.steps)
        self.finish()

    def advance(self, steps: int) -> None:
        """Take some optimiser steps, then look at what they measured."""
        started, tally = time.perf_counter(), _Tally({})
        for step in range(self.progress.step, self.progress.step + steps):
            tally.add(self.update(step))
        means = tally.means()
        for name, value in means.items():
            if not math.isfinite(value):
                self.fail(f"{name} became {value} in steps {self.progress.step + 1} to {self.progress.step + steps}")
        self.progress.step += steps
        self.progress.train_seconds += time.perf_counter() - started
        rate = self.optimizer.param_groups[0]["lr"]
        seconds = round(self.progress.train_seconds, 3)
        self.progress.metrics.append({"step": self.progress.step, **means, "learning_rate": rate, "seconds": seconds})

    def update(self, step: int) -> dict[str, Tensor]:
        """One optimiser step."""
        for group, rate, factor in zip(self.optimizer.param_groups, self.base_rates, self.schedules, strict=True):
            group["lr"] = rate * factor(step)
        self.optimizer.zero_grad(set_to_none=True)
        metrics = self.backward()
        if self.settings.gradient_clip > 0:
            metrics["gradient_norm"] = nn.utils.clip_grad_norm_(self.parameters, self.settings.gradient_clip)
        self.optimizer.step()
        self.policy.after_update()
        return metrics

    def backward(self) -> dict[str, Tensor]:
        """Add up the gradients of a batch's parts; returns the means of what they measured."""
        parts, tally = self.config.accumulation, _Tally({})
        for _ in range(parts):
            batch = self.sampler.sample(self.config.batch_size // parts, self.rng).to(self.device)
            with autocast(self.config, self.device):
                loss, metrics = self.loss(batch)
            (loss / parts).backward()  # type: ignore[no-untyped-call]
            tally.add({"loss": loss.detach(), **metrics})
        return {name: total / parts for name, total in tally.sums.items()}

    def evaluate(self) -> None:
        """Play this evaluation's episodes and log them."""
        config, task = self.config, find_task(self.config.task)
        number = self.progress.step // config.evaluate_every
        seeds = evaluation_seeds(config.seed, number, config.evaluation_episodes)
        with autocast(config, self.device):
            episodes = rollout(
                self.policy,
                lambda: make_environment(task),
                seeds,
                config.target_returns,
                step=self.progress.step,
                view=evaluation_view(self.policy.view, config.legacy),
            )
            self.policy.eval()
            diagnostics = self.policy.diagnostics()
            self.policy.train()
        self.progress.episodes += episodes_csv(episodes).split("\n", 1)[1]
        self.progress.metrics[-1] |= diagnostics

    def check_weights(self) -> None:
        """Losses are measured before an update: what the last one did to the weights shows here alone."""
        for name, tensor in trained_tensors(self.policy).items():
            if not torch.isfinite(tensor).all():
                self.fail(f"{name} is no longer finite at step {self.progress.step}")

    def save(self) -> None:
        """Write a checkpoint, then the logs that it holds."""
        about = {"run": self.config.id, "lm": self.config.lm, "lm_hash": self.config.lm_hash}
        save_checkpoint(self.checkpoint, self.policy, self.optimizer, self.rng, self.progress, about)
        write_logs(self.folder, self.progress)
        self.saved_at = time.monotonic()

    def fail(self, what: str) -> NoReturn:
        """Stop before anything broken is written."""
        kept = "its last good checkpoint is kept" if self.checkpoint.exists() else "it had no checkpoint yet"
        rates = [field for field in self.config.policy if field.endswith("learning_rate")]
        lower = ", ".join(f"--set {rate}={self.config.policy[rate] / 10:g}" for rate in rates)
        message = f"run {self.config.id}: {what}; {kept}; try a lower learning rate, e.g. {lower}"
        write_json(self.folder / "failed.json", {"message": message, "step": self.progress.step})
        raise DivergedError(message)

    def finish(self) -> None:
        """Write `done.json`, which makes the run count."""
        write_logs(self.folder, self.progress)  # a kill may have come between the last checkpoint and its logs
        counts = parameter_counts(self.policy)
        summary: dict[str, Any] = {
            **counts,
            "train_seconds": round(self.progress.train_seconds, 3),
            "simulator": simulator_version(find_task(self.config.task)),
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "device": torch.cuda.get_device_name() if self.device.type == "cuda" else platform.processor() or "cpu",
            "threads": torch.get_num_threads(),
            "cpus": os.cpu_count(),
            "torch": torch.__version__,
        }
        write_json(self.folder / "done.json", summary)


def schedule(config: RunConfig, settings: OptimizerSettings) -> Callable[[int], float]:
    """What the learning rates of a run are multiplied by at each step, from 0."""
    if "cumulative-schedule" in config.legacy:  # the run's steps stand for those of a published run
        published = budget_for("paper", config.task, config.method).steps
        return partial(cumulative_factor, scale=published / config.steps)
    return partial(learning_rate_factor, steps=config.steps, settings=settings)


def learning_rate_factor(step: int, steps: int, settings: OptimizerSettings) -> float:
    """Linear warm-up, then constant or a half cosine that would reach zero one step after the last."""
    warmup = min(1.0, (step + 1) / settings.warmup_steps) if settings.warmup_steps else 1.0
    if settings.decay == "cosine":
        return warmup * 0.5 * (1.0 + math.cos(math.pi * step / steps))
    return warmup


def parameter_counts(policy: Policy) -> dict[str, int]:
    """Parameters in all and those that are trained; target networks count as neither."""
    counted = [(name, p) for name, p in policy.named_parameters() if not name.startswith("target_")]
    total = sum(p.numel() for _, p in counted)
    return {"params_total": total, "params_trainable": sum(p.numel() for _, p in counted if p.requires_grad)}
