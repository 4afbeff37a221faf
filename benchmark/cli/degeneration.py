"""`lamobench degeneration`: score against what fine-tuning makes of a language model."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional, UseAppendAction

from ...datasets.counts import count
from ...datasets.errors import UserError
from ...datasets.processes import cores
from ..runs.tracks import Wanted, track_of
from ..sweep.options import EngineOptions, Workers
from ..terminal import duration, print_rows
from .options import Plan, check_seeds, check_workers, named_choices, named_values
from .sweep import train_all

if TYPE_CHECKING:
    from ..runs.config import RunConfig
    from ..text.degeneration import FinishedArm

USUAL = "tidy-medium"
PRINTED = {
    "method": "method",
    "encoder_learning_rate": "rate",
    "seeds": "seeds",
    "train/orig": "score",
    "robustness": "robust",
    "ood/orig": "ood",
    "cka_nouns": "CKA",
    "neighbours_nouns": "kept",
    "anisotropy_nouns": "anis.",
    "holders_train": "places",
    "wordnet": "WordNet",
    "pull": "pull",
}
TOGETHER = "tog./apart"  # seeds of which the pull could not be luck, by its sign


@dataclass(frozen=True)
class Degeneration:
    """Fine-tune a language model on text games in every way, at several learning rates; say what became of its words.

    Each run that trained one is then taken back to it step by step, and moved as far at random, without training.
    Finished runs are skipped. Tables and figures are of all finished runs of the game in the folder, of earlier calls
    too.
    """

    task: Positional[str] = USUAL
    """Text game, e.g. tidy-medium."""
    methods: tuple[str, ...] = ()
    """Methods; none given: random, hash, fixed and all that fine-tune but drrn-full, which costs the most."""
    rates: tuple[float, ...] = (1e-5, 1e-4, 1e-3)
    """Learning rates of the language model."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds."""
    lm: str = ""
    """Language model: minilm, smollm2, gpt2-mini or a folder; empty: minilm."""
    profile: str = "cpu"
    """Budgets and settings: cpu or gruppi2024."""
    steps: int = 0
    """Steps, with as many evaluations as the task has; 0: the task's own."""
    budget: UseAppendAction[tuple[str, ...]] = ()
    """Field of the budget as NAME=VALUE, e.g. --budget view_episodes=10; may be repeated."""
    precision: str = "float32"
    """Precision of matrix products: float32, or bfloat16, which is fast where the processor has it (rows say so)."""
    jobs: int = 0
    """Runs at a time; 0: one a core."""
    runs: Path | None = None
    """Folder of the runs; none given: runs/degeneration, of another game than tidy-medium runs/degeneration-GAME."""
    output: Path | None = None
    """Folder for tables and figures; none given: results/text/degeneration, or results/text/degeneration-GAME."""
    plan: Plan = False
    engine: EngineOptions = field(default_factory=EngineOptions)

    def run(self) -> None:
        """Train what is missing, take back what was trained, write tables and figures, print the first table.

        Ends with status 2 and a line if a run failed, after tables and figures of the others.
        """
        from ...datasets.storage import check_folder
        from ..scores.collect import collect, left_out
        from ..text.degeneration import arms, finished_arms, rewind_seconds, take_back, unfinished_line

        runs, output = self._folders()
        check_folder(output, "a folder for tables, e.g. --output results/text/degeneration")
        check_workers(self.jobs, threads=1)
        check_seeds(self.seeds)
        every = arms(self._wanted(), self.rates)
        asked = [run for arm in every for run in arm.runs]
        jobs = self.jobs or cores()
        trained = sum(len(arm.runs) for arm in every if arm.rate is not None)
        then = f"{count(trained, 'run')} will be taken back, about {duration(rewind_seconds(every) / jobs)}"
        print(f"after training {then} by typical times")
        self._train(asked, runs)
        if self.plan:
            return
        found = collect(runs)
        names = {run.id for run in asked}
        for line in left_out([run for run in found if run.id not in names]):
            print(f"left out: {line}", file=sys.stderr)
        problems = [unfinished_line(every, found)]
        if finished := finished_arms(found, asked[0].task):
            problems += take_back(finished, jobs, lambda run: print(f"taken back: {run}", file=sys.stderr))
            _write(finished, output)
        if line := "; ".join(filter(None, problems)):
            raise UserError(line)

    def _train(self, asked: "Sequence[RunConfig]", runs: Path) -> None:
        """Train the runs that are asked for; a run that failed is told of later, with the tables of the others."""
        from ..runs.store import run_folder

        workers = Workers(self.jobs, engine=self.engine)
        try:
            train_all(asked, self.task, runs, workers, only_plan=self.plan)
        except UserError:
            if not any((run_folder(runs, run) / "failed.json").exists() for run in asked):
                raise

    def _wanted(self) -> Wanted:
        if track_of(self.task).name != "text":
            raise UserError(f"'{self.task}' is no text game; give one, e.g. tidy-medium")
        return Wanted(
            self.task,
            self.methods,
            self.seeds,
            self.profile,
            self.steps,
            budget=named_values("--budget", self.budget),
            choices=named_choices(self.lm, self.precision),
            plan=self.plan,
        )

    def _folders(self) -> tuple[Path, Path]:
        """The folder of the runs, and that of tables and figures."""
        name = "degeneration" if self.task == USUAL else f"degeneration-{self.task}"
        return self.runs or Path("runs", name), self.output or Path("results", "text", name)


def _write(finished: "Sequence[FinishedArm]", output: Path) -> None:
    """Write tables and figures, and print the first table."""
    from ...datasets.storage import write_rows
    from ..text.courses import course_rows
    from ..text.courses_figure import courses_figure
    from ..text.degeneration_figure import degeneration_figure
    from ..text.degeneration_tables import degeneration_rows, random_rows, rewind_rows, risen_rows
    from ..text.words_figure import words_at_rates, words_figure

    rows = degeneration_rows(finished)
    tables = {
        "degeneration.csv": rows,
        "courses.csv": course_rows(finished),
        "risen.csv": risen_rows(finished),
        "taken_back.csv": rewind_rows(finished),
        "at_random.csv": random_rows(finished),
    }
    for name, own in tables.items():
        if own:
            timeless = [{column: value for column, value in row.items() if "seconds" not in column} for row in own]
            write_rows(output / name, timeless)
        else:
            (output / name).unlink(missing_ok=True)  # of runs that are gone
    written = [name for name, own in tables.items() if own]
    degeneration_figure(finished, output / "degeneration.png")
    written.append("degeneration.png")
    if any(arm.trains for arm in finished):
        courses_figure(finished, output / "courses.png")
        written.append("courses.png")
    if (shown := words_at_rates(finished)) is not None:
        words_figure(shown, finished[0].config.task, output / "words.png")
        written.append("words.png")
    print_rows(_printed(finished, rows), as_json=False)
    print(f"\nwritten to {output}: {', '.join(written)}")


def _printed(finished: "Sequence[FinishedArm]", rows: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """The rows as lines; a column says which language model or budget an arm has, where there are several."""
    several = any(arm.detail for arm in finished)
    return [
        {title: _cell(row[name]) for name, title in PRINTED.items()}
        | {TOGETHER: f"{row['pull_together']}/{row['pull_apart']}" if row["pull_seeds"] else ""}
        | ({"setting": arm.detail} if several else {})
        for arm, row in zip(finished, rows, strict=True)
    ]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.2g}" if isinstance(value, float) else str(value)
