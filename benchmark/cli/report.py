"""`lamobench report`, declared; `report_commands.py` does the work."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Report:
    """Every finished run on one HTML page: tables, curves, aggregates, provenance; a file that needs no network."""

    runs: tuple[Path, ...] = (Path("runs"),)
    """Folders of runs; those in folders inside them count too."""
    output: Path = Path("results/report.html")
    """File to write."""
    render: bool = False
    """First play each method's policy of most data and lowest seed, and keep frames of an episode beside the run."""
    device: str = "auto"
    """Where to play: auto, cpu or cuda."""

    def run(self) -> None:
        """Write the page and say what is in it."""
        from .report_commands import write

        write(self)
