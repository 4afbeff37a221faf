"""`lamobench language-study`: pre-trained language models against the same networks without language."""

from collections.abc import Mapping, Sequence
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
    from ..offline.language_study import Curves, Rows
    from ..runs.config import RunConfig

PRINTED = (
    *("dataset", "method", "lm", "language_weight", "step", "held_out_error"),
    *("held_out_error_less", "held_out_error_less_low", "held_out_error_less_high", "held_out_error_sees"),
    *("score", "score_less"),
)


@dataclass(frozen=True)
class LanguageStudy:
    """Compare pre-trained language models with the same networks without language, where data is scarce.

    Searches the learning rate and input scale of every arm on recordings that are not reported, then trains each arm
    with its choice, and writes both tables. Finished runs are skipped: it can be stopped, and goes on."""

    lms: Positional[tuple[str, ...]] = ("gpt2-mini", "smollm2")
    """Language models of the study."""
    data: tuple[str, ...] = ()
    """Data sets that are reported; none given: all of the study's."""
    jobs: int = 0
    """Runs at a time; 0: one a core."""
    runs: Path = Path("runs/language")
    """Folder of the runs that are reported."""
    search_runs: Path = Path("runs/language-search")
    """Folder of the runs of the search."""
    output: Path = Path("results/language")
    """Folder for language.csv and rewind.csv, and for search.csv in its folder search."""
    text: str = ""
    """Text that tells how much of language is left: wikitext-2, wikitext-103, docs or a file; empty: wikitext-2 if
    fetched, else docs."""
    plan: Plan = False
    engine: EngineOptions = field(default_factory=EngineOptions)

    def run(self) -> None:
        """Search, train and compare; each table is written as soon as a part of it is known."""
        from ...datasets.measured_text import measured_text
        from ...datasets.storage import write_rows
        from ..offline import language_study as study

        check_workers(self.jobs, threads=1)
        parts = [study.find_part(lm) for lm in self.lms]
        datasets = [choose("data set of the study", name, list(study.DATA)) for name in self.data] or list(study.DATA)
        text = None if self.plan else measured_text(self.text)
        searched: Rows = []
        rewinds: Rows = []
        curves: dict[str, Curves] = {part.lm: {} for part in parts}
        for part in parts:
            print(f"{part.lm}: search, runs and rewinds of all data sets take about {part.core_hours} hours of a core")
            search = study.search_runs(part)
            self._train(search, f"{part.lm}, search", self.search_runs)
            if text is None:
                continue
            searched += (found := study.search_rows(search, self.search_runs))
            write_rows(self.output / "search" / "search.csv", searched)
            for name in datasets:
                runs = study.study_runs(part, study.chosen(search, found), [name])
                self._train(runs, f"{part.lm}, {name}", self.runs)
                curves[part.lm] |= study.study_curves(part, runs, self.runs)
                self._write(curves)
                rewinds += study.rewind_rows(part, runs, self.runs, text)
                write_rows(self.output / "rewind.csv", rewinds)
        if text is not None:
            print_rows([{column: row[column] for column in PRINTED} for row in _rows(curves)], as_json=False)
            print(f"\nwritten to {self.output}: language.csv, language.png, rewind.csv, search/search.csv")

    def _write(self, curves: "Mapping[str, Curves]") -> None:
        """Write what is known so far."""
        from ...datasets.storage import write_rows
        from ..offline.language_figure import language_figure

        write_rows(self.output / "language.csv", _rows(curves))
        language_figure(curves, self.output / "language.png")

    def _train(self, runs: "Mapping[Any, Sequence[RunConfig]]", subject: str, place: Path) -> None:
        every = [run for group in runs.values() for run in group]
        train_all(every, subject, place, Workers(self.jobs, engine=self.engine), only_plan=self.plan)


def _rows(curves: "Mapping[str, Curves]") -> "Rows":
    return [row for own in curves.values() for arm in own.values() for row in arm]
