"""`lamobench compare`, declared; `compare_commands.py` does the work."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Compare:
    """Our scores beside published ones: the difference, and whether theirs lies inside our interval. What is not
    comparable is left out, and the reason named."""

    runs: Path = Path("runs")
    """Folder of the runs, or a leaderboard.csv."""
    against: Path | None = None
    """Instead of published scores: another folder of runs, or another leaderboard.csv."""
    all: bool = False
    """Show those that are not comparable too, and mark them."""
    output: Path | None = None
    """File to write the rows to, as CSV."""
    json: bool = False
    """Print the rows as JSON instead of a table."""

    def run(self) -> None:
        """Print the table, and write the file if one is named."""
        from .compare_commands import compare

        compare(self)
