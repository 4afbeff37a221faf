"""Degeneration and score side by side: every way to fine-tune at several learning rates of the language model.

What trains no language model stands beside them. Rows are those of the leaderboard (`board.py`), with the test of the
mechanism; further tables have the pairs of nouns that rose most, and runs that were taken back (`rewind.py`).
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...datasets.errors import UserError, choose
from ...datasets.games.families import SPLITS
from ...datasets.processes import START_METHOD, follow_parent
from ...datasets.trajectories import Array
from ..runs.methods import methods_of
from ..runs.store import run_folder
from ..runs.tracks import Wanted
from ..scores.collect import read_finished
from ..scores.leaderboard import Group, group_runs
from ..scores.measured import columns
from ..sweep.typical_costs import typical_evaluation
from .board import STILL, compared_numbers, on_fixed, rows
from .config import TextConfig, text_config
from .measures import METERS, others
from .mechanism import LEVEL, Pull, pull
from .pairs import Pairs, read_pairs
from .resolve import resolve
from .rewind import ALPHA, ALPHAS, read_rewind, rewind
from .settings import PARTS

# What is compared unless methods are named; `drrn-full` costs the most, and is for whoever can afford it.
METHODS = (
    "random",
    "drrn-hash",
    "drrn-fixed",
    *(f"drrn-{name}" for name in ("top-k", "lora", "warm-head", "l2-init", "distill", "ewc")),
)
RATE = "encoder_learning_rate"
ONLY_BESIDE = re.compile(r"area_gain|variant")  # columns of a leaderboard that hang on its other rows
RISEN = 15  # pairs that are listed of an arm


@dataclass(frozen=True)
class Arm:
    """A method, at a learning rate of its language model if it trains one, and a run for each seed."""

    method: str
    rate: float | None
    runs: tuple[TextConfig, ...]

    @property
    def trains(self) -> bool:
        """Tell whether it trains a language model."""
        return self.rate is not None


@dataclass(frozen=True)
class FinishedArm:
    """An arm whose runs are finished."""

    arm: Arm
    group: Group

    @property
    def place(self) -> dict[str, Any]:
        """The columns that tell its rows from others'."""
        config = self.group.config
        own = {"task": config.task, "method": self.arm.method, RATE: self.arm.rate}
        return own | {"lm": config.lm, "seeds": len(self.group.runs)}


def arms(wanted: Wanted, rates: Sequence[float]) -> list[Arm]:
    """Every method with every rate, where it has one; none named: `METHODS`. A `UserError` for what does not fit."""
    if not rates or min(rates) <= 0.0:
        raise UserError(f"rates {' '.join(f'{rate:g}' for rate in rates) or 'none'}: give one or more above 0")
    found = []
    for method in wanted.methods or METHODS:
        choose(f"method of {wanted.subject}", method, methods_of("text"))
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
    trained = [run for arm in every if arm.trains for run in arm.runs]
    views = [sum(split == SPLITS[0] for split, _ in run.views) for run in trained]
    once = [typical_evaluation(run.method, run.task, run.view_episodes) for run in trained]
    return len(ALPHAS) * sum(count * seconds for count, seconds in zip(views, once, strict=True))


def finished_arms(every: Sequence[Arm], root: Path) -> list[FinishedArm]:
    """The arms with their runs in `root`; a `UserError` for one that is not finished."""
    found = []
    for arm in every:
        (group,) = group_runs([read_finished(run_folder(root, run)) for run in arm.runs])
        found.append(FinishedArm(arm, group))
    return found


def take_back(
    every: Sequence[FinishedArm], jobs: int, report: Callable[[str], None], alphas: Sequence[float] = ALPHAS
) -> None:
    """Measure the rewind curve of each run that trained a language model, `jobs` at a time, and keep it beside the run.

    `report` is told the id of each that is done.
    """
    runs = [run for finished in every if finished.arm.trains for run in finished.group.runs]
    configs = [text_config(run.config) for run in runs]
    if min(jobs, len(runs)) <= 1:
        for run, config in zip(runs, configs, strict=True):
            rewind(run.folder, config, alphas)
            report(run.id)
        return
    with ProcessPoolExecutor(min(jobs, len(runs)), get_context(START_METHOD), _start_worker) as pool:
        work = {
            pool.submit(rewind, run.folder, config, alphas): run.id for run, config in zip(runs, configs, strict=True)
        }
        for done in as_completed(work):
            done.result()
            report(work[done])


def _start_worker() -> None:
    threading.Thread(target=follow_parent, daemon=True).start()
    torch.set_num_threads(1)


def degeneration_rows(every: Sequence[FinishedArm]) -> list[dict[str, Any]]:
    """A row for each arm: the leaderboard's, at every rate beside the model that stands still, and the mechanism."""
    still = {each.group.config.lm: compared_numbers(each.group) for each in every if each.arm.method == STILL}
    found = []
    for finished in every:
        (row,) = rows([finished.group])
        kept = {name: value for name, value in row.items() if not ONLY_BESIDE.match(name)}
        beside = {} if finished.arm.method == STILL else still.get(finished.group.config.lm, {})
        kept |= on_fixed(compared_numbers(finished.group), beside)
        tests = [(pull(pairs), pull(pairs, beyond_reading=True)) for pairs in _pairs(finished)]
        found.append(finished.place | kept | _mechanism(tests))
    return found


def _mechanism(tests: Sequence[tuple[Pull, Pull]]) -> dict[str, Any]:
    """The columns of the mechanism: means over seeds, and how many seeds could not be luck by themselves."""
    found: dict[str, Any] = {}
    for name, own in (("pull", [test for test, _ in tests]), ("pull_beyond_reading", [test for _, test in tests])):
        found |= columns(name, [test.correlation for test in own])
        found[f"{name}_significant"] = sum(test.p_value < LEVEL for test in own) if own else None
    return found


def _pairs(finished: FinishedArm) -> list[Pairs]:
    return [pairs for run in finished.group.runs if (pairs := read_pairs(run)) is not None]


def risen_rows(every: Sequence[FinishedArm]) -> list[dict[str, Any]]:
    """The pairs of each arm whose cosine rose most, of nouns that were read in all seeds: means over these."""
    found = []
    for finished in every:
        if seeds := _pairs(finished):
            found += [finished.place | row for row in _risen(seeds)]
    return found


def _risen(seeds: Sequence[Pairs]) -> list[dict[str, Any]]:
    nouns = [noun for noun in seeds[0].nouns if all(noun in pairs.nouns for pairs in seeds)]
    places = [np.ix_(*2 * [[pairs.nouns.index(noun) for noun in nouns]]) for pairs in seeds]

    def stacked(name: str) -> Array:
        """A matrix of each seed, (seeds, W, W)."""
        return np.stack([getattr(pairs, name)[own] for pairs, own in zip(seeds, places, strict=True)])

    rises = stacked("rise")
    means = {name: stacked(name).mean(0) for name in ("before", "read", "rewarded")}
    first, second = np.triu_indices(len(nouns), 1)
    order = np.argsort(-rises.mean(0)[first, second], kind="stable")[:RISEN]
    return [
        {
            "one": nouns[one],
            "other": nouns[other],
            **columns("rise", rises[:, one, other].tolist()),
            **{name: float(matrix[one, other]) for name, matrix in means.items()},
        }
        for one, other in zip(first[order], second[order], strict=True)
        if rises[:, one, other].mean() > 0
    ]


def rewind_rows(every: Sequence[FinishedArm]) -> list[dict[str, Any]]:
    """A row for each arm that was taken back and each alpha: means over seeds."""
    found = []
    for finished in every:
        if finished.arm.trains:
            curves = [read_rewind(run.folder) for run in finished.group.runs]
            found += [finished.place | row for row in _taken_back(curves)]
    return found


def _taken_back(curves: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for place, alpha in enumerate(curves[0][ALPHA].tolist()):
        points = [{name: float(values[place]) for name, values in curve.items()} for curve in curves]
        row: dict[str, Any] = {ALPHA: alpha} | columns("orig", [point["train/orig"] for point in points])
        row |= columns("others", [others(point, "train") for point in points])
        for name in METERS:
            row |= columns(name, [point[name] for point in points if name in point])
        found.append(row)
    return found
