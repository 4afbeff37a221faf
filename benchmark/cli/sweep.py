"""`lamobench sweep`, and how any command trains many runs."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from ...datasets.errors import UserError
from ..runs.methods import METHODS, methods_for
from ..sweep.options import EngineOptions
from ..terminal import duration
from .options import Plan, RunOptions, check_seeds, check_workers, run_request

if TYPE_CHECKING:
    from ..runs.config import RunConfig


@dataclass(frozen=True)
class Sweep:
    """Train a grid of runs, here or on a cluster: every method, fraction and seed. Finished runs are skipped."""

    data: Positional[str]
    """Data set to train on."""
    methods: Annotated[
        tuple[str, ...],
        arg(help=f"Any of {', '.join(METHODS)}; none given: LaMo, lamo-random and every baseline that applies."),
    ] = ()
    fractions: tuple[float, ...] = ()
    """Shares of whole episodes; none given: those of the published tables, or all of it where there are none."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds; seed s trains on subset s."""
    jobs: int = 0
    """Runs at a time; 0: one a core, or a GPU where there are any."""
    threads: int = 1
    """Processor threads of each."""
    seeds_together: bool = False
    """Train the seeds of each small-network method in one pass: less work in all, but on one core."""
    plan: Plan = False
    engine: EngineOptions = field(default_factory=EngineOptions)
    options: RunOptions = field(default_factory=RunOptions)

    def run(self) -> None:
        """Sweep; ends with status 2 if a run failed, after all others were trained."""
        from ...datasets.catalog import find_dataset, load
        from ..offline.resolve import grid

        check_workers(self.jobs, self.threads)
        check_seeds(self.seeds)
        options = self.options
        methods = self.methods or methods_for(discrete=load(self.data, options.source).discrete)
        fractions = self.fractions or find_dataset(self.data).published_fractions or (1.0,)
        requests = [run_request(self.data, method, options) for method in methods]
        every = [run for request in requests for run in grid(request, fractions, self.seeds)]
        train_all(
            every,
            self.data,
            options.runs,
            jobs=self.jobs,
            threads=self.threads,
            device=options.device,
            engine=self.engine,
            seeds_together=self.seeds_together,
            only_plan=self.plan,
        )


def train_all(
    every: "Sequence[RunConfig]",
    subject: str,
    root: Path,
    *,
    jobs: int,
    threads: int,
    device: str,
    engine: EngineOptions,
    seeds_together: bool = False,
    only_plan: bool = False,
) -> None:
    """Say what is to be done, train it and show how far it is; a `UserError` at the end if a run failed.

    With `only_plan` nothing is trained.
    """
    from ...datasets.storage import check_folder
    from ..sweep.engine import check_engine, device_of_plan, expected_slots
    from ..sweep.grid import carry_out
    from ..sweep.plan import make_plan
    from .display import SweepBar, print_plan

    check_folder(root)
    check_engine(engine, jobs, threads)
    plan = make_plan(every, root, seeds_together, device_of_plan(engine, device))
    slots = expected_slots(engine, jobs, threads, device)
    print_plan(plan, subject, root, slots)
    if only_plan:
        return
    bar = SweepBar(slots or 1)
    started = time.monotonic()
    try:
        outcome = carry_out(plan, root, jobs, threads, device, bar, engine)
    finally:
        bar.close()
    print(f"{len(outcome.finished)} of {len(plan.runs)} runs done, {duration(time.monotonic() - started)}")
    if outcome.failed:
        raise UserError("; ".join(outcome.failed.values()))
