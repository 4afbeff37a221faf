"""Who trains the jobs of a sweep: what every engine offers, and how one is chosen.

An engine decides where a job runs, nothing of what comes out of it: every worker calls `job.train_job`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ...datasets.errors import UserError, choose
from ...datasets.processes import cores
from ..runs.tracks import Job
from .job import Message
from .options import ENGINES, EngineOptions
from .plan import ELSEWHERE


@dataclass(frozen=True)
class Workplace:
    """What an engine has to know of a sweep."""

    root: Path  # folder of the runs
    jobs: int  # at a time; 0: as many as fit
    threads: int  # processor threads of each
    device: str
    options: EngineOptions
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
        """What workers said within `timeout` seconds. After `Ended`, `Full` or `Died` a job is no longer busy."""

    def close(self) -> None:
        """Stop every worker; one in the middle of a run loses what came after its last checkpoint."""


def open_engine(place: Workplace) -> Engine:
    """The engine that was asked for."""
    if place.options.engine == "ray":
        from .ray import RayEngine

        return RayEngine(place)
    from .local import LocalEngine

    return LocalEngine(place)


def check_engine(options: EngineOptions, jobs: int, threads: int) -> None:
    """A `UserError` unless the options go together; nothing is started."""
    choose("engine", options.engine, ENGINES)
    if jobs < 0 or threads < 1:
        raise UserError(f"jobs {jobs} and threads {threads}: give at least 0 jobs (0: one a core) and 1 thread")
    given = [name for name in ("address", "cpus_per_run", "gpus_per_run") if getattr(options, name) != _DEFAULT[name]]
    if options.engine != "ray":
        if given:
            raise UserError(f"--{given[0].replace('_', '-')} is of the engine ray; add --engine ray, or leave it out")
        return
    if options.cpus_per_run < 0 or (options.gpus_per_run < 0 and options.gpus_per_run != -1):
        raise UserError(
            f"cpus per run {options.cpus_per_run:g} and gpus per run {options.gpus_per_run:g}: give 0 or more of each"
        )
    from .ray_cluster import import_ray

    import_ray(options.address)


_DEFAULT = vars(EngineOptions())


def device_of_plan(options: EngineOptions, device: str) -> str:
    """The device that a plan is made for: that of a cluster's nodes is not known here, nor what is fast there."""
    return ELSEWHERE if options.engine == "ray" and options.address else device


def slots_here(jobs: int, threads: int, gpus: Sequence[str]) -> int:
    """Jobs at a time on this machine: as many as asked for, else one a GPU, else one for each `threads` cores."""
    return jobs or len(gpus) or max(1, cores() // threads)


def expected_slots(options: EngineOptions, jobs: int, threads: int, device: str) -> int:
    """Jobs at a time before anything is started; 0 if a cluster has yet to be asked."""
    if options.engine == "ray" and options.address:
        return jobs
    from .local import visible_gpus

    wide = max(1, round(options.cpus_per_run or threads)) if options.engine == "ray" else threads
    return slots_here(jobs, wide, visible_gpus(device))
