"""The language study: does pre-training on language help when data is scarce, and is it language that does?

A pre-trained language model is compared with the same network that never read, or read something else, on little data.
Every arm has the same search for its learning rate and input scale, on recordings and seeds that are not reported
(`search_runs`, `choose`). The rate stays constant after the warm-up, so that each evaluation is the end of a budget of
its own, and the result is a curve over steps (`study_runs`, `study_curves`).

Shapes: N seeds, V evaluations.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.errors import UserError
from ...datasets.measured_text import MeasuredText
from ...datasets.trajectories import Array
from ..runs.methods import METHODS
from ..runs.store import run_folder
from ..scores.collect import read_finished
from ..scores.held_out import held_out_curves
from ..scores.power import spread_of_episodes
from ..scores.run import FinishedRun
from ..scores.statistics import known, paired_differences, summarise_all
from .config import OfflineConfig
from .resolve import RunRequest, resolve
from .rewind import rewind

DATA = {"kitchen-complete": 0.3, "hopper-medium": 0.1, "reacher2d-medium-large": 0.1}  # share of each, as a fraction
TUNING = "-tuning"  # ends the names of recordings by the same players with another seed
FIRST_TUNING_SEED = 100
LEARNING_RATES = (3e-4, 1e-3, 3e-3)
INPUT_SCALES = ("published", "words")
REFERENCE = "pretrained"  # the arm that others are compared with

# What all runs share; chosen from what a step costs. A rate that falls would make each budget a run of its own.
_EVERY = {"context": 5, "dropout": 0.0, "warmup_steps": 50, "decay": "constant"}
_ADAPTED = {"lora_dropout": 0.0}


@dataclass(frozen=True)
class Arm:
    """One side of the comparison: a method on a language model."""

    name: str
    title: str  # for tables and figures
    method: str
    lm: str = ""  # if it is another than the part's own
    settings: Mapping[str, Any] = field(default_factory=dict)
    searched: bool = True  # whether it has a search of its own; the others take the choice of `REFERENCE`


_CONTROLS = (
    Arm(REFERENCE, "pre-trained", "lamo"),
    Arm("random", "random, scale-matched", "lamo-random"),
    Arm("permuted", "permuted", "lamo-permuted"),
    Arm("fresh", "fresh", "lamo-initialised"),
)
_LANGUAGE = Arm(
    "language",
    "pre-trained, language loss 0.1",
    "lamo",
    settings={"language_weight": 0.1, "language_length": 128},  # gpt2-mini's context is no longer
    searched=False,
)


@dataclass(frozen=True)
class Part:
    """The arms of one language model, and what a run of them is."""

    lm: str
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    steps: int
    evaluations: int
    episodes: int  # of an evaluation
    search_steps: int
    search_data: tuple[str, ...]
    rewound: int  # of the first seeds, whose updates are scaled down again
    core_hours: int  # of all of it, search and rewinds included, as it was measured on an Intel Xeon
    precision: str = "float32"
    cached_context: bool = False
    batch_size: int = 8

    @property
    def tuning_seeds(self) -> tuple[int, ...]:
        """The seeds of the search, none of which is reported."""
        return FIRST_TUNING_SEED, FIRST_TUNING_SEED + 1


PARTS = {
    part.lm: part
    for part in (
        Part(
            "gpt2-mini",
            (
                *_CONTROLS,
                Arm("shuffled", "pre-trained on shuffled words", "lamo", lm="gpt2-mini-shuffled"),
                Arm("markov", "pre-trained on a Markov chain", "lamo", lm="gpt2-mini-markov"),
                _LANGUAGE,
                Arm("dt", "DT", "dt"),
                Arm("dt-matched", "DT, size-matched", "dt-matched"),
            ),
            seeds=tuple(range(10)),
            steps=600,
            evaluations=4,
            episodes=4,  # the kitchen is slow
            search_steps=300,
            search_data=tuple(DATA),
            rewound=3,
            core_hours=5,
        ),
        # A run costs minutes: fewer seeds, and half the steps.
        Part(
            "smollm2",
            (*_CONTROLS, _LANGUAGE, Arm("dt-matched", "DT, size-matched", "dt-matched")),
            seeds=tuple(range(5)),
            steps=300,
            evaluations=2,
            episodes=5,
            search_steps=150,
            search_data=tuple(DATA),
            rewound=1,
            core_hours=16,
            precision="bfloat16",
            cached_context=True,
        ),
    )
}


@dataclass(frozen=True)
class Choice:
    """A learning rate and, for a language model, an input scale."""

    learning_rate: float
    input_scale: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of a method."""
        scale = {"input_scale": self.input_scale} if self.input_scale else {}
        return {"learning_rate": self.learning_rate, **scale}


def find_part(lm: str) -> Part:
    """The part of a language model; a `UserError` names those that there are."""
    if lm not in PARTS:
        raise UserError(f"the study has no part for language model '{lm}'; choose from: {', '.join(PARTS)}")
    return PARTS[lm]


def choices(arm: Arm) -> list[Choice]:
    """Every choice that an arm's search tries."""
    scales = INPUT_SCALES if METHODS[arm.method].weights else ("",)
    return [Choice(rate, scale) for rate, scale in product(LEARNING_RATES, scales)]


Rows = list[dict[str, Any]]
Search = dict[tuple[str, Choice], list[OfflineConfig]]  # by the arm's name


def search_runs(part: Part) -> Search:
    """The runs of the search, resolved: each choice of each arm on each recording with each seed."""
    budget = {
        "steps": part.search_steps,
        "evaluate_every": part.search_steps,
        "evaluation_episodes": 1,  # nothing is chosen by a score
        "headline_evaluations": 1,
        "batch_size": part.batch_size,
    }
    return {
        (arm.name, choice): [
            resolve(_request(part, arm, choice, f"{name}{TUNING}", DATA[name], seed, budget))
            for name in part.search_data
            for seed in part.tuning_seeds
        ]
        for arm in part.arms
        if arm.searched
        for choice in choices(arm)
    }


def search_rows(search: Search, root: Path) -> Rows:
    """Rows of a finished search: one an arm and choice, with its held-out error.

    The error is the geometric mean over recordings and seeds of that in the last evaluation, so that every recording
    weighs the same. `chosen` is 1 at the least of an arm.
    """
    found = {key: _finished(root, configs) for key, configs in search.items()}
    errors = {key: _geometric_mean(map(_last_error, runs)) for key, runs in found.items()}
    least = {name: min(errors[key] for key in errors if key[0] == name) for name, _ in errors}
    return [
        {
            **_place(runs[0]),
            "steps": runs[0].config.steps,
            "runs": len(runs),
            "held_out_error": errors[name, choice],
            "chosen": int(errors[name, choice] == least[name]),
        }
        for (name, choice), runs in found.items()
    ]


def chosen(search: Search, rows: Iterable[Mapping[str, Any]]) -> dict[str, Choice]:
    """The choice of each arm that was searched; `rows` are the search's."""
    return {name: choice for (name, choice), row in zip(search, rows, strict=True) if row["chosen"]}


Study = dict[tuple[str, str], list[OfflineConfig]]  # by data set and the arm's name


def study_runs(part: Part, made: Mapping[str, Choice], datasets: Sequence[str] = ()) -> Study:
    """The runs that are reported, resolved: each arm with its choice, on each data set with each seed."""
    budget = {
        "steps": part.steps,
        "evaluate_every": part.steps // part.evaluations,
        "evaluation_episodes": part.episodes,
        "headline_evaluations": 1,  # the score at the end of the budget
        "batch_size": part.batch_size,
    }
    return {
        (name, arm.name): [
            resolve(_request(part, arm, made[arm.name if arm.searched else REFERENCE], name, DATA[name], seed, budget))
            for seed in part.seeds
        ]
        for name in datasets or DATA
        for arm in part.arms
    }


def _request(
    part: Part, arm: Arm, choice: Choice, dataset: str, fraction: float, seed: int, budget: dict[str, Any]
) -> RunRequest:
    adapted = _ADAPTED if METHODS[arm.method].weights else {}
    return RunRequest(
        dataset,
        arm.method,
        fraction,
        seed,
        lm=arm.lm or part.lm,
        precision=part.precision,
        cached_context=part.cached_context,
        budget=budget,
        settings={**_EVERY, **adapted, **choice.settings, **arm.settings},
    )


Curves = dict[tuple[str, str], Rows]  # by data set and the arm's name: a row an evaluation


def study_curves(part: Part, study: Study, root: Path) -> Curves:
    """The rows of finished runs of one data set or more.

    Errors and scores have 95 % intervals over seeds, and so have their differences from the pre-trained arm's on the
    same seeds, subsets and starts. `_sees` is the true difference that 80 % of such experiments would see
    (`scores/power.py`). An error above the pre-trained arm's is a difference above 0.
    """
    found = {key: _finished(root, configs) for key, configs in study.items()}
    return {(name, arm): _curve_rows(runs, found[name, REFERENCE]) for (name, arm), runs in found.items()}


def rewind_rows(part: Part, study: Study, root: Path, text: MeasuredText) -> Rows:
    """The rewind curves (`rewind.py`) of the pre-trained arms: a row a data set, arm, seed and alpha.

    They say what an arm's score cost of language on `text`, and how much of it needs the updates.
    """
    kept = [arm.name for arm in part.arms if METHODS[arm.method].weights == "pretrained" and not arm.lm]
    rewound = [config for (_, arm), own in study.items() if arm in kept for config in own[: part.rewound]]
    return [row for config in rewound for row in _rewind_rows(run_folder(root, config), config, text, part.episodes)]


def _rewind_rows(folder: Path, config: OfflineConfig, text: MeasuredText, episodes: int) -> Rows:
    found = rewind(folder, config, text, episodes=episodes)
    common = {"dataset": config.dataset, **_place(read_finished(folder)), "seed": config.seed, "text": found.text}
    return [
        {**common, "alpha": point.alpha, "score": point.score, "nats_change": float(nats), "bits_change": float(bits)}
        for point, nats, bits in zip(found.points, found.nats_change, found.bits_change, strict=True)
    ]


def _curve_rows(runs: Sequence[FinishedRun], reference: Sequence[FinishedRun]) -> Rows:
    steps, errors, scores = _curves(runs)
    _, other_errors, other_scores = _curves(reference)
    common = {
        "dataset": runs[0].data.dataset,
        "fraction": runs[0].data.fraction,
        **_place(runs[0]),
        **{name: runs[0].done[name] for name in ("params_total", "params_trainable")},
        "seeds": len(runs),
    }
    return [
        {
            **common,
            "step": int(step),
            **_measured("held_out_error", errors[:, place, None], other_errors[:, place, None], runs is reference),
            **_measured("score", scores[:, place, None], other_scores[:, place, None], runs is reference),
        }
        for place, step in enumerate(steps)
    ]


def _place(run: FinishedRun) -> dict[str, Any]:
    """The columns that tell arms and their settings apart."""
    policy = run.config.policy
    return {
        **{name: getattr(run.config, name) for name in ("profile", "method", "lm")},
        **{name: policy.get(name, "") for name in ("language_weight", "learning_rate", "input_scale")},
    }


def _measured(name: str, values: Array, reference: Array, alone: bool) -> dict[str, Any]:
    """The columns of a measure (N, 1): its mean, and less the reference's; intervals are over seeds.

    `alone`: the values are the reference's own.
    """
    own = summarise_all([values])[0]
    columns = {name: own.mean, f"{name}_low": known(own.ci_low), f"{name}_high": known(own.ci_high)}
    less = [f"{name}_less", f"{name}_less_low", f"{name}_less_high", f"{name}_sees"]
    if alone:
        return columns | dict.fromkeys(less)
    apart = paired_differences([(values, reference)])[0]
    sees = spread_of_episodes(values - reference).detectable
    found = (apart.mean, known(apart.ci_low), known(apart.ci_high), known(sees))
    return columns | dict(zip(less, found, strict=True))


def _curves(runs: Sequence[FinishedRun]) -> tuple[Array, Array, Array]:
    """Steps (V,), held-out errors (N, V) and scores (N, V)."""
    measured = held_out_curves(runs)
    if measured is None:
        raise UserError(f"run {runs[0].id} has no held-out error; delete it and start the same command again")
    steps, errors = measured
    return steps, errors, np.stack([run.result.curve_scores for run in runs])


def _finished(root: Path, configs: Iterable[OfflineConfig]) -> list[FinishedRun]:
    return [read_finished(run_folder(root, config)) for config in configs]


def _last_error(run: FinishedRun) -> float:
    if run.held_out is None:
        raise UserError(f"run {run.id} has no held-out error; delete it and start the same command again")
    return float(run.held_out.errors[-1])


def _geometric_mean(values: Iterable[float]) -> float:
    return float(np.exp(np.mean(np.log(list(values)))))
