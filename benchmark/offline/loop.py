"""The training loop, written once for every method."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from ...baselines.policy import OptimizerSettings, Policy, Sampler
from ...datasets.catalog import find_task
from ...datasets.disk_errors import disk_error
from ...datasets.environments import make_environment, simulator_version
from ...datasets.errors import UserError
from ...datasets.processes import cores, processor
from ...datasets.storage import write_json
from ..runs.checkpoint import Progress, load_checkpoint, save_checkpoint, trained_tensors
from ..runs.damage import sizes_and_hashes
from ..runs.episodes import HEADER, episodes_csv
from ..runs.store import is_done, note_on_terminal, open_run, run_folder, set_damaged_aside, write_failure, write_logs
from ..training.devices import choose_device
from ..training.learner import Learner, Schedule, Tally, autocast
from ..training.memory import keep_freed_memory, memory_line
from .build import build_policy, training_subset
from .config import OfflineConfig
from .divergence import advice, unsound
from .faults import cumulative_factor
from .faulty_data import evaluation_view
from .hyperparameters import budget_for
from .rollout import evaluation_seeds, rollout

BATCHES = 1  # tells the stream of batches from that of evaluation starts (`rollout.STARTS`)
LOG_EVERY = 100  # steps; metrics stay on the device in between, and checkpoints are only taken at these steps
CHECKPOINT_SECONDS = 30.0  # a crash costs at most about this much training


class DivergedError(UserError):
    """Training met a number that is not finite. The last checkpoint is from before it."""


Report = Callable[[int, int], None]  # called with (steps done, steps in all)
Note = Callable[[str], None]  # called with a line that a person should read


def train(
    config: OfflineConfig,
    root: Path,
    device: str = "auto",
    report: Report | None = None,
    wait: bool = False,
    note: Note = note_on_terminal,
) -> Path:
    """Train and evaluate one run, from its last checkpoint if there is one; returns its folder.

    A finished run is left as it is. A run that was killed ends with the same numbers as one that was not. What doesn't
    fit is found before anything is written. A folder with a damaged file is set aside, of which `note` is told, and the
    run starts anew. While another process works on the run: a `UserError`, or with `wait` patience.
    """
    folder, chosen = run_folder(root, config), choose_device(device)
    if line := set_damaged_aside(root, config):
        note(line)
    if is_done(root, config):
        return folder
    keep_freed_memory()
    training = Training(config, folder, chosen, report or (lambda done, total: None))
    with open_run(root, config, wait):
        if not is_done(root, config):  # another process may have finished it meanwhile
            try:
                training.run()
            except Exception as error:
                training.crash(error)
                raise
    return folder


class Training(Learner):
    """One run on its way: policy, optimiser, data, and where it stands."""

    config: OfflineConfig

    def __init__(self, config: OfflineConfig, folder: Path, device: torch.device, report: Report) -> None:
        self.folder, self.report = folder, report
        self.subset = training_subset(config)
        super().__init__(config, build_policy(config, self.subset, device), device)
        self.loss = torch.compile(self.policy.loss) if config.compiled else self.policy.loss
        self.sampler: Sampler = self.policy.sampler(self.subset)
        self.rng = np.random.default_rng([config.seed, 0, BATCHES])
        self.progress = Progress(step=0, train_seconds=0.0, metrics=[], episodes=f"{HEADER}\n")
        self.saved_at = time.monotonic()
        self.unsound = ""  # what was not finite when it began

    def schedule(self, settings: OptimizerSettings) -> Schedule:
        """That of any learner, or under `cumulative-schedule` that fault's, whatever the settings."""
        config = self.config
        if "cumulative-schedule" not in config.legacy:
            return super().schedule(settings)
        published = budget_for("paper", config.task, config.method).steps  # which the run's steps stand for
        return partial(cumulative_factor, scale=published / config.steps)

    @property
    def checkpoint(self) -> Path:
        """The run's only one."""
        return self.folder / "checkpoint.safetensors"

    def run(self) -> None:
        """Train to the last step, evaluating on the way, and mark the run as done."""
        self.begin()
        while self.progress.step < self.config.steps:
            self.advance(self.due())
            self.settle()
        self.finish()

    def begin(self) -> None:
        """Go to where the last checkpoint stands, if there is one."""
        if self.checkpoint.exists():
            self.progress = load_checkpoint(self.checkpoint, self.policy, self.optimizer, self.rng)
        (self.folder / "failed.json").unlink(missing_ok=True)  # of an earlier attempt
        self.unsound = unsound(self.policy, self.optimizer)
        self.policy.train()

    def due(self) -> int:
        """Optimiser steps until there is something to log."""
        step, evaluate_every = self.progress.step, self.config.evaluate_every
        return min(evaluate_every - step % evaluate_every, LOG_EVERY - step % LOG_EVERY)

    def advance(self, steps: int) -> None:
        """Take some optimiser steps, then look at what they measured."""
        started, tally = time.perf_counter(), Tally({})
        for step in range(self.progress.step, self.progress.step + steps):
            tally.add(self.update(step))
        self.record(steps, tally.means(), time.perf_counter() - started)

    def draw(self, size: int) -> Any:
        """A batch of the run's own."""
        return self.sampler.sample(size, self.rng).to(self.device)

    def measure(self, size: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss on a new batch, and what to log."""
        return self.loss(self.draw(size))

    def record(self, steps: int, means: dict[str, float], seconds: float) -> None:
        """Log what some optimiser steps measured, all finite, and the seconds that they took."""
        for name, value in means.items():
            if not math.isfinite(value):
                self.fail(f"{name} became {value} in steps {self.progress.step + 1} to {self.progress.step + steps}")
        self.progress.step += steps
        self.progress.train_seconds += seconds
        rate = self.optimizer.param_groups[0]["lr"]
        row = {"step": self.progress.step, **means, "learning_rate": rate}
        self.progress.metrics.append(row | {"seconds": round(self.progress.train_seconds, 3)})

    def settle(self) -> None:
        """After some optimiser steps: evaluate and save, as far as it is time to."""
        self.check_weights()
        if self.progress.step % self.config.evaluate_every == 0:
            self.evaluate()
            self.save()
        elif time.monotonic() - self.saved_at > CHECKPOINT_SECONDS:
            self.save()
        self.report(self.progress.step, self.config.steps)

    def evaluate(self) -> None:
        """Play this evaluation's episodes and log them."""
        config, task = self.config, find_task(self.config.task)
        number = self.progress.step // config.evaluate_every
        seeds, started = evaluation_seeds(config.seed, number, config.evaluation_episodes), time.perf_counter()
        with autocast(config, self.device):
            episodes = rollout(
                self.policy,
                lambda: make_environment(task),
                seeds,
                config.target_returns,
                step=self.progress.step,
                view=evaluation_view(self.policy.view, config.legacy),
                cached_context=config.cached_context,
            )
            self.policy.eval()
            diagnostics = self.policy.diagnostics()
            self.policy.train()
        self.progress.episodes += episodes_csv(episodes).split("\n", 1)[1]
        self.progress.metrics[-1] |= diagnostics
        self.progress.evaluation_seconds += time.perf_counter() - started

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
        why = advice(self.config, self.unsound, self.first, self.subset)
        message = f"run {self.config.id}: {what}; {kept}; {why}"
        write_failure(self.folder, message, self.progress.step)
        raise DivergedError(message)

    def crash(self, error: Exception) -> None:
        """Leave beside the run why it stopped, unless it has, or a disk did it, which is no failure of the run's."""
        if isinstance(error, DivergedError) or disk_error(error):
            return
        said = memory_line(error) or (str(error).splitlines() or [""])[0]
        kind = "" if isinstance(error, UserError) or memory_line(error) else f"{type(error).__name__}: "
        message = f"run {self.config.id}: {kind}{said} (after step {self.progress.step})"
        with suppress(OSError):
            write_failure(self.folder, f"{message}; mend it and start the same command again", self.progress.step)

    def finish(self) -> None:
        """Write `done.json`, which makes the run count."""
        write_logs(self.folder, self.progress)  # a kill may have come between the last checkpoint and its logs
        counts = parameter_counts(self.policy)
        summary: dict[str, Any] = {
            **counts,
            "train_seconds": round(self.progress.train_seconds, 3),
            "evaluation_seconds": round(self.progress.evaluation_seconds, 3),
            "simulator": simulator_version(find_task(self.config.task)),
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "device": torch.cuda.get_device_name() if self.device.type == "cuda" else processor(),
            "threads": torch.get_num_threads(),
            "cpus": cores(),
            "torch": torch.__version__,
            **sizes_and_hashes(self.folder),
        }
        write_json(self.folder / "done.json", summary)


def parameter_counts(policy: Policy) -> dict[str, int]:
    """Parameters in all and those that are trained; target networks count as neither."""
    counted = [(name, p) for name, p in policy.named_parameters() if not name.startswith("target_")]
    total = sum(p.numel() for _, p in counted)
    return {"params_total": total, "params_trainable": sum(p.numel() for _, p in counted if p.requires_grad)}
