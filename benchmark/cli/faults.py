"""`lamobench faults`."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, UseAppendAction, arg

from ...datasets.errors import choose
from ..offline.faults import FAULTS
from ..sweep.options import EngineOptions
from .options import Plan, RunOptions, check_seeds, check_workers, run_request

if TYPE_CHECKING:
    from ..offline.fault_costs import Pair

SHOWN = ("fault", "dataset", "method", "score_default", "score_fault", "difference", "ci_low", "ci_high")


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
        measure_faults(self)


def measure_faults(command: Faults) -> None:
    """Train what is missing, write the file, print the table."""
    from ...datasets.storage import write_rows
    from ..offline.fault_costs import compare
    from ..terminal import print_rows
    from .commands import train_all

    check_workers(command.jobs, command.threads)
    check_seeds(command.seeds)
    wanted = {choose("fault", name, list(FAULTS)) for name in command.names} or set(FAULTS)
    pairs = {name: trial_runs(name, command) for name in FAULTS if name in wanted}
    runs = [run for pair in pairs.values() for side in pair for run in side]
    pool = (command.jobs, command.threads, command.device, False, command.engine, command.plan)
    train_all(runs, f"{len(pairs)} faults", command.runs, *pool)
    if command.plan:
        return
    rows = [compare(name, pair, command.runs) for name, pair in pairs.items()]
    write_rows(command.output, rows)
    print_rows([{column: row[column] for column in SHOWN} for row in rows], as_json=False)
    print(f"\nwritten to {command.output}")


def trial_runs(name: str, command: Faults) -> "Pair":
    """The runs that show what a fault costs, resolved."""
    from ..offline.fault_costs import TRIALS
    from ..offline.resolve import grid

    trial = TRIALS[name]
    options = RunOptions(
        profile=command.profile,
        source=command.source,
        lm=command.lm,
        steps=command.steps,
        set=trial.settings,
        budget=(*(trial.budget if command.profile == "cpu" and not command.steps else ()), *command.budget),
    )
    request = run_request(trial.dataset, trial.method, options)
    seeds = tuple(dict.fromkeys(command.seeds))
    without, with_fault = (grid(replace(request, legacy=legacy), [trial.fraction], seeds) for legacy in ((), (name,)))
    return without, with_fault
