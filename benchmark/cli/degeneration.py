"""`lamobench degeneration`: score against what fine-tuning makes of a language model."""

import sys
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
    "pull_significant": "of them",
}


@dataclass(frozen=True)
class Degeneration:
    """Fine-tune a language model on text games in every way, at several learning rates; say what became of its words.

    Each run that trained one is then taken back to it step by step, without training. Finished runs are skipped."""

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
        """Train what is missing, take back what was trained, write tables and figures, print the first table."""
        from ...datasets.storage import check_folder, write_rows
        from ..text.degeneration import (
            arms,
            degeneration_rows,
            finished_arms,
            rewind_rows,
            rewind_seconds,
            risen_rows,
            take_back,
        )
        from ..text.degeneration_figure import degeneration_figure

        runs, output = self._folders()
        check_folder(output, "a folder for tables, e.g. --output results/text/degeneration")
        check_workers(self.jobs, threads=1)
        check_seeds(self.seeds)
        every = arms(self._wanted(), self.rates)
        workers = Workers(self.jobs, engine=self.engine)
        trained = sum(len(arm.runs) for arm in every if arm.trains)
        jobs = self.jobs or cores()
        seconds = rewind_seconds(every) / jobs
        then = f"{count(trained, 'run')} will be taken back, about {duration(seconds)} by typical times"
        print(f"after training {then}")
        train_all([run for arm in every for run in arm.runs], self.task, runs, workers, only_plan=self.plan)
        if self.plan:
            return
        finished = finished_arms(every, runs)
        take_back(finished, jobs, lambda run: print(f"taken back: {run}", file=sys.stderr))
        rows = degeneration_rows(finished)
        taken_back = rewind_rows(finished)
        tables = {"degeneration": rows, "risen": risen_rows(finished), "taken_back": taken_back}
        for name, own in tables.items():
            if own:
                timeless = [{column: value for column, value in row.items() if "seconds" not in column} for row in own]
                write_rows(output / f"{name}.csv", timeless)
        degeneration_figure(finished, taken_back, output / "degeneration.png")
        self._draw_words(finished, output)
        print_rows([_printed(row) for row in rows], as_json=False)
        print(f"\nwritten to {output}: {', '.join(f'{name}.csv' for name, own in tables.items() if own)}, figures")

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

    def _draw_words(self, finished: "list[FinishedArm]", output: Path) -> None:
        """Draw the words of the first method that trains a language model, at each rate, of the first seed."""
        from ..text.words_figure import words_at_rates, words_figure

        if shown := words_at_rates(finished):
            words_figure(shown, self.task, output / "words.png")


def _printed(row: dict[str, Any]) -> dict[str, str]:
    return {title: _cell(row[name]) for name, title in PRINTED.items()}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.2g}" if isinstance(value, float) else str(value)
