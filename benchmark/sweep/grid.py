"""A grid of runs, trained by an engine: a pool of processes here, or a Ray cluster.

Finished runs are skipped, unfinished ones go on from their checkpoints, damaged folders are set aside, the longest run
starts first. A run whose worker dies is tried again. Two sweeps over the same runs share them: each begins with what
the other is not working on, waits for the rest, and finds it done.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ...datasets.errors import UserError
from ..runs.config import RunConfig
from ..runs.store import hold, is_done, is_held, run_folder, set_damaged_aside, write_failure
from ..runs.tracks import Job
from .engine import Engine, Workplace
from .engines import check_engine, device_of_plan, open_engine
from .estimate import kind, typical_pace
from .job import Died, Ended, Full, Message, Note, Step, full_line, no_space
from .options import Workers
from .plan import Plan, make_plan
from .record import Record
from .state import State

ATTEMPTS = 3  # how often a run is started in a row without getting further, before its worker's death is its failure


@dataclass(frozen=True)
class Outcome:
    """The outcome of a sweep."""

    finished: list[str]  # run ids that are done, earlier ones included
    failed: dict[str, str]  # run id -> one line that says why


def sweep(
    runs: Iterable[RunConfig],
    root: Path,
    workers: Workers,
    show: Callable[[State], None] | None = None,
    seeds_together: bool = False,
) -> Outcome:
    """Train all runs that are not done. Returns when nothing is left to do.

    A run that fails does not stop the others; starting the sweep again tries it again. With `seeds_together`, runs that
    differ in their seeds alone are one job, where they can be (`together.stackable`). Results don't depend on the
    engine. A disk without space left stops everything: a `UserError`, after which the same call goes on.
    """
    check_engine(workers)
    plan = make_plan(runs, root, seeds_together, device_of_plan(workers))
    return carry_out(plan, root, workers, show)


def carry_out(plan: Plan, root: Path, workers: Workers, show: Callable[[State], None] | None = None) -> Outcome:
    """`sweep`, of a plan that was made already."""
    state = State(plan.runs, dict(plan.begun), finished=list(plan.done), jobs=list(plan.jobs), before=plan.times)
    if not plan.jobs:
        return Outcome(sorted(state.finished), {})
    by_id = {run.id: run for run in plan.runs}
    state.notes += [line for run in plan.damaged if (line := set_damaged_aside(root, by_id[run]))]
    workers = replace(workers, jobs=min(workers.jobs, len(plan.jobs)))
    try:
        with Record(root, plan, workers.engine.engine) as record:
            engine = open_engine(Workplace(root, workers, record.mark))
            try:
                _supervise(state, engine, root, show or (lambda _: None), record)
            finally:
                engine.close()
    except OSError as error:  # the record's own: workers report what they meet
        raise (UserError(full_line(root)) if no_space(error) else error) from None
    return Outcome(sorted(state.finished), state.failed)


def _supervise(state: State, engine: Engine, root: Path, show: Callable[[State], None], record: Record) -> None:
    waiting = list(state.jobs)
    attempts = _Attempts(root)
    while waiting or engine.busy:
        state.slots = engine.slots
        while waiting and engine.busy < state.slots:
            job = _next(waiting, root, record.shared)
            attempts.begin(job)
            engine.start(job)
            state.running |= {run.id for run in job}
        for job, message in engine.messages(timeout=0.5):
            if _hear(state, job, message, attempts):
                waiting.insert(0, job)
        show(state)
        record.write(state)


def _next(waiting: list[Job], root: Path, shared: bool) -> Job:
    """Take the longest job that no other process works on; if all are taken, the longest: its worker will wait.

    With another sweep in the folder, any that is free: both would take the same one, since it is held only when a
    worker has started, and one would always wait for the other.
    """
    free = (number for number, job in enumerate(waiting) if not any(is_held(root, run) for run in job))
    chosen = random.choice([*free] or [0]) if shared else next(free, 0)
    return waiting.pop(chosen)


def _hear(state: State, job: Job, message: Message, attempts: "_Attempts") -> bool:
    """Bring the state up to date with what a worker said; returns whether the job is to be tried again."""
    match message:
        case Step(name, step, seconds):
            key = kind(job[0])
            state.steps[name] = step
            state.rates[name] = seconds
            state.pace[key] = 0.8 * state.pace.get(key, seconds) + 0.2 * seconds
            if key not in state.usual:
                state.usual[key] = typical_pace(job[0])
            return False
        case Note(line):
            state.notes.append(line)
            return False
        case Full(line):
            raise UserError(line)
        case Ended(failed):
            state.failed |= failed
            state.finished += [run.id for run in job if run.id not in failed]
        case Died(how) if attempts.given_up(job):
            for run in job:
                state.failed[run.id] = f"run {run.id}: its process died {ATTEMPTS} times ({how})"
                attempts.record(run, state.failed[run.id], state.steps.get(run.id, 0))
    for run in job:
        state.running.discard(run.id)
        state.rates.pop(run.id, None)
    return isinstance(message, Died) and job[0].id not in state.failed


class _Attempts:
    """Counts of how often in a row each job was started without getting further, by the id of its first run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.number: Counter[str] = Counter()
        self.saved: dict[str, list[tuple[int, ...]]] = {}

    def begin(self, job: Job) -> None:
        """The job is started once more."""
        saved = [self._checkpoint(run) for run in job]
        if self.saved.get(job[0].id) != saved:
            self.number[job[0].id] = 0
        self.number[job[0].id] += 1
        self.saved[job[0].id] = saved

    def given_up(self, job: Job) -> bool:
        """Check whether a job whose worker died is not to be started again."""
        further = self.saved[job[0].id] != [self._checkpoint(run) for run in job]
        return self.number[job[0].id] >= ATTEMPTS and not further

    def record(self, run: RunConfig, line: str, step: int) -> None:
        """Leave beside a run that was given up why it was, unless another process has gone on with it."""
        folder = run_folder(self.root, run)
        with suppress(UserError, OSError), hold(folder):
            if (folder / "config.json").exists() and not is_done(self.root, run):
                write_failure(folder, f"{line}; start the same command again to go on", step)

    def _checkpoint(self, run: RunConfig) -> tuple[int, ...]:
        """The mark that tells one checkpoint from the next, which replaces its file."""
        with suppress(FileNotFoundError):
            found = (run_folder(self.root, run) / "checkpoint.safetensors").stat()
            return found.st_ino, found.st_mtime_ns, found.st_size
        return ()
