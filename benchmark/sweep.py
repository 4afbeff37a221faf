"""A grid of runs on a pool of local processes.

Each worker is one process with one thread of its own (more with `threads`), trains one run at a time and reports its
steps. Finished runs are skipped, unfinished ones go on from their checkpoints, the longest start first. A worker that
dies (killed, out of memory) is replaced and its run tried again; when the parent dies, its workers follow at once. Two
sweeps over the same runs share them: one waits for what the other is working on, and finds it done.

A job is what a worker is given at a time: one run, or with `seeds_together` those that differ in their seeds alone and
can be trained in one pass.
"""

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import product
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from ..datasets.errors import UserError
from ..datasets.processes import START_METHOD, cores, follow_parent
from .config import RunConfig, RunRequest, resolve_each
from .runs import is_done
from .settings import LANGUAGE_MODEL_METHODS

ATTEMPTS = 3  # how often a run is started before its worker's death counts as the run's failure

# Seconds that an optimiser step takes on one core in the cpu profile, its share of the evaluations included: for the
# order of runs and the first estimates of the time left, until a run of the method reports what it takes here.
TYPICAL_COST = {
    **dict.fromkeys(LANGUAGE_MODEL_METHODS, 0.05),
    **dict.fromkeys(("dt", "dt-matched"), 0.03),
    "cql": 0.015,
    **dict.fromkeys(("iql", "td3-bc", "rebrac", "rvs", "bc", "bc-10"), 0.01),
}
UNKNOWN_COST = 0.03  # of a method that is not listed

Job = tuple[RunConfig, ...]


@dataclass(frozen=True)
class Outcome:
    """What came of a sweep."""

    finished: list[str]  # run ids that are done, earlier ones included
    failed: dict[str, str]  # run id -> one line that says why


@dataclass
class State:
    """Where a sweep stands, for its display."""

    runs: list[RunConfig]  # all of them, longest first
    steps: dict[str, int] = field(default_factory=dict)  # run id -> optimiser steps done
    running: set[str] = field(default_factory=set)  # run ids
    pace: dict[str, float] = field(default_factory=dict)  # method -> measured seconds per step
    finished: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)  # runs that one worker trains together; any other is by itself

    def seconds_per_step(self, method: str) -> float:
        """As measured, or the typical cost scaled by how this machine compares on the methods measured so far."""
        if method in self.pace:
            return self.pace[method]
        known = [(self.pace[m], TYPICAL_COST.get(m, UNKNOWN_COST)) for m in self.pace]
        scale = sum(p for p, _ in known) / sum(c for _, c in known) if known else 1.0
        return scale * TYPICAL_COST.get(method, UNKNOWN_COST)

    def seconds_left(self, jobs: int) -> float | None:
        """An estimate of the wall time left; None until something was measured."""
        if not self.pace:
            return None
        over = {*self.finished, *self.failed}
        costs = {
            run.id: (run.steps - self.steps.get(run.id, 0)) * self.seconds_per_step(run.method)
            for run in self.runs
            if run.id not in over
        }
        of_jobs = [sum(costs.get(run.id, 0.0) for run in job) for job in self.jobs]
        return max(sum(costs.values()) / jobs, max([*costs.values(), *of_jobs], default=0.0))


def grid(request: RunRequest, fractions: Sequence[float], seeds: Sequence[int]) -> list[RunConfig]:
    """One method at every combination of fractions and seeds, resolved."""
    return resolve_each(request, list(product(fractions, seeds)))


def cost(run: RunConfig) -> float:
    """Seconds that a run may take; good enough to start the longest first."""
    return run.steps * TYPICAL_COST.get(run.method, UNKNOWN_COST)


def sweep(
    runs: Iterable[RunConfig],
    root: Path,
    jobs: int = 0,
    threads: int = 1,
    device: str = "auto",
    show: Callable[[State], None] | None = None,
    seeds_together: bool = False,
) -> Outcome:
    """Train all runs that are not done, `jobs` at a time (0: one a core). Returns when nothing is left to do.

    A run that fails does not stop the others; starting the sweep again tries it again. With `seeds_together`, runs that
    differ in their seeds alone are one job, where they can be (`together.stackable`).
    """
    if jobs < 0 or threads < 1:
        raise UserError(f"jobs {jobs} and threads {threads}: give at least 0 jobs (0: one a core) and 1 thread")
    unique = {run.id: run for run in runs}
    state = State(sorted(unique.values(), key=cost, reverse=True))
    state.finished = [run.id for run in state.runs if is_done(root, run)]
    waiting = jobs_of([run for run in state.runs if run.id not in set(state.finished)], seeds_together)
    state.jobs = list(waiting)
    jobs = min(jobs or max(1, cores() // threads), max(1, len(waiting)))
    pool = _Pool(root, threads, device)
    try:
        _supervise(state, waiting, pool, jobs, show or (lambda _: None))
    finally:
        pool.close()
    return Outcome(sorted(state.finished), state.failed)


def jobs_of(runs: Sequence[RunConfig], seeds_together: bool) -> list[Job]:
    """What a worker is given at a time, the longest first."""
    if not seeds_together:
        return [(run,) for run in runs]
    from .together import groups  # torch

    return sorted(groups(runs), key=lambda job: sum(map(cost, job)), reverse=True)


def _supervise(state: State, waiting: list[Job], pool: "_Pool", jobs: int, show: Callable[[State], None]) -> None:
    attempts: Counter[str] = Counter()  # by the id of a job's first run
    while waiting or pool.busy:
        while waiting and len(pool.busy) < jobs:
            job = waiting.pop(0)
            attempts[job[0].id] += 1
            pool.start(job)
            state.running |= {run.id for run in job}
        for job, message in pool.messages(timeout=0.5):
            match message:
                case ("step", run, step, pace):
                    method = job[0].method
                    state.steps[run] = step
                    state.pace[method] = pace if method not in state.pace else 0.8 * state.pace[method] + 0.2 * pace
                    continue
                case ("done", failed):
                    state.failed |= failed
                    state.finished += [run.id for run in job if run.id not in failed]
                case ("died", _) if attempts[job[0].id] < ATTEMPTS:
                    waiting.insert(0, job)
                case ("died", code):
                    line = f"its process died {ATTEMPTS} times (exit code {code})"
                    state.failed |= {run.id: f"run {run.id}: {line}" for run in job}
            state.running -= {run.id for run in job}
        show(state)


@dataclass(frozen=True)
class _Worker:
    process: Any  # multiprocessing's SpawnProcess
    pipe: Connection


class _Pool:
    """Worker processes; idle ones are used again, since importing PyTorch takes seconds."""

    def __init__(self, root: Path, threads: int, device: str) -> None:
        self.root, self.threads, self.device = root, threads, device
        self.context = multiprocessing.get_context(START_METHOD)
        self.idle: list[_Worker] = []
        self.busy: dict[Connection, tuple[_Worker, Job]] = {}

    def start(self, job: Job) -> None:
        """Hand a job to an idle worker, or to a new one."""
        worker = self.idle.pop() if self.idle else self._spawn()
        with suppress(ConnectionError):  # it died while it was idle: `messages` will say so
            worker.pipe.send(job)
        self.busy[worker.pipe] = (worker, job)

    def messages(self, timeout: float) -> list[tuple[Job, tuple[Any, ...]]]:
        """What the busy workers said within `timeout` seconds; a worker that ends a job becomes idle."""
        heard: list[tuple[Job, tuple[Any, ...]]] = []
        for pipe in wait(list(self.busy), timeout):
            assert isinstance(pipe, Connection)
            worker, job = self.busy[pipe]
            try:
                message = pipe.recv()
            except (EOFError, OSError):  # also in the middle of a message
                worker.process.join()
                message = ("died", worker.process.exitcode)
            if message[0] != "step":
                del self.busy[pipe]
                if message[0] != "died":
                    self.idle.append(worker)
            heard.append((job, message))
        return heard

    def close(self) -> None:
        """Stop every worker; one in the middle of a run loses what came after its last checkpoint."""
        for worker in [*self.idle, *(worker for worker, _ in self.busy.values())]:
            worker.process.terminate()
            worker.process.join()
            worker.pipe.close()

    def _spawn(self) -> _Worker:
        ours, theirs = self.context.Pipe()
        # read by OpenMP when the child starts; waiting threads that spin would take the other workers' cores
        os.environ |= {"OMP_NUM_THREADS": str(self.threads), "OMP_WAIT_POLICY": "PASSIVE"}
        process = self.context.Process(target=_work, args=(theirs, self.root, self.threads, self.device), daemon=True)
        process.start()
        theirs.close()  # so that the worker's death closes the pipe
        return _Worker(process, ours)


def _work(pipe: Connection, root: Path, threads: int, device: str) -> None:
    """A worker's life: take a job, train its runs, say how it went; end when the parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=follow_parent, daemon=True).start()
    import torch

    torch.set_num_threads(threads)
    while True:
        try:
            job: Job = pipe.recv()
        except EOFError:
            return
        try:
            failed = _train(job, root, device, pipe)
        except Exception as error:  # a defect: the sweep goes on, and the whole story is on the terminal
            traceback.print_exc()
            first = (str(error).splitlines() or [""])[0]
            failed = {run.id: f"run {run.id}: {type(error).__name__}: {first}" for run in job}
        pipe.send(("done", failed))


def _train(job: Job, root: Path, device: str, pipe: Connection) -> dict[str, str]:
    """Train the runs of a job; for those that failed, one line that says why."""
    from .together import train_together
    from .train import train

    paces = {run.id: _Pace(pipe, run.id, len(job)) for run in job}
    if len(job) > 1:
        return train_together(job, root, device, lambda run, step, total: paces[run].report(step, total), wait=True)
    try:
        train(job[0], root, device, paces[job[0].id].report, wait=True)
    except UserError as error:
        return {job[0].id: str(error)}
    return {}


@dataclass
class _Pace:
    """Turns a run's progress into messages with the seconds that a step takes, evaluations included."""

    pipe: Connection
    run: str  # its id
    shared_by: int = 1  # runs that advance together, each in its share of the time
    first: tuple[int, float] | None = None

    def report(self, step: int, total: int) -> None:
        """To be called by the training loop."""
        now = time.monotonic()
        if self.first is None:
            self.first = (step, now)
            return
        seconds = (now - self.first[1]) / (step - self.first[0])
        self.pipe.send(("step", self.run, step, seconds / self.shared_by))
