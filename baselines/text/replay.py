"""A replay buffer of which a part of every batch comes from the best episodes.

As in the published code of Gruppi et al. 2024 (after Tuyls et al. 2022, arXiv 2201.01251), whose "alpha" memory holds
the episodes that reached the highest score, and is emptied when one goes higher. Here every game has its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .texts import State


@dataclass(frozen=True, slots=True)
class Transition:
    """A step of a game."""

    state: State
    command: int  # the number of its text
    reward: float  # score gained
    following: State
    ended: bool  # whether nothing can be gained afterwards


class Replay:
    """The newest transitions, and for each game those of its best episodes."""

    def __init__(self, capacity: int, share: float) -> None:
        """`capacity`: of all transitions, and of each game's best; `share`: of a batch that the best are."""
        self.capacity = capacity
        self.share = share
        self.ring: list[Transition] = []
        self.place = 0  # of the next one
        self.best_scores: dict[str, float] = {}
        self.best: dict[str, list[Transition]] = {}

    def __len__(self) -> int:
        return len(self.ring)

    def add(self, transition: Transition) -> None:
        """Keep a transition, in the place of the oldest where there is no room."""
        if len(self.ring) < self.capacity:
            self.ring.append(transition)
        else:
            self.ring[self.place] = transition
        self.place = (self.place + 1) % self.capacity

    def end_episode(self, game: str, score: float, episode: Sequence[Transition]) -> None:
        """Keep the episode's transitions as well, if no episode of the game scored more and it scored anything."""
        best = self.best_scores.get(game, 0.0)
        if score > best:
            self.best_scores[game] = score
            self.best[game] = list(episode)
        elif score == best > 0.0:
            self.best[game] = [*self.best[game], *episode][-self.capacity :]

    def sample(self, rng: np.random.Generator, size: int) -> list[Transition]:
        """Draw transitions with replacement: from the best as many as their share, the others from all."""
        best = [transition for episodes in self.best.values() for transition in episodes]
        first = round(self.share * size) if best else 0
        drawn = [best[place] for place in rng.integers(len(best), size=first)] if first else []
        return drawn + [self.ring[place] for place in rng.integers(len(self.ring), size=size - first)]
