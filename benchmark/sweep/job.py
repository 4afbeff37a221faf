"""Work on a job, whichever engine gave it: train its runs, and say how that goes."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ...datasets.disk_errors import FULL, disk_error, disk_line
from ...datasets.errors import UserError
from ..runs.tracks import Job, work_of
from ..streams import prepare_streams
from ..training.memory import TAKES_LESS, memory_line

OF_SWEEPS = " or ".join(TAKES_LESS[option] for option in ("jobs", "budget"))
TELL_EVERY = 0.1  # seconds between two messages about one run's steps, at least


@dataclass(frozen=True)
class Step:
    """The step that a run has reached."""

    run: str  # its id
    step: int
    seconds: float  # that an optimiser step takes, the run's share of its group's and of the evaluations included


@dataclass(frozen=True)
class Note:
    """A line that a person should read."""

    line: str


@dataclass(frozen=True)
class Ended:
    """End of the job, all of which is done; `failed` has a line for each run that is not done all the same."""

    failed: dict[str, str]


@dataclass(frozen=True)
class Full:
    """A message that there is no space left where the runs are."""

    line: str


@dataclass(frozen=True)
class Died:
    """The job's worker is gone, and nothing is known of the job but its checkpoints."""

    how: str


Message = Step | Note | Ended | Full | Died
Tell = Callable[[Step | Note], None]


def train_job(job: Job, root: Path, device: str, threads: int, tell: Tell) -> Ended | Full:
    """Train the runs of a job, each from its last checkpoint.

    Seeds that can't be trained in one pass on the device that is here are trained one after the other.
    """
    import torch

    prepare_streams()
    torch.set_num_threads(threads)
    try:
        parts = _parts(job, device)
    except UserError as error:  # there is no such device
        return Ended({run.id: str(error) for run in job})
    failed: dict[str, str] = {}
    for part in parts:
        ended = _train_part(part, root, device, tell)
        if isinstance(ended, Full):
            return ended
        failed |= ended.failed
    return Ended(failed)


def _parts(job: Job, device: str) -> list[Job]:
    """The parts of a job that are each trained in one pass here."""
    if len(job) <= 1:
        return [job] if job else []
    from ..training.devices import choose_device

    return list(work_of(job[0]).groups(job, choose_device(device).type))


def _train_part(job: Job, root: Path, device: str, tell: Tell) -> Ended | Full:
    """Train runs in one pass, or a run by itself; whatever goes wrong becomes a line of each."""
    try:
        return Ended(_train(job, root, device, tell))
    except Exception as error:
        if no_space(error):
            return Full(full_line(root))
        if line := memory_line(error, OF_SWEEPS) or disk_line(error):
            return Ended({run.id: f"run {run.id}: {line}" for run in job})
        tell(Note("".join(traceback.format_exception(error))))  # a defect: it is shown, and the sweep goes on
        first = (str(error).splitlines() or [""])[0]
        return Ended({run.id: f"run {run.id}: {type(error).__name__}: {first}" for run in job})


def _train(job: Job, root: Path, device: str, tell: Tell) -> dict[str, str]:
    """Train the runs of a job; for those that failed, one line that says why."""
    paces = {run.id: Pace(tell, run.id, len(job)) for run in job}

    def note(line: str) -> None:
        tell(Note(line))

    return work_of(job[0]).train(job, root, device, lambda run, done, total: paces[run].report(done, total), note)


def full_line(root: Path) -> str:
    """The line for a person when the disk that the runs are on is full."""
    return f"no space left for {root}; free some and start the same command again to go on"


def no_space(error: BaseException) -> bool:
    """Check whether a full disk, or a full share of one, brought about the error."""
    met = disk_error(error)
    return met is not None and met.errno in FULL


@dataclass
class Pace:
    """Turn a run's progress into messages with the seconds that a step takes, evaluations included."""

    tell: Tell
    run: str  # its id
    shared_by: int = 1  # runs that advance together, each in its share of the time
    first: tuple[int, float] | None = None  # where it stood, and when
    told: float = field(default=-TELL_EVERY)

    def report(self, step: int, total: int) -> None:
        """Tell the pace if it is time to; the training loop calls this."""
        now = time.monotonic()
        if self.first is None:
            self.first = (step, now)
            return
        if step < total and now - self.told < TELL_EVERY:
            return
        self.told = now
        seconds = (now - self.first[1]) / (step - self.first[0])
        self.tell(Step(self.run, step, seconds / self.shared_by))
