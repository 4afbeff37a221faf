"""What each fault of the published code costs: the same seeds, subsets and starts, with the fault and without."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...datasets.errors import choose
from ...datasets.storage import write_rows
from ..cli.commands import check_seeds, check_workers, run_request, train_all
from ..runs.config import RunConfig
from ..runs.store import run_folder
from ..scores.collect import read_finished, with_one_target
from ..scores.statistics import mean, paired_difference
from ..sweep.grid import grid
from ..terminal import print_rows
from .faults import FAULTS

if TYPE_CHECKING:
    from ..cli.faults import Faults


@dataclass(frozen=True)
class Trial:
    """The runs in which a fault is looked for."""

    dataset: str
    fraction: float
    method: str = "dt"  # where no language model is involved: the same loss, data and evaluation, in less time
    settings: tuple[str, ...] = ()  # NAME=VALUE of the method's config, with the fault and without
    budget: tuple[str, ...] = ()  # NAME=VALUE of the `cpu` profile's budget: less than a run has there


_REACHER = Trial("reacher2d-medium-large", 0.1)
_SHORT = ("steps=400", "evaluate_every=400", "headline_evaluations=1")  # two minutes on one core
_BREAKOUT = Trial("breakout-medium", 1.0, budget=_SHORT)
TRIALS: dict[str, Trial] = {
    "shifted-episodes": _REACHER,
    "kitchen-counts": Trial("kitchen-complete", 1.0),
    "drop-best": _REACHER,
    "no-positions": replace(_REACHER, method="lamo", settings=("language_weight=0.1",)),
    "tanh-logits": _BREAKOUT,
    "cumulative-schedule": _BREAKOUT,
    "unclipped-evaluation": _BREAKOUT,
    "late-returns": _REACHER,
    "padding-steps": _BREAKOUT,
    "best-target": _REACHER,
}

SHOWN = ("fault", "dataset", "method", "score_default", "score_fault", "difference", "ci_low", "ci_high")

Pair = tuple[list[RunConfig], list[RunConfig]]  # without the fault and with it, in the order of the seeds


def measure_faults(command: "Faults") -> None:
    """`lamobench faults`."""
    check_workers(command.jobs, command.threads)
    check_seeds(command.seeds)
    wanted = {choose("fault", name, list(FAULTS)) for name in command.names} or set(FAULTS)
    pairs = {name: trial_runs(name, command) for name in FAULTS if name in wanted}
    runs = [run for pair in pairs.values() for side in pair for run in side]
    pool = (command.jobs, command.threads, command.device, False, command.engine, command.plan)
    train_all(runs, f"{len(pairs)} faults", command.runs, *pool)
    if command.plan:
        return
    rows = [compare(name, pair, command) for name, pair in pairs.items()]
    write_rows(command.output, rows)
    print_rows([{column: row[column] for column in SHOWN} for row in rows], as_json=False)
    print(f"\nwritten to {command.output}")


def trial_runs(name: str, command: "Faults") -> Pair:
    """The runs that show what a fault costs, resolved."""
    from ..cli.main import RunOptions

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


def compare(name: str, pair: Pair, command: "Faults") -> dict[str, Any]:
    """A row of `results/faults.csv`: scores without and with the fault, and their difference with its 95 % interval.

    Differences are taken episode by episode, which have the same start, seed by seed, so that the interval is of the
    fault's effect and not of the luck that both sides share; it is that of `statistics.stratified_bootstrap`.
    """
    first = pair[0][0]
    default, faulty = (
        with_one_target([read_finished(run_folder(command.runs, config)) for config in side]) for side in pair
    )
    before, after = (np.stack([run["headline_scores"] for run in side]) for side in (default, faulty))  # (N, M)
    apart = paired_difference(after, before)
    return {
        "fault": name,
        "dataset": first.dataset,
        "source": first.source,
        "fraction": first.fraction,
        "episodes": first.episodes_in_subset,
        "method": first.method,
        "lm": first.lm,
        "profile": first.profile,
        "steps": first.steps,
        "seeds": len(pair[0]),
        "score_default": mean(before),
        "score_fault": mean(after),
        "difference": apart.mean,
        "ci_low": None if math.isnan(apart.ci_low) else apart.ci_low,
        "ci_high": None if math.isnan(apart.ci_high) else apart.ci_high,
        "target_default": default[0]["target_return"],
        "target_fault": faulty[0]["target_return"],
        "signature": FAULTS[name].signature,
    }
