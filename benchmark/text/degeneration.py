"""Degeneration and score side by side: every way to fine-tune at several learning rates of the language model.

What trains no language model stands beside them. `degeneration_tables.py` makes rows of the arms, of every finished run
of a folder, so that they agree with the archive of that folder.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any

import torch

from ...datasets.errors import UserError, choose
from ...datasets.games.families import SPLITS
from ...datasets.processes import START_METHOD, follow_parent
from ..runs.methods import look_up, methods_of
from ..runs.tracks import Wanted
from ..scores.collect import finished
from ..scores.labels import method_order
from ..scores.leaderboard import Group, group_runs
from ..scores.run import FinishedRun, Run
from ..sweep.typical_costs import typical_evaluation
from .config import TextConfig, text_config
from .perturbation import perturb
from .resolve import resolve
from .rewind import ALPHAS, rewind
from .settings import PARTS

# What is compared unless methods are named; `drrn-full` costs the most, and is for whoever can afford it.
METHODS = (
    "random",
    "drrn-hash",
    "drrn-fixed",
    *(f"drrn-{name}" for name in ("top-k", "lora", "warm-head", "l2-init", "distill", "ewc")),
)
RATE = "encoder_learning_rate"
# Settings of the budget: arms that differ in one of them are not compared.
BUDGET = ("precision", "steps", "evaluate_every", "evaluation_episodes", "view_episodes", "headline_evaluations")


@dataclass(frozen=True)
class Arm:
    """A method, at a learning rate of its language model if it trains one, and a run for each seed."""

    method: str
    rate: float | None
    runs: tuple[TextConfig, ...]

    @property
    def name(self) -> str:
        """The method, and the rate if it has one."""
        return f"{self.method} at {self.rate:g}" if self.rate is not None else self.method


@dataclass(frozen=True)
class FinishedArm:
    """The finished runs of a method in one setting: a row of the leaderboard."""

    group: Group
    detail: str = ""  # the language model and the settings of `BUDGET` that tell it from arms of the same method

    @property
    def config(self) -> TextConfig:
        """The first run's configuration."""
        return text_config(self.group.config)

    @property
    def method(self) -> str:
        """The name of its method."""
        return self.group.config.method

    @property
    def rate(self) -> float | None:
        """The learning rate of its language model; None where that stands still, or there is none."""
        config = self.config
        return None if config.adaptation == "fixed" else config.policy.get(RATE)

    @property
    def trains(self) -> bool:
        """Tell whether it trains a language model."""
        return self.rate is not None

    @property
    def setting(self) -> tuple[Any, ...]:
        """The language model and the budget: where they are the same, arms are compared."""
        return _setting(self.config)

    @property
    def place(self) -> dict[str, Any]:
        """The columns that tell its rows from others'."""
        config = self.config
        own = {"task": config.task, "method": self.method, RATE: self.rate, "lm": config.lm}
        return own | {"profile": config.profile, "variant": self.group.variant, "seeds": len(self.group.runs)}


def _setting(config: TextConfig) -> tuple[Any, ...]:
    return config.lm, *(getattr(config, name) for name in BUDGET)


def arms(wanted: Wanted, rates: Sequence[float]) -> list[Arm]:
    """Every method with every rate, where it has one; none named: `METHODS`. A `UserError` for what does not fit."""
    if not rates or min(rates) <= 0.0:
        raise UserError(f"rates {' '.join(f'{rate:g}' for rate in rates) or 'none'}: give one or more above 0")
    found = []
    for method in wanted.methods or METHODS:
        choose(f"method of {wanted.subject}", method, methods_of("text"))
        if look_up(method).recorded:
            raise UserError(f"'{method}' learns from recorded games; give a method that plays itself, e.g. drrn-top-k")
        trains = PARTS[method].adaptation != "fixed"
        for rate in sorted(set(rates)) if trains else [None]:
            found.append(Arm(method, rate, _runs(wanted, method, rate)))
    return found


def _runs(wanted: Wanted, method: str, rate: float | None) -> tuple[TextConfig, ...]:
    """The runs of an arm; at a rate that is the profile's own, those that any sweep has."""
    plain = replace(wanted, methods=(method,))
    found = resolve(plain)
    if rate is None or found[0].policy[RATE] == rate:
        return tuple(found)
    return tuple(resolve(replace(plain, settings={**wanted.settings, RATE: rate})))


def rewind_seconds(every: Sequence[Arm]) -> float:
    """The seconds that taking back all that they train may take, by typical times of the games."""
    trained = [run for arm in every if arm.rate is not None for run in arm.runs]
    views = [sum(split == SPLITS[0] for split, _ in run.views) for run in trained]
    once = [typical_evaluation(run.method, run.task, run.view_episodes) for run in trained]
    return len(ALPHAS) * sum(count * seconds for count, seconds in zip(views, once, strict=True))


def finished_arms(runs: Sequence[Run], task: str) -> list[FinishedArm]:
    """The finished ones of the runs that are on a task, as the leaderboard groups them, in order of display."""
    if not finished(runs):
        return []
    groups = [group for group in group_runs(runs) if group.config.task == task]
    details = _details([text_config(group.config) for group in groups])
    found = [FinishedArm(group, detail) for group, detail in zip(groups, details, strict=True)]
    return sorted(found, key=_display_order)


def _display_order(arm: FinishedArm) -> tuple[Any, ...]:
    """A sorting key: methods as everywhere, then language models, then rates from the lowest."""
    config = arm.config
    return method_order(arm.method), config.lm, arm.rate or 0.0, config.profile, arm.group.variant


def _details(configs: Sequence[TextConfig]) -> list[str]:
    """The language model of each, where there are several, and what differs of the budgets, as in "steps=40"."""
    several = len({config.lm for config in configs if config.lm}) > 1
    differing = [name for name in BUDGET if len({getattr(config, name) for config in configs}) > 1]
    return [
        ", ".join(filter(None, [config.lm * several, *(f"{name}={getattr(config, name)}" for name in differing)]))
        for config in configs
    ]


def unfinished_line(every: Sequence[Arm], runs: Sequence[Run]) -> str:
    """A line on the runs of all arms that are not finished, of the `runs` that were found; empty if there is none."""
    known = {run.id: run for run in runs}
    done = {run.id for run in finished(runs)}
    lacking = [(arm, run) for arm in every for run in arm.runs if run.id not in done]
    if not lacking:
        return ""
    named = "; ".join(f"{arm.name}, seed {run.seed} ({_outcome(known.get(run.id))})" for arm, run in lacking)
    line = f"{len(lacking)} of {sum(len(arm.runs) for arm in every)} runs did not finish: {named}"
    line += "; the means of their arms are over the seeds that finished (column seeds)"
    if without := [arm.name for arm in every if not any(run.id in done for run in arm.runs)]:
        line += f"; no seed finished, so there is no row, of {', '.join(without)}"
    return f"{line}; start the same command again to go on"


def _outcome(run: Run | None) -> str:
    if run is None:
        return "not begun"
    return run.status if run.status == "unfinished" else f"{run.status}: {run.problem}"


def take_back(
    every: Sequence[FinishedArm], jobs: int, report: Callable[[str], None], alphas: Sequence[float] = ALPHAS
) -> list[str]:
    """Measure the rewind curve of each run that trained a language model, and how it is at random places as far away.

    That is `jobs` at a time, and both are kept beside the run.

    `report` is told the id of each that is done. Returns a line for each run that can't be taken back, for instance
    because its checkpoint is elsewhere.
    """
    runs = [run for arm in every if arm.trains for run in arm.group.runs]
    lines = []

    def hear(name: str, problem: str) -> None:
        if problem:
            lines.append(f"run {name} can't be taken back: {problem}")
        else:
            report(name)

    if min(jobs, len(runs)) <= 1:
        for run in runs:
            hear(run.id, _taken(run, alphas))
        return lines
    with ProcessPoolExecutor(min(jobs, len(runs)), get_context(START_METHOD), _start_worker) as pool:
        work = {pool.submit(_taken, run, alphas): run.id for run in runs}
        for done in as_completed(work):
            hear(work[done], done.result())
    return lines


def _taken(run: FinishedRun, alphas: Sequence[float]) -> str:
    """Measure a run's curve, and random places; returns what is in the way, or nothing."""
    lines = [_problem(rewind, run.folder, text_config(run.config), alphas), _problem(perturb, run)]
    return "; ".join(dict.fromkeys(filter(None, lines)))


def _problem(measure: Callable[..., None], *arguments: Any) -> str:
    """Measure something; returns what is in the way, or nothing."""
    try:
        measure(*arguments)
    except UserError as error:
        return str(error)
    return ""


def _start_worker() -> None:
    threading.Thread(target=follow_parent, daemon=True).start()
    torch.set_num_threads(1)
