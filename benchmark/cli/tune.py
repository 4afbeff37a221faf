"""`lamobench tune`: settings, chosen on seeds, and games, that are never reported."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional, UseAppendAction

from ...datasets.errors import UserError
from ..terminal import print_rows
from .options import Study, check_seeds, named_choices, named_values
from .sweep import check_study, train_study

if TYPE_CHECKING:
    from ..runs.tracks import Track


@dataclass(frozen=True)
class Tune:
    """Choose settings of methods, one at a time: the value with the largest area under the learning curve.

    Of tasks in stages the coefficient of each way to retain what a policy knew, or the share of its episodic memory; of
    text games temperature and learning rates. The choice goes into the track's `settings.py` by hand."""

    task: Positional[str]
    """Task in stages, such as grid-relay, or text game, such as tidy-medium."""
    methods: tuple[str, ...] = ()
    """Methods, e.g. finetune-bc finetune-ewc; none given: all that have something to choose."""
    setting: str = ""
    """Setting to choose, e.g. encoder_learning_rate; none given: all that don't hang on others."""
    values: tuple[float, ...] = ()
    """Values of that setting to try; none given: the track's own."""
    seeds: tuple[int, ...] = (1000, 1001, 1002)
    """Seeds, 1000 and above: those below are for runs that are reported."""
    lm: str = ""
    """Language model that text games are read with; empty: the track's own."""
    steps: int = 0
    """Steps, with as many evaluations as the task has; 0: the profile's."""
    budget: UseAppendAction[tuple[str, ...]] = ()
    """Field of the budget as NAME=VALUE, e.g. --budget evaluation_episodes=10; may be repeated."""
    precision: str = "float32"
    """Precision of matrix products: float32, or bfloat16, which is fast where the processor has it (rows say so)."""
    runs: Path = Path("runs/tuning")
    """Folder of the runs."""
    output: Path | None = None
    """File for the table; none given: results/TRACK/TASK/tuning/tuning.csv."""
    study: Study = field(default_factory=Study)

    def run(self) -> None:
        """Train what is missing, write the table and print it."""
        from ...datasets.storage import write_rows
        from ..runs.plugins import imported
        from ..runs.tracks import Wanted
        from ..scores.tuning import tuning_rows

        track = _tunable(self.task)
        output = self.output or Path("results") / track.name / self.task / "tuning" / "tuning.csv"
        check_study(self.study, output)
        check_seeds(self.seeds)
        tuning = imported(track.tuning)
        wanted = Wanted(
            self.task,
            self.methods,
            self.seeds,
            steps=self.steps,
            budget=named_values("--budget", self.budget),
            choices=named_choices(self.lm, self.precision),
            plan=self.study.plan,
        )
        every = tuning.trials(wanted, self.setting, self.values)
        if not train_study([run for trial in every for run in trial.runs], self.task, self.runs, self.study):
            return
        rows = tuning_rows(every, self.runs, tuning)
        write_rows(output, rows)
        print_rows([row | {"chosen": "*" if row["chosen"] else ""} for row in rows], as_json=False)
        print(f"\nwritten to {output}")


def _tunable(task: str) -> "Track":
    """The track of a task; a `UserError` if it has nothing to choose."""
    from ..runs.tracks import TRACKS, track_of

    track = track_of(task)
    if not track.tuning:
        known = ", ".join(name for other in TRACKS.values() if other.tuning for name in other.subjects)
        raise UserError(f"unknown task to tune '{task}' (valid: {known})")
    return track
