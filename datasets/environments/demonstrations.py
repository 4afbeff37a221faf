"""Steps of an expert in a task's stages, from which a policy can be cloned.

Shapes: B steps, S observation.
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


def demonstrate(
    environment: StagedEnvironment,
    count: int,
    seed: int | Sequence[int],
    *,
    stage: int = 0,
    wandering: float = 0.0,
    mistaken: float = 0.0,
) -> Demonstrations:
    """Let the environment's `expert` play `count` steps, in episodes that begin at `stage`.

    Few steps are those of few episodes side by side, so that these get to the end of the stage.
    A share `wandering` of the steps taken is random, so that other states are seen too; the cloned action is still the
    expert's choice. A share `mistaken` of the cloned actions is random: an imperfect clone.
    """
    rng = np.random.default_rng(seed)
    environments = min(SIDE_BY_SIDE, max(1, count // environment.horizon))
    observations = environment.reset(rng.integers(MOST_SEEDS, size=environments), stage)
    rounds: list[tuple[NDArray[np.generic], ...]] = []
    for _ in range(-(-count // environments)):
        expert = environment.expert()
        step = environment.step(_with_random(expert, wandering, environment, rng))
        chosen = _with_random(expert, mistaken, environment, rng)
        dones = step.episode_ended.astype(np.float32)
        rounds.append((observations, chosen, step.rewards, step.next_observations, dones, step.stages_before))
        observations = step.observations
    return Demonstrations(*(np.concatenate(column)[:count] for column in zip(*rounds, strict=True)))


def _with_random(
    actions: Actions, share: float, environment: StagedEnvironment, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The actions (E,), of which a share is drawn anew, uniformly."""
    drawn = rng.integers(environment.action_space.n, size=len(actions))
    return np.where(rng.random(len(actions)) < share, drawn, actions)
