"""Seeded, nested, content-hashed subsets of whole trajectories.

A fraction depends on the data set's content and the data seed alone, so two people who have the same data get the same
subset, and 1 % lies inside 10 % lies inside 100 % (the published code drew its subsets unseeded).
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from .errors import UserError
from .trajectories import Array, Trajectories


@dataclass(frozen=True)
class Subset:
    """Some whole episodes of a data set. Holds indices only: the arrays stay where they are."""

    trajectories: Trajectories
    episodes: Array  # (n,) int64, ascending
    fraction: float
    hash: str  # SHA-256 of the data set's content and the chosen episodes

    @property
    def num_steps(self) -> int:
        """Steps of the chosen episodes."""
        return int(self.trajectories.lengths[self.episodes].sum())

    def observation_moments(self) -> tuple[Array, Array]:
        """Mean and standard deviation of the chosen episodes' observations, each (S,) float32."""
        observations = self.trajectories.observations
        count, total, squares = 0, 0.0, 0.0
        for n in self.episodes:  # episode by episode: the data may not fit in memory
            episode = observations[self.trajectories.offsets[n] : self.trajectories.offsets[n + 1]].astype(np.float64)
            count, total, squares = count + len(episode), total + episode.sum(0), squares + np.square(episode).sum(0)
        mean = np.asarray(total / count)
        std = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
        return mean.astype(np.float32), std.astype(np.float32)


def take_fraction(trajectories: Trajectories, fraction: float, seed: int) -> Subset:
    """Choose `round(fraction * N)` whole episodes, at least one.

    Episodes are ordered by a hash of (content, seed, episode) and the first ones are taken: smaller fractions are
    inside larger ones, and the choice does not depend on any library's random stream.
    """
    if not 0.0 < fraction <= 1.0:
        raise UserError(f"fraction {fraction:g} is outside (0, 1]; give the share of episodes to keep, e.g. 0.1")
    content, total = trajectories.content_hash, trajectories.num_episodes
    keys = [hashlib.sha256(f"{content} {seed} {n}".encode()).digest() for n in range(total)]
    order = sorted(range(total), key=keys.__getitem__)
    episodes = np.sort(np.asarray(order[: max(1, round(fraction * total))], np.int64))
    digest = hashlib.sha256(content.encode() + episodes.astype("<i8").tobytes()).hexdigest()
    return Subset(trajectories, episodes, fraction, digest)
