"""`lamobench faults`, declared; `offline/fault_costs.py` does the work."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, UseAppendAction, arg

from ..offline.faults import FAULTS
from ..sweep.options import EngineOptions
from .watch import Plan


@dataclass(frozen=True)
class Faults:
    """What each fault of LaMo's published code costs: runs with it, alone, against runs without any, seed by seed."""

    names: Annotated[Positional[tuple[str, ...]], arg(help=f"Any of {', '.join(FAULTS)}; none given: all.")] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds; seed s trains on subset s."""
    profile: str = "cpu"
    """Budgets and model sizes: cpu (a laptop) or paper (a GPU, the published budgets)."""
    source: str = "auto"
    """Where the data come from; auto takes the first source at hand."""
    lm: str = ""
    """Language model, where one is involved; empty: the profile's."""
    steps: int = 0
    """Optimiser steps; 0: the profile's. Evaluations stay as many, spread over these steps."""
    budget: UseAppendAction[tuple[str, ...]] = ()
    """A field of the budget as NAME=VALUE, e.g. --budget evaluation_episodes=10; may be repeated."""
    jobs: int = 0
    """Runs at a time; 0: one a core."""
    threads: int = 1
    """Processor threads of each."""
    device: str = "auto"
    """auto, cpu or cuda."""
    runs: Path = Path("runs/faults")
    """Folder of the runs; finished ones are not trained again."""
    output: Path = Path("results/faults.csv")
    """File for the comparison, one row a fault."""
    plan: Plan = False
    engine: EngineOptions = field(default_factory=EngineOptions)

    def run(self) -> None:
        """Train what is missing, write the file, print the table."""
        from ..offline.fault_costs import measure_faults

        measure_faults(self)
