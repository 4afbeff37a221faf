"""`lamobench tune`: the coefficients of retention, chosen on seeds that are never reported."""

from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import Positional

from ..sweep.options import EngineOptions, Workers
from ..terminal import print_rows
from .options import Plan, check_seeds, check_workers
from .sweep import train_all


@dataclass(frozen=True)
class Tune:
    """Choose the coefficient of each way to retain what a policy knew: the one with the largest area under FULL.

    Only tasks in stages have them. The choice goes into `benchmark/finetune/settings.py` by hand."""

    task: Positional[str]
    """Task in stages: apple-retrieval or grid-relay."""
    methods: tuple[str, ...] = ()
    """Methods, e.g. finetune-bc finetune-ewc; none given: all that have a coefficient."""
    coefficients: tuple[float, ...] = ()
    """Coefficients to try; none given: a tenth of what is set, that, and ten times as much."""
    seeds: tuple[int, ...] = (1000, 1001, 1002)
    """Seeds, 1000 and above: those below are for runs that are reported."""
    jobs: int = 0
    """Runs at a time; 0: one a core."""
    runs: Path = Path("runs/tuning")
    """Folder of the runs."""
    output: Path = Path("results/finetune/tuning.csv")
    """File for the table."""
    plan: Plan = False
    engine: EngineOptions = field(default_factory=EngineOptions)

    def run(self) -> None:
        """Train what is missing, write the table and print it."""
        from ...datasets.storage import check_csv, write_rows
        from ..finetune.tuning import trials, tuning_rows

        check_csv(self.output)
        check_workers(self.jobs, threads=1)
        check_seeds(self.seeds)
        every = trials(self.task, self.methods, self.coefficients, self.seeds)
        workers = Workers(self.jobs, engine=self.engine)
        train_all([run for trial in every for run in trial.runs], self.task, self.runs, workers, only_plan=self.plan)
        if self.plan:
            return
        rows = tuning_rows(every, self.runs)
        write_rows(self.output, rows)
        print_rows([row | {"chosen": "*" if row["chosen"] else ""} for row in rows], as_json=False)
        print(f"\nwritten to {self.output}")
