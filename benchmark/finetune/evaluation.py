"""Evaluation episodes of the whole task (FULL), and of each stage, which they begin even if no policy reaches it.

Shapes: E episodes, all side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...baselines.online.actors import Actor
from ...datasets.environments.stages import Observations, StagedEnvironment, StagedStep

STARTS = 2  # tells the stream of evaluation starts from others of a run


@dataclass(frozen=True)
class StageEpisodes:
    """The outcomes of E episodes."""

    seeds: NDArray[np.int64]  # (E,)
    success: NDArray[np.bool_]  # (E,) in the last of the stages that were asked for
    returns: NDArray[np.float64]  # (E,) undiscounted
    lengths: NDArray[np.int64]  # (E,)


def evaluation_seeds(seed: int, evaluation: int, episodes: int) -> NDArray[np.int64]:
    """Seeds (E,) of starts: the same for every method of a seed, others in every evaluation."""
    return np.random.default_rng([seed, evaluation, STARTS]).integers(2**32, size=episodes)


def play(
    actor: Actor, environment: StagedEnvironment, seeds: NDArray[np.int64], stage: int = 0, only: bool = False
) -> StageEpisodes:
    """Play an episode from each seed, from `stage` on; with `only`, that stage alone."""
    return play_and_split(actor, environment, seeds, stage, only)[0]


def play_and_split(
    actor: Actor, environment: StagedEnvironment, seeds: NDArray[np.int64], stage: int = 0, only: bool = False
) -> tuple[StageEpisodes, StageEpisodes]:
    """Play episodes as `play` does; return them, and their first stage as if it had been played alone.

    Episodes are played side by side; where steps are costly, one after the other, so that none is played for nothing.
    """
    if not environment.costly:
        return _side_by_side(actor, environment, seeds, stage, only)
    each = [_side_by_side(actor, environment, seeds[[number]], stage, only) for number in range(len(seeds))]
    whole, first = (_joined(part) for part in zip(*each, strict=True))
    return whole, first


@torch.no_grad()
def _side_by_side(
    actor: Actor, environment: StagedEnvironment, seeds: NDArray[np.int64], stage: int, only: bool
) -> tuple[StageEpisodes, StageEpisodes]:
    """The episodes, and their first stage; what is drawn comes from a generator that begins with the first seed."""
    generator = torch.Generator().manual_seed(int(seeds[0]))
    observations = environment.reset(seeds, stage, only)
    whole = _Outcomes(seeds)
    first = _Outcomes(seeds)
    while not whole.over.all():
        step = environment.step(chosen(actor, observations, environment.stage, generator))
        whole.add(step, step.episode_ended)
        first.add(step, step.stage_ended)
        observations = step.observations
    return whole.episodes(), first.episodes()


class _Outcomes:
    """The outcomes of E episodes, or of a part of each, so far."""

    def __init__(self, seeds: NDArray[np.int64]) -> None:
        count = len(seeds)
        self.seeds = seeds
        self.over = np.zeros(count, bool)
        self.success = np.zeros(count, bool)
        self.returns = np.zeros(count)
        self.lengths = np.zeros(count, np.int64)

    def add(self, step: StagedStep, ended: NDArray[np.bool_]) -> None:
        """Add a step to those that go on; `ended` (E,) are those that end with it."""
        self.returns += np.where(self.over, 0.0, step.rewards)
        self.lengths += ~self.over
        self.success |= ~self.over & ended & step.stage_success
        self.over |= ended

    def episodes(self) -> StageEpisodes:
        """The episodes, when all are over."""
        return StageEpisodes(self.seeds, self.success, self.returns, self.lengths)


def _joined(parts: Sequence[StageEpisodes]) -> StageEpisodes:
    """Episodes that were played one after the other."""
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return StageEpisodes(*(np.concatenate(column) for column in columns))


def chosen(
    actor: Actor, observations: Observations, stages: NDArray[np.int64], generator: torch.Generator
) -> NDArray[Any]:
    """The actions of an evaluation, (E,) or (E, A), at observations (E, S) and stages (E,).

    Discrete actions are drawn, as in training. Others are the mean, without the noise of training.
    """
    policy = actor.distribution(torch.from_numpy(observations), torch.from_numpy(stages))
    return (policy.sample(policy.noise(generator)) if actor.discrete else policy.mode()).numpy()
