"""`lamobench watch`, declared, and the option by which a sweep only says what it would do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

Plan = Annotated[
    bool, arg(aliases=("--dry-run",), help="Say what would be trained and how long it may take; train nothing.")
]


@dataclass(frozen=True)
class Watch:
    """Show the sweeps that are running, from any terminal: how far they are, what is left, the last scores."""

    runs: Path = Path("runs")
    """Folder of runs, or of folders of runs."""
    once: bool = False
    """Show them once; otherwise until the last sweep has ended."""
    interval: float = 2.0
    """Seconds between two looks."""

    def run(self) -> None:
        """Show, and come back when there is nothing left to watch."""
        from .watching import watch

        watch(self.runs, self.once, self.interval)
