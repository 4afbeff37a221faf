"""Steps of an expert in a task's stages, from which a policy can be cloned.

Shapes: B steps; of play side by side, T steps of E environments; S observation.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from .stages import Actions, Floats, StagedEnvironment

SIDE_BY_SIDE = 64  # environments
MOST_SEEDS = 2**63


@dataclass(frozen=True)
class Demonstrations:
    """Steps, and the expert's choice in each; environments side by side are interleaved."""

    observations: Floats  # (B, S)
    actions: Actions  # (B,) or (B, A) what is to be cloned
    rewards: Floats  # (B,)
    next_observations: Floats  # (B, S)
    dones: Floats  # (B,) 1 where the episode ended
    stages: NDArray[np.int64]  # (B,)

    @property
    def hash(self) -> str:
        """SHA-256 of all of it, in hex."""
        digest = hashlib.sha256()
        for field in fields(self):
            values = getattr(self, field.name)
            digest.update(f"{field.name} {values.dtype} {values.shape}".encode())
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Play:
    """Steps of environments side by side, and what the expert chose in each."""

    observations: Floats  # (T, E, S)
    actions: NDArray[np.int64]  # (T, E) that were taken
    choices: NDArray[np.int64]  # (T, E) of the expert, or of an imperfect one
    rewards: Floats  # (T, E)
    next_observations: Floats  # (T, E, S) where the action led, before another stage or episode begins
    stage_success: NDArray[np.bool_]  # (T, E)
    stage_ended: NDArray[np.bool_]  # (T, E) by success or by time-out
    episode_ended: NDArray[np.bool_]  # (T, E)
    stages: NDArray[np.int64]  # (T, E)


def side_by_side(environment: StagedEnvironment, count: int) -> int:
    """The number of environments that play `count` steps: few for few, so that these get to the end of the stage."""
    return min(SIDE_BY_SIDE, max(1, count // environment.horizon))


def play(
    environment: StagedEnvironment,
    count: int,
    seed: int | Sequence[int],
    *,
    stage: int = 0,
    wandering: float = 0.0,
    mistaken: float = 0.0,
) -> Play:
    """Let the environment's `expert` play `count` steps or a few more, in episodes that begin at `stage`.

    A share `wandering` of the actions taken is random, so that other states are seen too. A share `mistaken` of the
    expert's choices is random, whatever was taken: an imperfect expert.
    """
    rng = np.random.default_rng(seed)
    environments = side_by_side(environment, count)
    observations = environment.reset(rng.integers(MOST_SEEDS, size=environments), stage)
    rounds: list[tuple[NDArray[np.generic], ...]] = []
    for _ in range(-(-count // environments)):
        expert = environment.expert()
        taken = _with_random(expert, wandering, environment, rng)
        step = environment.step(taken)
        chosen = _with_random(expert, mistaken, environment, rng)
        ends = (step.stage_success, step.stage_ended, step.episode_ended)
        rounds.append((observations, taken, chosen, step.rewards, step.next_observations, *ends, step.stages_before))
        observations = step.observations
    return Play(*(np.stack(column) for column in zip(*rounds, strict=True)))


def _with_random(
    actions: Actions, share: float, environment: StagedEnvironment, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The actions (E,), of which a share is drawn anew, uniformly."""
    drawn = rng.integers(environment.action_space.n, size=len(actions))
    return np.where(rng.random(len(actions)) < share, drawn, actions)
