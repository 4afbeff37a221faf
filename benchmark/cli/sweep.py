"""`lamobench sweep`, and how any command trains many runs."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from ...datasets.errors import UserError
from ..sweep.options import EngineOptions, Workers
from ..terminal import duration
from .options import (
    METHODS_BY_TRACK,
    STAGED,
    Plan,
    RunOptions,
    Study,
    check_seeds,
    check_workers,
    named_values,
    own_choices,
)

if TYPE_CHECKING:
    from ..runs.config import RunConfig
    from ..runs.tracks import Wanted


@dataclass(frozen=True)
class Sweep:
    """Train a grid of runs, here or on a cluster: every method, fraction and seed. Finished runs are skipped."""

    data: Annotated[Positional[str], arg(help=f"Data set to train on, a task in stages or a text game: {STAGED}.")]
    methods: Annotated[
        tuple[str, ...],
        arg(help=f"Methods; none given: all that a table has. {METHODS_BY_TRACK}."),
    ] = ()
    fractions: tuple[float, ...] = ()
    """Shares of whole episodes; none given: those of the published tables, or all of it where there are none."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds; seed s trains on subset s."""
    jobs: int = 0
    """Runs at a time; 0: one a core, or a GPU where there are any."""
    threads: int = 1
    """Processor threads of each run."""
    seeds_together: bool = False
    """Train the seeds of each small-network method in one pass: less work in all, but on one core."""
    track: str = ""
    """Track of the runs; none given: that of the task, which is offline for a data set."""
    plan: Plan = False
    engine: EngineOptions = field(default_factory=EngineOptions)
    training: RunOptions = field(default_factory=RunOptions)

    def run(self) -> None:
        """Sweep; ends with status 2 if a run failed, after all others were trained."""
        from ..runs.tracks import find_track, track_of

        check_workers(self.jobs, self.threads)
        check_seeds(self.seeds)
        options = self.training
        track = find_track(self.track) if self.track else track_of(self.data)
        every = track.open().resolve(wanted(self))
        workers = Workers(self.jobs, self.threads, options.device, self.engine)
        train_all(every, self.data, options.runs, workers, self.seeds_together, self.plan)


def wanted(command: Sweep) -> "Wanted":
    """The request that the command makes to its track."""
    from ..runs.tracks import Wanted

    options = command.training
    choices = own_choices(options)
    if command.fractions:
        choices["fractions"] = command.fractions
    return Wanted(
        command.data,
        command.methods,
        command.seeds,
        options.profile,
        options.steps,
        named_values("--budget", options.budget),
        named_values("--set", options.set),
        choices,
        command.plan,
    )


def train_all(
    every: "Sequence[RunConfig]",
    subject: str,
    root: Path,
    workers: Workers,
    seeds_together: bool = False,
    only_plan: bool = False,
) -> None:
    """Say what is to be done, train it and show how far it is; a `UserError` at the end if a run failed.

    With `only_plan` nothing is trained.
    """
    from ...datasets.storage import check_folder
    from ..sweep.engines import check_engine, device_of_plan, expected_slots
    from ..sweep.grid import carry_out
    from ..sweep.plan import make_plan
    from .display import SweepBar, print_plan

    check_folder(root)
    check_engine(workers)
    plan = make_plan(every, root, seeds_together, device_of_plan(workers))
    slots = expected_slots(workers)
    print_plan(plan, subject, root, slots)
    if only_plan:
        return
    bar = SweepBar(slots or 1)
    started = time.monotonic()
    try:
        outcome = carry_out(plan, root, workers, bar)
    finally:
        bar.close()
    print(f"{len(outcome.finished)} of {len(plan.runs)} runs done, {duration(time.monotonic() - started)}")
    if outcome.failed:
        raise UserError("; ".join(outcome.failed.values()))


def check_study(study: Study, output: Path) -> None:
    """Refuse, with a `UserError`, numbers of workers that can't be, and a table that could not be written later."""
    from ...datasets.storage import check_csv

    check_csv(output)
    check_workers(study.jobs, threads=1)


def train_study(
    every: "Sequence[RunConfig]", subject: str, root: Path, study: Study, seeds_together: bool = False
) -> bool:
    """Train what a table needs; False if only the plan was asked for, and there is nothing to make it of."""
    train_all(every, subject, root, Workers(study.jobs, engine=study.engine), seeds_together, only_plan=study.plan)
    return not study.plan
