"""Training offline, written once for every method: a `Life` whose steps are those of a `Learner` on a data set."""

import math
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...baselines.policy import OptimizerSettings, Policy, Sampler
from ...datasets.catalog import find_task
from ...datasets.environments.simulators import simulator_version
from ..runs.checkpoint import Progress, load_checkpoint, save_checkpoint, trained_tensors
from ..runs.episodes import HEADER, episode_lines
from ..runs.store import note_on_terminal, run_folder, write_logs
from ..training.devices import choose_device
from ..training.learner import Learner, Schedule, Tally, autocast
from ..training.life import Life, Note, Report, opened
from .build import build_policy, drawn_subset, training_subset
from .config import OfflineConfig
from .divergence import advice, unsound
from .evaluation import evaluate
from .faults import cumulative_factor
from .held_out import held_out_error
from .hyperparameters import budget_for
from .rollout import NotFiniteError, evaluation_seeds

BATCHES = 1  # tells the stream of batches from that of evaluation starts (`rollout.STARTS`)


def train(
    config: OfflineConfig,
    root: Path,
    device: str = "auto",
    report: Report | None = None,
    wait: bool = False,
    note: Note = note_on_terminal,
) -> Path:
    """Train and evaluate one run, from its last checkpoint if there is one; returns its folder.

    A finished run is left as it is. A run that was killed ends with the same numbers as one that was not. For what is
    found before, for `wait` and `note`: `life.opened`.
    """
    chosen = choose_device(device)

    def make(folder: Path) -> Training:
        return Training(config, folder, chosen, report or (lambda done, total: None))

    with opened(config, root, make, wait, note) as training:
        if training is not None:
            training.live()
    return run_folder(root, config)


class Training(Learner, Life):
    """An offline run on its way: policy, optimiser, data, and where it stands."""

    config: OfflineConfig

    def __init__(self, config: OfflineConfig, folder: Path, device: torch.device, report: Report) -> None:
        Life.__init__(self, f"run {config.id}", folder, config.steps, config.evaluate_every, report)
        self.subset = training_subset(config)
        Learner.__init__(self, config, build_policy(config, self.subset, device), device)
        self.loss = torch.compile(self.policy.loss) if config.compiled else self.policy.loss
        self.sampler: Sampler = self.policy.sampler(self.subset)
        self.held_out = held_out_error(drawn_subset(config), self.policy)
        self.rng = np.random.default_rng([config.seed, 0, BATCHES])
        self.progress.episodes = f"{HEADER}\n"
        self.unsound = ""  # what was not finite when it began

    def schedule(self, settings: OptimizerSettings) -> Schedule:
        """The schedule of any learner, or under `cumulative-schedule` that fault's, whatever the settings."""
        config = self.config
        if "cumulative-schedule" not in config.legacy:
            return super().schedule(settings)
        published = budget_for("paper", config.task, config.method).steps  # which the run's steps stand for
        return partial(cumulative_factor, scale=published / config.steps)

    def load(self) -> Progress:
        """Bring policy, optimiser and random states to the checkpoint's."""
        return load_checkpoint(self.checkpoint, self.policy, self.optimizer, self.rng, self.steps)

    def start(self) -> None:
        """Look for what is not finite before anything is learned."""
        self.unsound = unsound(self.policy, self.optimizer)
        self.policy.train()

    def advance(self, steps: int) -> None:
        """Take some optimiser steps, then look at what they measured."""
        started = time.perf_counter()
        tally = Tally({})
        for step in range(self.progress.step, self.progress.step + steps):
            tally.add(self.update(step))
        self.log(steps, tally.means(), time.perf_counter() - started)

    def log(self, steps: int, means: dict[str, float], seconds: float) -> None:
        """Record what some optimiser steps measured."""
        self.record(steps, means, seconds, learning_rate=self.optimizer.param_groups[0]["lr"])

    def draw(self, size: int) -> Any:
        """A batch of the run's own."""
        return self.sampler.sample(size, self.rng).to(self.device)

    def measure(self, size: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss on a new batch, and what to log."""
        return self.loss(self.draw(size))

    def evaluate(self) -> None:
        """Play this evaluation's episodes, measure the held-out error, and log both."""
        config = self.config
        number = self.progress.step // self.config.evaluate_every
        seeds = evaluation_seeds(config.seed, number, config.evaluation_episodes)
        started = time.perf_counter()
        try:
            episodes = evaluate(self.policy, config, seeds, config.target_returns, step=self.progress.step)
        except NotFiniteError as error:
            self.fail(f"after step {self.progress.step} {error}")
        with autocast(config, self.device):
            self.policy.eval()
            diagnostics = self.policy.diagnostics()
            held_out = self.held_out.measure(self.policy) if self.held_out else {}
            self.policy.train()
        for name, value in held_out.items():
            if not math.isfinite(value):
                self.fail(f"after step {self.progress.step} {name} is {value}")
        self.progress.episodes += episode_lines(episodes)
        self.progress.metrics[-1] |= diagnostics | held_out
        self.progress.evaluation_seconds += time.perf_counter() - started

    def check_weights(self) -> None:
        """Fail where the last update left a weight that is not finite."""
        for name, tensor in trained_tensors(self.policy).items():
            if not torch.isfinite(tensor).all():
                self.fail(f"{name} is no longer finite at step {self.progress.step}")

    def write(self) -> None:
        """Write the checkpoint, then the logs that it holds."""
        about = {"run": self.config.id, "lm": self.config.lm, "lm_hash": self.config.lm_hash}
        optimizer = self.optimizer if self.progress.step < self.steps else None
        save_checkpoint(self.checkpoint, self.policy, optimizer, self.rng, self.progress, about)
        write_logs(self.folder, self.progress)

    def advice(self) -> str:
        """Say what data, state and first batch show of a number that is not finite, or advise a lower learning rate."""
        return advice(self.config, self.unsound, self.first, self.subset)

    def finish(self) -> None:
        """Write `done.json`, which makes the run count."""
        self.write_done(parameter_counts(self.policy), simulator_version(find_task(self.config.task)), self.device)


def parameter_counts(policy: Policy) -> dict[str, int]:
    """Parameters in all and those that are trained; target networks count as neither."""
    counted = [(name, p) for name, p in policy.named_parameters() if not name.startswith("target_")]
    total = sum(p.numel() for _, p in counted)
    return {"params_total": total, "params_trainable": sum(p.numel() for _, p in counted if p.requires_grad)}
