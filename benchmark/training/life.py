"""The life of a run: it begins or goes on, logs, is evaluated and saved, and ends well or not at all.

Nothing here knows a data set, a policy or a language model. A track, or pre-training, subclasses `Life`. Its subclass
says what a step is, how it is evaluated, and what its checkpoint holds. A life that is killed at any point and begun
again goes on from its last checkpoint, and ends with the same numbers.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch

from ...datasets.disk_errors import disk_error
from ...datasets.errors import UserError
from ...datasets.processes import cores, processor
from ...datasets.storage import write_json
from ..runs.checkpoint import Progress
from ..runs.config import RunConfig
from ..runs.damage import sizes_and_hashes
from ..runs.layout import CHECKPOINT
from ..runs.store import is_done, note_on_terminal, open_run, run_folder, set_damaged_aside, write_failure, write_logs
from .memory import keep_freed_memory, memory_line

LOG_EVERY = 100  # steps; metrics stay on the device in between, and checkpoints are only taken at these steps
CHECKPOINT_SECONDS = 30.0  # a crash costs at most about this much training

Report = Callable[[int, int], None]  # called with (steps done, steps in all)
Note = Callable[[str], None]  # called with a line that a person should read


Training = TypeVar("Training", bound="Life")


class DivergedError(UserError):
    """Training met a number that is not finite. The last checkpoint was written before it."""


class Life(ABC):
    """A training in its folder, from its last checkpoint to its last step."""

    def __init__(self, name: str, folder: Path, steps: int, evaluate_every: int, report: Report) -> None:
        """`name` is for messages; `steps` are all steps, with an evaluation after every `evaluate_every` of them."""
        self.name = name
        self.folder = folder
        self.report = report
        self.steps = steps
        self.evaluate_every = evaluate_every
        self.progress = Progress(step=0, train_seconds=0.0, metrics=[], episodes="")
        self.saved_at = time.monotonic()

    @abstractmethod
    def load(self) -> Progress:
        """Restore the state of the checkpoint; return its progress."""

    @abstractmethod
    def start(self) -> None:
        """Get ready for the next step."""

    @abstractmethod
    def advance(self, steps: int) -> None:
        """Take some steps, and `record` what they measured."""

    @abstractmethod
    def check_weights(self) -> None:
        """Call `fail` if the last update left a weight that is not finite: losses are measured before an update."""

    @abstractmethod
    def evaluate(self) -> None:
        """Measure what was learned, and add it to `progress`."""

    @abstractmethod
    def write(self) -> None:
        """Write the checkpoint, then the logs that it holds."""

    @abstractmethod
    def advice(self) -> str:
        """Say what to do about a number that is not finite."""

    @abstractmethod
    def finish(self) -> None:
        """Write what makes the training count."""

    @property
    def checkpoint(self) -> Path:
        """The path of its only checkpoint."""
        return self.folder / CHECKPOINT

    def live(self) -> None:
        """Train to the last step and finish; the caller holds the folder's lock. What stops it is noted there."""
        try:
            self.begin()
            while self.progress.step < self.steps:
                self.advance(self.due())
                self.settle()
            self.finish()
        except Exception as error:
            self.crash(error)
            raise

    def begin(self) -> None:
        """Go on from the last checkpoint, if there is one."""
        if self.checkpoint.exists():
            self.progress = self.load()
        (self.folder / "failed.json").unlink(missing_ok=True)  # of an earlier attempt
        self.start()

    def due(self) -> int:
        """Steps until there is something to log."""
        step = self.progress.step
        return min(self.evaluate_every - step % self.evaluate_every, LOG_EVERY - step % LOG_EVERY, self.steps - step)

    def record(self, steps: int, means: dict[str, float], seconds: float, **facts: Any) -> None:
        """Log what some steps measured, all finite, then other facts and the seconds of training so far."""
        for name, value in means.items():
            if not math.isfinite(value):
                self.fail(f"{name} became {value} in steps {self.progress.step + 1} to {self.progress.step + steps}")
        self.progress.step += steps
        self.progress.train_seconds += seconds
        row = {"step": self.progress.step, **means, **facts}
        self.progress.metrics.append(row | {"seconds": round(self.progress.train_seconds, 3)})

    def settle(self) -> None:
        """Evaluate and save after some steps, if it is time to."""
        self.check_weights()
        if self.progress.step % self.evaluate_every == 0 or self.progress.step == self.steps:
            self.evaluate()
            self.save()
        elif time.monotonic() - self.saved_at > CHECKPOINT_SECONDS:
            self.save()
        self.report(self.progress.step, self.steps)

    def save(self) -> None:
        """Write what a resumed run needs."""
        self.write()
        self.saved_at = time.monotonic()

    def write_done(self, parameters: Mapping[str, int], simulator: str, device: torch.device) -> None:
        """Write the logs, then `done.json`: `params_total` and `params_trainable`, and what every run notes."""
        write_logs(self.folder, self.progress)  # a kill may have come between the last checkpoint and its logs
        facts: dict[str, Any] = {
            **parameters,
            "train_seconds": round(self.progress.train_seconds, 3),
            "evaluation_seconds": round(self.progress.evaluation_seconds, 3),
            "simulator": simulator,
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "device": torch.cuda.get_device_name() if device.type == "cuda" else processor(),
            "threads": torch.get_num_threads(),
            "cpus": cores(),
            "torch": torch.__version__,
            **sizes_and_hashes(self.folder),
        }
        write_json(self.folder / "done.json", facts)

    def fail(self, problem: str) -> NoReturn:
        """Stop before anything broken is written."""
        kept = "its last good checkpoint is kept" if self.checkpoint.exists() else "it had no checkpoint yet"
        message = f"{self.name}: {problem}; {kept}; {self.advice()}"
        write_failure(self.folder, message, self.progress.step)
        raise DivergedError(message)

    def crash(self, error: Exception) -> None:
        """Note in the run's folder why it stopped, unless that is noted already, or a disk's error stopped it."""
        if isinstance(error, DivergedError) or disk_error(error):
            return
        said = memory_line(error) or (str(error).splitlines() or [""])[0]
        kind = "" if isinstance(error, UserError) or memory_line(error) else f"{type(error).__name__}: "
        message = f"{self.name}: {kind}{said} (after step {self.progress.step})"
        with suppress(OSError):
            write_failure(self.folder, f"{message}; mend it and start the same command again", self.progress.step)


@contextmanager
def opened(
    config: RunConfig,
    root: Path,
    make: Callable[[Path], Training],
    wait: bool = False,
    note: Note = note_on_terminal,
) -> Iterator[Training | None]:
    """The training of a run, for its folder below `root`, which is locked until the block ends; None if it is done.

    `make` checks what does not fit before anything is written. A folder with a damaged file is set aside, `note` is
    told, and the run starts anew. While another process works on the run, raises a `UserError`; with `wait`, waits for
    it.
    """
    if line := set_damaged_aside(root, config):
        note(line)
    if is_done(root, config):
        yield None
        return
    keep_freed_memory()
    training = make(run_folder(root, config))
    with open_run(root, config, wait):
        yield None if is_done(root, config) else training  # another process may have finished it meanwhile
