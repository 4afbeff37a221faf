"""Measure what each fault of the published code costs: the same seeds, subsets and starts with it and without."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..runs.store import run_folder
from ..scores.collect import read_finished, with_one_target
from ..scores.power import spread_of_episodes
from ..scores.statistics import known, mean, paired_difference
from .config import OfflineConfig
from .faults import FAULTS


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

Pair = tuple[list[OfflineConfig], list[OfflineConfig]]  # without the fault and with it, in the order of the seeds


def compare(name: str, pair: Pair, root: Path) -> dict[str, Any]:
    """A row of `results/faults.csv`: scores without and with the fault, and their difference with its 95 % interval.

    Differences are taken episode by episode, which have the same start, seed by seed, so that the interval is of the
    fault's effect and not of the luck that both sides share; it is that of `statistics.stratified_bootstrap`.
    """
    first = pair[0][0]
    default, faulty = (with_one_target([read_finished(run_folder(root, config)) for config in side]) for side in pair)
    before, after = (np.stack([run.result.headline_scores for run in side]) for side in (default, faulty))  # (N, M)
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
        "ci_low": known(apart.ci_low),
        "ci_high": known(apart.ci_high),
        "detectable": known(spread_of_episodes(after - before).detectable),
        "target_default": default[0].result.target_return,
        "target_fault": faulty[0].result.target_return,
        "signature": FAULTS[name].signature,
    }
