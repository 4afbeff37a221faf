"""Seeded, nested, content-hashed subsets of whole trajectories.

A fraction depends on the data set's content and the data seed alone, so two people who have the same data get the same
subset, and 1 % lies inside 10 % lies inside 100 % (the published code drew its subsets unseeded).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .errors import UserError
from .trajectories import Array, Trajectories

FRAMES = 1000  # that are looked at for their background


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
        count = 0
        total = 0.0
        squares = 0.0
        for n in self.episodes:  # episode by episode: the data may not fit in memory
            episode = observations[self.trajectories.offsets[n] : self.trajectories.offsets[n + 1]].astype(np.float64)
            count = count + len(episode)
            total = total + episode.sum(0)
            squares = squares + np.square(episode).sum(0)
        mean = np.asarray(total / count)
        std = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
        return mean.astype(np.float32), std.astype(np.float32)

    def background(self) -> float:
        """The commonest grey of the chosen episodes' frames, from 0 (black) to 1, in at most `FRAMES` of them."""
        starts = self.trajectories.offsets[self.episodes]
        lengths = self.trajectories.lengths[self.episodes]
        places = np.arange(0, self.num_steps, -(-self.num_steps // FRAMES))  # evenly spread over the episodes in a row
        before = np.cumsum(lengths) - lengths
        episode = np.searchsorted(before, places, side="right") - 1
        frames = self.trajectories.observations[starts[episode] + places - before[episode]]
        return float(np.bincount(frames.ravel(), minlength=256).argmax() / 255.0)


def take_fraction(trajectories: Trajectories, fraction: float, seed: int) -> Subset:
    """Choose `round(fraction * N)` whole episodes, at least one.

    Episodes are ordered by a hash of (content, seed, episode) and the first ones are taken: smaller fractions are
    inside larger ones, and the choice does not depend on any library's random stream.
    """
    check_fraction(fraction)
    order = _order(trajectories.content_hash, trajectories.num_episodes, seed)
    return _subset(trajectories, order[: max(1, round(fraction * len(order)))], fraction)


def take_fraction_by_length(trajectories: Trajectories, fraction: float, seed: int) -> Subset:
    """Choose whole episodes until they have at least `fraction * T` steps, long ones sooner.

    The order is that of `take_weighted_fraction`, which counts episodes; of long episodes this one needs fewer.
    """
    check_fraction(fraction)
    order = _weighted_order(trajectories, seed)
    steps = np.cumsum(trajectories.lengths[order])
    wanted = fraction * trajectories.num_steps * (1 - 1e-12)  # less what rounding may have added
    enough = int(np.searchsorted(steps, wanted)) + 1
    return _subset(trajectories, order[:enough], fraction)


def take_weighted_fraction(trajectories: Trajectories, fraction: float, seed: int) -> Subset:
    """Choose `int(fraction * N)` whole episodes, at least one, long ones sooner.

    As LaMo draws its Atari data (`experiment-atari/buffer.py:41-49`): one episode after another without replacement,
    each with probability proportional to length. There the run's random stream decides, here a hash, as in
    `take_fraction`, and smaller fractions are inside larger ones.
    """
    check_fraction(fraction)
    order = _weighted_order(trajectories, seed)
    return _subset(trajectories, order[: max(1, int(fraction * len(order)))], fraction)


def best_episodes(subset: Subset, share: float) -> Subset:
    """The `share` of a subset's episodes with the highest undiscounted returns, at least one; ties go to the earlier.

    As CORL's `any_percent_bc.py` counts them: rounded down.
    """
    returns = subset.trajectories.returns[subset.episodes]
    order = np.argsort(-returns, kind="stable")
    chosen = subset.episodes[order[: max(1, int(share * len(order)))]]
    return _subset(subset.trajectories, chosen, subset.fraction * share)


SELECTIONS = {"uniform": take_fraction, "length": take_fraction_by_length, "weighted": take_weighted_fraction}


def check_fraction(fraction: float) -> None:
    """Raise a `UserError` unless `fraction` is a share of episodes: in (0, 1]."""
    if not 0.0 < fraction <= 1.0:
        raise UserError(f"fraction {fraction:g} is outside (0, 1]; give the share of episodes to keep, e.g. 0.1")


@lru_cache(maxsize=1024)  # a sweep asks for the same orders again, for every method and fraction
def _order(content: str, episodes: int, seed: int) -> Array:
    """All episodes (N,), sorted by their keys; not to be written to."""
    keys = _keys(content, episodes, seed)
    order = np.asarray(sorted(range(episodes), key=keys.__getitem__), np.int64)
    order.flags.writeable = False
    return order


def _weighted_order(trajectories: Trajectories, seed: int) -> Array:
    """All episodes (N,), one drawn after another, each with probability proportional to length among those left.

    An exponential key -log(u) / length for each episode, u uniform from its hash, smallest first, has that distribution
    (Efraimidis and Spirakis 2006).
    """
    keys = _keys(trajectories.content_hash, trajectories.num_episodes, seed)
    uniform = [(int.from_bytes(key[:8], "big") + 0.5) / 2**64 for key in keys]
    order: Array = np.argsort(-np.log(uniform) / trajectories.lengths, kind="stable")
    return order


def _keys(content: str, episodes: int, seed: int) -> list[bytes]:
    """A hash for each episode, of the data set's content, the seed and the episode's number."""
    return [hashlib.sha256(f"{content} {seed} {n}".encode()).digest() for n in range(episodes)]


def _subset(trajectories: Trajectories, chosen: Sequence[int] | Array, fraction: float) -> Subset:
    episodes = np.sort(np.asarray(chosen, np.int64))
    digest = hashlib.sha256(trajectories.content_hash.encode() + episodes.astype("<i8").tobytes()).hexdigest()
    return Subset(trajectories, episodes, fraction, digest)
