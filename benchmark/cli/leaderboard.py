"""`lamobench leaderboard` and `lamobench fractions`: finished runs, ranked."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from ...datasets.errors import UserError, choose
from ..runs.methods import methods_of
from ..runs.tracks import BEFORE_TRACKS
from ..terminal import print_rows, wrapped
from .options import RUNS

if TYPE_CHECKING:
    from ..scores.run import Run
    from ..scores.standings import Pool

SHOWN_OF_FRACTIONS = ("datasets", "fraction", "method", "lm", "seeds", "mean", "mean_low", "mean_high", "iqm")
MAKE = "make some with `make ablation` or `lamobench sweep DATA --fractions 0.1 1`"


@dataclass(frozen=True)
class Leaderboard:
    """Collect finished runs, and rank methods on each data set and over those that they share.

    Writes leaderboard.csv, aggregates.csv (mean, IQM, median, optimality gap), comparisons.csv (LaMo against each other
    method), learning_curves.png, scores.png and, where it was measured, held_out.png, and prints the tables. Of runs on
    tasks in stages, also finetune.csv (what was forgotten, and when it was back) and a figure for each task. On text
    games likewise: text.csv (how fast they were learned, and what is left in other words)."""

    runs: tuple[Path, ...] = (RUNS,)
    """Folders of runs; those inside them count too, and a run that is found twice counts once."""
    output: Path = Path("results")
    """Folder to write to."""
    archive: bool = False
    """Write the raw evaluations of the ranked runs beside the tables, for `lamobench recompute`: evaluations.tar.xz."""
    figures: bool = True
    """Draw the figures, with a panel for each data set and fraction: meant for a few data sets."""
    json: bool = False
    """Print the rows as JSON instead of a table."""
    markdown: bool = False
    """Print the table as Markdown, for a README or a paper."""

    def run(self) -> None:
        """Write the files and print the table."""
        from ...datasets.storage import check_folder
        from ..scores.boards import has_board, write_boards
        from ..scores.collect import collect, finished, uncollected
        from ..scores.held_out_table import held_out_markdown, held_out_tables
        from ..scores.leaderboard import leaderboard, write_csv
        from ..scores.standing_tables import aggregates_table, write_aggregates, write_comparisons
        from ..scores.standings import comparisons, pools, standings
        from ..scores.tables import as_markdown, as_table

        for root in self.runs:
            check_folder(root)
        with uncollected():  # not inside `collect` alone: its runs are still there while they are ranked
            runs = collect(*self.runs)
            frame = leaderboard(runs)
            found = pools(runs)
            stand = standings(found)
            write_csv(frame, self.output / "leaderboard.csv")
            write_aggregates(stand, self.output / "aggregates.csv")
            write_comparisons(comparisons(found), self.output / "comparisons.csv")
        written = ["leaderboard.csv", "aggregates.csv", "comparisons.csv"]
        tables, more = write_boards(runs, self.output, figures=self.figures)
        shown = [run for run in runs if not has_board(run)]
        common = frame[frame["track"].isin({run.config.track for run in shown if run.config})]
        if self.figures and len(common):
            from ..figures.curves import held_out_figure, learning_curves, scores  # matplotlib

            learning_curves(shown, self.output / "learning_curves.png")
            scores(shown, self.output / "scores.png")
            written += ["learning_curves.png", "scores.png"]
            if held_out_figure(shown, self.output / "held_out.png"):
                written.append("held_out.png")
        written += more
        if self.archive:
            from ..sharing.evaluations import write_evaluations

            written.append(write_evaluations([run.folder for run in finished(runs)], self.output).name)
        if self.json:
            print(frame.to_json(orient="records", indent=2))
        elif self.markdown:
            print("\n".join(filter(None, [as_markdown(frame), held_out_markdown(frame)])))
        else:
            ranked = [as_table(common), *held_out_tables(common)] if len(common) else []
            print("\n\n".join([*ranked, *tables, *aggregates_table(stand)]))
            print("\n".join(["", *wrapped(f"written to {self.output}: {', '.join(written)}")]))
        tell_left_out(runs)


@dataclass(frozen=True)
class Fractions:
    """Score over the share of the data, from finished runs: a table as CSV, and beside it a figure with a panel a data
    set. `make ablation` trains what it needs."""

    runs: tuple[Path, ...] = (RUNS,)
    """Folders of runs; those inside them count too."""
    data: tuple[str, ...] = ()
    """Data sets to show; none given: all that methods were run on at two fractions or more."""
    methods: Annotated[
        tuple[str, ...],
        arg(help=f"Methods, any of {', '.join(methods_of(BEFORE_TRACKS))}; none given: all that were run."),
    ] = ()
    fractions: tuple[float, ...] = ()
    """Shares of whole episodes; none given: all that were run."""
    profile: str = "cpu"
    """Profile of the runs, as `lamobench runs list` names it, e.g. "cpu (changed)" where a budget was changed."""
    source: str = ""
    """Source of the data; empty: each that was used, in a panel of its own."""
    output: Path = Path("results/ablation.csv")
    """File for the table; the figure has its name, and ends in .png."""
    json: bool = False
    """Print the rows as JSON instead of a table."""

    def run(self) -> None:
        """Write both files and print the table."""
        from ...datasets.catalog import find_dataset
        from ...datasets.fractions import check_fraction
        from ...datasets.storage import check_csv, check_folder
        from ..figures.fractions import fraction_figure
        from ..scores.collect import collect, finished
        from ..scores.standing_tables import standing_rows, write_aggregates
        from ..scores.standings import pools, standings

        check_csv(self.output)
        for fraction in self.fractions:
            check_fraction(fraction)
        for root in self.runs:
            check_folder(root)
        names = {find_dataset(name).name for name in self.data}
        for name in self.methods:
            choose("method", name, methods_of(BEFORE_TRACKS), "only runs on data sets have a share of the data")
        runs = collect(*self.runs)
        stand = standings(_chosen(pools(runs), names, self))
        figure = self.output.with_suffix(".png")
        write_aggregates(stand, self.output)
        fraction_figure(stand, figure)
        rows = [{column: row[column] for column in SHOWN_OF_FRACTIONS} for row in standing_rows(stand)]
        print_rows(rows, self.json)
        if not self.json:
            print(f"\nwritten to {self.output.parent}: {self.output.name}, {figure.name}")
        for name in sorted({run.config.profile for run in finished(runs)} - {self.profile}):
            print(f"left out: runs of another profile; they are shown with --profile '{name}'", file=sys.stderr)
        tell_left_out(runs)


def _chosen(found: "list[Pool]", datasets: set[str], command: Fractions) -> "list[Pool]":
    """The pools of single data sets, and the methods of them, that the command asks for.

    A `UserError` names the first thing asked for that leaves none, and what there is instead.
    """
    filters: list[tuple[str, set[Any], Callable[[Pool], Any], Callable[[Any], str]]] = [
        ("on", datasets, lambda pool: pool.datasets[0].split()[0], str),
        ("of profile", {command.profile}, lambda pool: pool.profile, repr),  # names have commas and spaces
        ("on data from", {command.source} - {""}, lambda pool: pool.source, repr),
        ("at fraction", set(command.fractions), lambda pool: pool.fraction, "{:g}".format),
    ]
    left = [pool for pool in found if len(pool.datasets) == 1]
    asked = ""
    place = ", ".join(map(str, command.runs))
    for words, wanted, value, show in filters:
        if not wanted:
            continue
        there = _listed({value(pool) for pool in left}, show)
        asked += f" {words} {_listed(wanted, show)}"
        left = [pool for pool in left if value(pool) in wanted]
        if not left:
            raise UserError(f"no finished runs{asked} in {place}, where there are some {words} {there}; {MAKE}")
    if command.methods:
        there = _listed({name[0] for pool in left for name in pool.rows})
        asked += f" of method {_listed(set(command.methods))}"
        left = [_of_methods(pool, command.methods) for pool in left]
        if not any(pool.rows for pool in left):
            raise UserError(f"no finished runs{asked} in {place}, where there are some of {there}; {MAKE}")
    left = [pool for pool in (_without_variants(pool) for pool in left) if pool.rows]
    panels = [(pool.source, pool.datasets) for pool in left]
    shown = [pool for pool, panel in zip(left, panels, strict=True) if datasets or panels.count(panel) > 1]
    if not shown:
        raise UserError(f"no finished runs{asked} at two fractions or more in {place}; give --data, or {MAKE}")
    return shown


def _listed(values: set[Any], show: Callable[[Any], str] = str) -> str:
    return ", ".join(map(show, sorted(values)))


def _of_methods(pool: "Pool", methods: Sequence[str]) -> "Pool":
    return replace(pool, rows={name: rows for name, rows in pool.rows.items() if name[0] in methods})


def _without_variants(pool: "Pool") -> "Pool":
    return replace(pool, rows={name: rows for name, rows in pool.rows.items() if not name[2]})


def tell_left_out(runs: "Sequence[Run]") -> None:
    """Say on standard error which runs do not count, and which were not checked."""
    from ..scores.collect import left_out, unverified

    for line in left_out(runs):
        print(f"left out: {line}", file=sys.stderr)
    for line in unverified(runs):
        print(f"note: {line}", file=sys.stderr)
