"""`lamobench ablation` and `lamobench faults`: what each part of LaMo is worth, and what each fault costs."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, UseAppendAction, arg

from ...datasets.counts import count
from ...datasets.errors import UserError, choose
from ..offline.faults import FAULTS
from ..sweep.options import EngineOptions, Workers
from ..terminal import print_rows
from .options import Plan, RunOptions, check_seeds, check_workers, run_request
from .sweep import train_all

if TYPE_CHECKING:
    from ..offline.ablation import Setting, Variant
    from ..offline.fault_costs import Pair

PRINTED_OF_ABLATION = (
    *("dataset", "title", "score"),
    *("minus_lamo", "minus_lamo_low", "minus_lamo_high", "detectable"),
    *("nats_change", "bits_change"),
)
PRINTED_OF_FAULTS = (
    *("fault", "dataset", "method", "score_default", "score_fault"),
    *("difference", "ci_low", "ci_high", "detectable"),
)


@dataclass(frozen=True)
class Ablation:
    """Train LaMo with one part changed at a time, and compare each variant with LaMo, seed by seed: a table as CSV and
    a figure for each data set. Finished runs are skipped."""

    data: Positional[tuple[str, ...]] = ("reacher2d-medium-large", "kitchen-complete")
    """Data sets to train on."""
    fractions: tuple[float, ...] = (0.1, 0.3)
    """Share of whole episodes, one for each data set."""
    variants: tuple[str, ...] = ()
    """Variants; none given: all of them."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds; seed s trains on subset s."""
    jobs: int = 0
    """Runs at a time; 0: one a core."""
    plan: Plan = False
    engine: EngineOptions = field(default_factory=EngineOptions)
    text: str = ""
    """Text that tells how much of language is left: wikitext-2, wikitext-103, docs or a file; empty: wikitext-2 if
    fetched, else docs."""
    output: Path = Path("results")
    """Folder for ablation_lamo.csv and the figures."""
    training: RunOptions = field(default_factory=RunOptions)

    def run(self) -> None:
        """Train, compare, print the table."""
        from ...datasets.measured_text import measured_text
        from ...datasets.storage import write_rows
        from ..offline.ablation import Setting, compare, find_variants, plan, table
        from ..offline.forgetting import check_tokenizers
        from ..offline.hyperparameters import DEFAULT_LANGUAGE_MODEL

        options = self.training
        check_workers(self.jobs, threads=1)
        check_seeds(self.seeds)
        if len(self.data) != len(self.fractions):
            given = f"{count(len(self.data), 'data set')} and {count(len(self.fractions), 'fraction')}"
            raise UserError(f"{given}; give one fraction for each data set, e.g. --fractions 0.1 0.3")
        settings = [Setting(*pair) for pair in zip(self.data, self.fractions, strict=True)]
        variants, reasons = find_variants(self.variants, options.lm or DEFAULT_LANGUAGE_MODEL[options.profile])
        for reason in reasons:
            print(f"left out: {reason}", file=sys.stderr)
        request = run_request(self.data[0], "lamo", options)
        runs = plan(settings, variants, self.seeds, request)
        every = [run for group in runs.values() for run in group]
        check_tokenizers(every)  # what is measured at the end must not fail then
        text = None if self.plan else measured_text(self.text)
        workers = Workers(self.jobs, device=options.device, engine=self.engine)
        train_all(every, f"{len(variants)} variants", options.runs, workers, only_plan=self.plan)
        if text is None:
            return
        rows = compare(runs, options.runs, text)
        write_rows(self.output / "ablation_lamo.csv", table(rows))
        print_rows([{column: row[column] for column in PRINTED_OF_ABLATION} for row in rows], as_json=False)
        print(f"\nnats_change (a token), bits_change (a byte): cross entropy after less before, on {text.name}")
        written = ["ablation_lamo.csv", *_draw(rows, settings, variants, self.output)]
        print(f"written to {self.output}: {', '.join(written)}")


@dataclass(frozen=True)
class Faults:
    """Measure the cost of each fault of LaMo's published code: runs with it alone against runs without any, by seed."""

    names: Annotated[
        Positional[tuple[str, ...]], arg(help=f"Faults, any of {', '.join(FAULTS)}; none given: all.")
    ] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds; seed s trains on subset s."""
    profile: str = "cpu"
    """Budgets and model sizes: cpu (a laptop) or paper (a GPU, the published budgets)."""
    source: str = "auto"
    """Source of the data; auto takes the first at hand."""
    lm: str = ""
    """Language model, where a method has one; empty: the profile's."""
    steps: int = 0
    """Optimiser steps; 0: the profile's. Evaluations stay as many, spread over these steps."""
    budget: UseAppendAction[tuple[str, ...]] = ()
    """Field of the budget as NAME=VALUE, e.g. --budget evaluation_episodes=10; may be repeated."""
    jobs: int = 0
    """Runs at a time; 0: one a core."""
    threads: int = 1
    """Processor threads of each run."""
    device: str = "auto"
    """Device: auto, cpu or cuda."""
    runs: Path = Path("runs/faults")
    """Folder of the runs; finished ones are not trained again."""
    output: Path = Path("results/faults.csv")
    """File for the comparison, one row a fault."""
    plan: Plan = False
    engine: EngineOptions = field(default_factory=EngineOptions)

    def run(self) -> None:
        """Train what is missing, write the file, print the table."""
        from ...datasets.storage import write_rows
        from ..offline.fault_costs import compare

        check_workers(self.jobs, self.threads)
        check_seeds(self.seeds)
        wanted = {choose("fault", name, list(FAULTS)) for name in self.names} or set(FAULTS)
        pairs = {name: trial_runs(name, self) for name in FAULTS if name in wanted}
        runs = [run for pair in pairs.values() for side in pair for run in side]
        workers = Workers(self.jobs, self.threads, self.device, self.engine)
        train_all(runs, f"{len(pairs)} faults", self.runs, workers, only_plan=self.plan)
        if self.plan:
            return
        rows = [compare(name, pair, self.runs) for name, pair in pairs.items()]
        write_rows(self.output, rows)
        print_rows([{column: row[column] for column in PRINTED_OF_FAULTS} for row in rows], as_json=False)
        print(f"\nwritten to {self.output}")


def _draw(
    rows: Sequence[dict[str, Any]], settings: "Sequence[Setting]", variants: "Sequence[Variant]", folder: Path
) -> list[str]:
    """Write a figure for each data set, unless there is nothing to show on one; returns their names."""
    from ..offline.ablation_figure import BACKGROUND, ablation_figure

    if all(variant.name in BACKGROUND for variant in variants):
        return []
    names = []
    for setting in settings:
        repeated = [other.dataset for other in settings].count(setting.dataset) > 1
        name = f"ablation_lamo_{setting.dataset}{f'_{setting.fraction:g}' if repeated else ''}.png"
        shown = [row for row in rows if (row["dataset"], row["fraction"]) == (setting.dataset, setting.fraction)]
        ablation_figure(shown, folder / name)
        names.append(name)
    return names


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
