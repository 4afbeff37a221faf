"""`lamobench severity`: how much is forgotten, the harder it is to remember."""

from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import Positional

from ..terminal import print_rows
from .options import Study, check_seeds
from .sweep import check_study, train_study

PRINTED = ("task", "option", "value", "method", "seeds", "forgetting", "forgetting_low", "forgetting_high", "area")


@dataclass(frozen=True)
class Severity:
    """Fine-tune with one option of a task changed at a time, from easy to remember to hard, and say what was forgotten:
    a table as CSV and a figure. Finished runs are skipped."""

    knobs: Positional[tuple[str, ...]] = ()
    """Any of distance, signal (of apple-retrieval), goals (of grid-relay); none given: all."""
    methods: tuple[str, ...] = ()
    """Methods; none given: finetune and finetune-bc."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Seeds."""
    steps: int = 0
    """Rounds, with as many evaluations as the task has; 0: the task's own."""
    runs: Path = Path("runs/severity")
    """Folder of the runs."""
    output: Path = Path("results/finetune/severity/severity.csv")
    """File for the table; the figure stands beside it."""
    study: Study = field(default_factory=Study)

    def run(self) -> None:
        """Train what is missing, write table and figure, print the table."""
        from ...datasets.storage import write_rows
        from ..finetune.severity import measured, points, severity_figure, severity_rows

        check_study(self.study, self.output)
        check_seeds(self.seeds)
        every = points(self.knobs, self.methods, self.seeds, self.steps, self.study.plan)
        runs = [run for point in every for run in point.runs]
        if not train_study(runs, f"{len(every)} points", self.runs, self.study, seeds_together=True):
            return
        found = measured(every, self.runs)
        rows = severity_rows(found)
        write_rows(self.output, rows)
        figure = self.output.with_suffix(".png")
        severity_figure(found, figure)
        print_rows([{name: row[name] for name in PRINTED} for row in rows], as_json=False)
        print(f"\nwritten to {self.output} and {figure}")
