"""The protocol of what trains a sweep's jobs. `engines.py` chooses an engine.

An engine decides where a job runs, nothing of what comes out of it: every worker calls `job.train_job`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..runs.tracks import Job
from .job import Message
from .options import Workers


@dataclass(frozen=True)
class Workplace:
    """The sweep as an engine sees it."""

    root: Path  # folder of the runs
    workers: Workers
    mark: Path  # a file under `root`, by which a node sees that its disk is the same


class Engine(Protocol):
    """Processes that train jobs, somewhere."""

    @property
    def slots(self) -> int:
        """Jobs at a time."""

    @property
    def busy(self) -> int:
        """Jobs that were started and have not ended."""

    def start(self, job: Job) -> None:
        """Hand a job to a worker."""

    def messages(self, timeout: float) -> Sequence[tuple[Job, Message]]:
        """The messages of workers within `timeout` seconds. After `Ended`, `Full` or `Died` a job is no longer busy."""

    def close(self) -> None:
        """Stop every worker; one in the middle of a run loses what came after its last checkpoint."""
