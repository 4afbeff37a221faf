"""Evaluation episodes of the whole task (FULL), and of each stage, which they begin even if no policy reaches it.

Shapes: E episodes, all side by side.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...baselines.online.actors import Actor
from ...datasets.environments.stages import StagedEnvironment

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
    """Play an episode from each seed, from `stage` on; with `only`, that stage alone.

    Episodes are played side by side; where steps are costly, one after the other, so that none is played for nothing.
    """
    if not environment.costly:
        return _side_by_side(actor, environment, seeds, stage, only)
    each = [_side_by_side(actor, environment, seeds[[number]], stage, only) for number in range(len(seeds))]
    columns = zip(*(vars(one).values() for one in each), strict=True)
    return StageEpisodes(*(np.concatenate(column) for column in columns))


@torch.no_grad()
def _side_by_side(
    actor: Actor, environment: StagedEnvironment, seeds: NDArray[np.int64], stage: int, only: bool
) -> StageEpisodes:
    """The episodes; what is drawn comes from a generator that begins with the first seed."""
    generator = torch.Generator().manual_seed(int(seeds[0]))
    observations = environment.reset(seeds, stage, only)
    over = np.zeros(len(seeds), bool)
    success = np.zeros(len(seeds), bool)
    returns = np.zeros(len(seeds))
    lengths = np.zeros(len(seeds), np.int64)
    while not over.all():
        actions = chosen(actor, observations, environment.stage, generator)
        step = environment.step(actions)
        returns += np.where(over, 0.0, step.rewards)
        lengths += ~over
        success |= ~over & step.episode_ended & step.stage_success
        over |= step.episode_ended
        observations = step.observations
    return StageEpisodes(seeds, success, returns, lengths)


def chosen(
    actor: Actor, observations: NDArray[np.float32], stages: NDArray[np.int64], generator: torch.Generator
) -> NDArray[Any]:
    """The actions of an evaluation, (E,) or (E, A), at observations (E, S) and stages (E,).

    Discrete actions are drawn, as in training. Others are the mean, without the noise of training.
    """
    policy = actor.distribution(torch.from_numpy(observations), torch.from_numpy(stages))
    return (policy.sample(policy.noise(generator)) if actor.discrete else policy.mode()).numpy()
