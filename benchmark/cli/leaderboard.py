"""`lamobench leaderboard` and `lamobench fractions`, declared; `leaderboard_commands.py` does the work."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from ..runs.methods import METHODS


@dataclass(frozen=True)
class Leaderboard:
    """Collect finished runs, and rank methods on each data set and over those that they share.

    Writes leaderboard.csv, aggregates.csv (mean, IQM, median, optimality gap), comparisons.csv (LaMo against each other
    method), learning_curves.png and scores.png, and prints the tables."""

    runs: tuple[Path, ...] = (Path("runs"),)
    """Folders of runs; those inside them count too, and a run that is found twice counts once."""
    output: Path = Path("results")
    """Folder to write to."""
    figures: bool = True
    """Draw the figures: a panel for each data set and fraction, which is for a few data sets."""
    json: bool = False
    """Print the rows as JSON instead of a table."""
    markdown: bool = False
    """Print the table as Markdown, for a README or a paper."""

    def run(self) -> None:
        """Write the files and print the table."""
        from .leaderboard_commands import write_leaderboard

        write_leaderboard(self)


@dataclass(frozen=True)
class Fractions:
    """Score over the share of the data, from finished runs: a table as CSV, and beside it a figure with a panel a data
    set. `make ablation` trains what it needs."""

    runs: tuple[Path, ...] = (Path("runs"),)
    """Folders of runs, as of `lamobench leaderboard`."""
    data: tuple[str, ...] = ()
    """Data sets to show; none given: all that methods were run on at two fractions or more."""
    methods: Annotated[tuple[str, ...], arg(help=f"Any of {', '.join(METHODS)}; none given: all that were run.")] = ()
    fractions: tuple[float, ...] = ()
    """Shares of whole episodes; none given: all that were run."""
    profile: str = "cpu"
    """Runs of this profile."""
    source: str = ""
    """Runs on data from this source; empty: each that was used, in a panel of its own."""
    output: Path = Path("results/ablation.csv")
    """File for the table; the figure has its name, and ends in .png."""
    json: bool = False
    """Print the rows as JSON instead of a table."""

    def run(self) -> None:
        """Write both files and print the table."""
        from .leaderboard_commands import write_fractions

        write_fractions(self)
