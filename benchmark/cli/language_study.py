"""`lamobench language-study`: pre-trained language models against the same networks without language."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from ...datasets.errors import choose
from ..sweep.options import EngineOptions, Workers
from ..terminal import print_rows
from .options import Plan, check_workers
from .sweep import train_all

if TYPE_CHECKING:
    from ..offline.language_study import Part, Rows

SEARCH = "search"  # folder inside that of the study, of runs as of tables
PRINTED = (
    *("dataset", "lm", "arm", "step", "held_out_error"),
    *("held_out_error_less", "held_out_error_less_low", "held_out_error_less_high", "held_out_error_sees"),
    *("score", "score_less"),
)


@dataclass(frozen=True)
class LanguageStudy:
    """Compare pre-trained language models with the same networks without language, where data is scarce.

    Searches the learning rate and input scale of every arm on recordings that are not reported, then trains each arm
    with its choice, and writes both tables. Finished runs are skipped: it can be stopped, and goes on."""

    lms: Positional[tuple[str, ...]] = ("gpt2-mini", "smollm2")
    """Language models."""
    data: tuple[str, ...] = ()
    """Data sets that are reported; none given: all of the study's."""
    jobs: int = 0
    """Runs at a time; 0: one a core."""
    runs: Path = Path("runs/language")
    """Folder of the runs."""
    output: Path = Path("results/language")
    """Folder of the tables, language.csv and search.csv."""
    plan: Plan = False
    engine: EngineOptions = field(default_factory=EngineOptions)

    def run(self) -> None:
        """Search, train and compare; each table is written as soon as a part of it is known."""
        from ...datasets.storage import write_rows
        from ..offline.language_study import DATA, chosen, find_part, study_rows, study_runs

        check_workers(self.jobs, threads=1)
        parts = [find_part(lm) for lm in self.lms]
        datasets = [choose("data set of the study", name, list(DATA)) for name in self.data] or list(DATA)
        searched: Rows = []
        rows: Rows = []
        for part in parts:
            found = self._search(part)
            if self.plan:
                continue
            searched += found
            write_rows(self.output / "search.csv", searched)
            for name in datasets:
                study = study_runs(part, chosen(found), [name])
                self._train([run for runs in study.values() for run in runs], f"{part.lm}, {name}", self.runs)
                rows += study_rows(part, study, self.runs)
                write_rows(self.output / "language.csv", rows)
        if rows:
            print_rows([{column: row[column] for column in PRINTED} for row in rows], as_json=False)
            print(f"\nwritten to {self.output}: language.csv, search.csv")

    def _search(self, part: "Part") -> "Rows":
        """The rows of a part's search, of which there are none if all is but planned."""
        from ..offline.language_study import search_rows, search_runs

        search = search_runs(part)
        place = self.runs / SEARCH
        self._train([run for runs in search.values() for run in runs], f"{part.lm}, search", place)
        return [] if self.plan else search_rows(part, search, place)

    def _train(self, every: Sequence[Any], subject: str, place: Path) -> None:
        workers = Workers(self.jobs, engine=self.engine)
        train_all(every, subject, place, workers, only_plan=self.plan)
