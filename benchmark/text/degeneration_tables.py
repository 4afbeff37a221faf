"""The tables of degeneration: a row for each arm, the pairs of nouns that rose most, and runs that were taken back.

Rows of arms are those of the leaderboard (`board.py`), with the test of the mechanism (`mechanism.py`). One more table
is in `courses.py`.
Shapes: W nouns of a run, P pairs of them.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...datasets.trajectories import Array
from ..runs.layout import ENCODER_REWIND, ENCODER_REWIND_EPISODES, PERTURBED
from ..scores.measured import columns, difference_columns
from .board import STILL, Compared, compared_by_method, compared_columns, compared_numbers, replaced, rows
from .degeneration import FinishedArm
from .measures import CORRELATION, METERS, SHARE, bounds_of, others
from .mechanism import LEVEL, PULLS, Pull, pull
from .pairs import Pairs, read_pairs
from .perturbation import read_perturbed
from .rewind import ALPHA, read_rewind

ONLY_BESIDE = re.compile(r"area_gain|variant")  # columns of a leaderboard that hang on its other rows
RISEN = 15  # pairs that are listed of an arm
ALL_PAIRS = "all pairs"  # in the place of a noun, in the row of their mean
ROUNDED = 9  # digits of a rise, so that pairs that rose alike have the same place wherever they are sorted


def degeneration_rows(every: Sequence[FinishedArm]) -> list[dict[str, Any]]:
    """A row for each arm: the leaderboard's, at every rate beside the model that stands still, and the mechanism.

    Arms come in order of display, and rows too: of several that stand still in one setting the first is compared with.
    """
    compared = [compared_numbers(arm.group) for arm in every]
    by_method = compared_by_method([arm.group for arm in every], compared)
    still: dict[tuple[Any, ...], Compared] = {}
    for arm, own in zip(every, compared, strict=True):
        if arm.method == STILL:
            still.setdefault(arm.setting, own)
    found = []
    for arm, own in zip(every, compared, strict=True):
        (row,) = rows([arm.group])
        kept = {name: value for name, value in row.items() if not ONLY_BESIDE.match(name)}
        kept |= compared_columns(own, {} if arm.method == STILL else still.get(arm.setting, {}), "on_fixed")
        kept |= compared_columns(own, replaced(arm.group, by_method), "on_pretrained")
        tests = {
            seed: [pull(pairs, beyond_reading=beyond) for beyond in PULLS.values()]
            for seed, pairs in _pairs(arm).items()
        }
        found.append(arm.place | kept | _mechanism(list(tests.values())) | _on_random(arm, tests))
    return found


def _mechanism(tests: Sequence[Sequence[Pull]]) -> dict[str, Any]:
    """The columns of the mechanism: means over seeds, and in how many seeds shared rewards go with coming nearer.

    `tests`: of each seed, one for each of `PULLS`.
    Of NAME: NAME_together and NAME_apart count seeds that could not be luck by themselves, by the correlation's sign;
    NAME_seeds those in which there is one.
    """
    found: dict[str, Any] = {}
    for place, name in enumerate(PULLS):
        own = [test[place] for test in tests]
        found |= columns(name, [test.correlation for test in own], CORRELATION)
        sure = [test.correlation for test in own if test.p_value < LEVEL]
        counts = {
            "together": sum(correlation > 0 for correlation in sure),
            "apart": sum(correlation < 0 for correlation in sure),
            "seeds": sum(math.isfinite(test.correlation) for test in own),
        }
        found |= {f"{name}_{what}": number if own else None for what, number in counts.items()}
    return found


def _pairs(arm: FinishedArm) -> dict[int, Pairs]:
    """The pairs of each run that has some, by its seed."""
    return {run.config.seed: pairs for run in arm.group.runs if (pairs := read_pairs(run)) is not None}


def _on_random(arm: FinishedArm, tests: Mapping[int, Sequence[Pull]]) -> dict[str, Any]:
    """The columns of the mechanism's correlations less those of moves as far at random, over the seeds that have both.

    `tests`: of each seed, one for each of `PULLS`.
    """
    moved = _moved(arm)
    found: dict[str, Any] = {}
    for place, name in enumerate(PULLS):
        both = [seed for seed in tests if name in moved.get(seed, {})]
        values = [tests[seed][place].correlation - float(moved[seed][name].mean()) for seed in both]
        found |= difference_columns(f"{name}_on_random", values)
    return found


def _moved(arm: FinishedArm) -> dict[int, Mapping[str, Array]]:
    """The meters and correlations of each run that was moved at random, by its seed."""
    return {run.config.seed: read_perturbed(run) for run in arm.group.runs if (run.folder / PERTURBED).exists()}


def risen_rows(every: Sequence[FinishedArm]) -> list[dict[str, Any]]:
    """The pairs of each arm whose cosine rose most, of nouns that were read in all seeds: means over these.

    They have no interval, for the same seeds choose them. The last row of an arm is the mean over all of its pairs.
    `unrewarded` is the share of seeds in which a pair shares no rewarded state.
    """
    found = []
    for arm in every:
        if seeds := _pairs(arm):
            found += [arm.place | row for row in _risen(list(seeds.values()))]
    return found


def _risen(seeds: Sequence[Pairs]) -> list[dict[str, Any]]:
    nouns = [noun for noun in seeds[0].nouns if all(noun in pairs.nouns for pairs in seeds)]
    if len(nouns) < 2:
        return []
    places = [np.ix_(*2 * [[pairs.nouns.index(noun) for noun in nouns]]) for pairs in seeds]
    upper = np.triu_indices(len(nouns), 1)

    def each(name: str) -> Array:
        """The pairs of a matrix of each seed, (N, P)."""
        matrices = [getattr(pairs, name)[own][upper] for pairs, own in zip(seeds, places, strict=True)]
        return np.stack(matrices)

    means = {name: each(name).mean(axis=0) for name in ("rise", "before", "read", "rewarded")}
    means["unrewarded"] = (each("rewarded") == 0).mean(axis=0)
    rises = means["rise"].round(ROUNDED)
    most = [place for place in np.argsort(-rises, kind="stable")[:RISEN].tolist() if rises[place] > 0]
    named = [{"one": nouns[upper[0][place]], "other": nouns[upper[1][place]]} for place in most]
    chosen = [{name: float(values[place]) for name, values in means.items()} for place in most]
    every_pair = {"one": ALL_PAIRS, "other": ""} | {name: float(values.mean()) for name, values in means.items()}
    return [*(pair | own for pair, own in zip(named, chosen, strict=True)), every_pair]


def rewind_rows(every: Sequence[FinishedArm]) -> list[dict[str, Any]]:
    """A row for each arm that was taken back and each alpha: means over the seeds that were."""
    found = []
    for arm in every:
        if curves := curves_of(arm):
            found += [arm.place | {"seeds": len(curves)} | row for row in _taken_back(curves)]
    return found


def curves_of(arm: FinishedArm) -> list[Mapping[str, Array]]:
    """The rewind curves of those runs that were taken back."""
    files = (ENCODER_REWIND, ENCODER_REWIND_EPISODES)
    return [read_rewind(run.folder) for run in arm.group.runs if all((run.folder / name).exists() for name in files)]


def _taken_back(curves: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each alpha; NAME_on_trained is a score less that of the same seed at alpha 1, and None there."""
    alphas = curves[0][ALPHA].tolist()
    points = [
        [{name: float(values[place]) for name, values in curve.items()} for curve in curves]
        for place in range(len(alphas))
    ]
    scores = [[{"orig": seed["train/orig"], "others": others(seed, "train")} for seed in point] for point in points]
    found = []
    for alpha, point, own in zip(alphas, points, scores, strict=True):
        row: dict[str, Any] = {ALPHA: alpha}
        for name in ("orig", "others"):
            lost = [seed[name] - trained[name] for seed, trained in zip(own, scores[-1], strict=True)]
            row |= columns(name, [seed[name] for seed in own], SHARE)
            row |= difference_columns(f"{name}_on_trained", lost if alpha < 1.0 else [])
        for name in METERS:
            row |= columns(name, [seed[name] for seed in point if name in seed], bounds_of(name))
        found.append(row)
    return found


def random_rows(every: Sequence[FinishedArm]) -> list[dict[str, Any]]:
    """A row for each arm whose language model was moved as far at random: means over draws, then over seeds.

    Of the mechanism's correlations `..._spread` is the standard deviation of a single draw.
    """
    found = []
    for arm in every:
        if moved := list(_moved(arm).values()):
            row: dict[str, Any] = arm.place | {"seeds": len(moved)}
            for name in METERS:
                row |= columns(name, [float(own[name].mean()) for own in moved if name in own], bounds_of(name))
            for name in PULLS:
                draws = [own[name] for own in moved if name in own]
                row |= columns(name, [float(own.mean()) for own in draws], CORRELATION)
                row[f"{name}_spread"] = float(np.mean([own.std(ddof=1) for own in draws])) if draws else None
            found.append(row)
    return found
