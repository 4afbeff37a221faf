"""Episodes of an evaluation: of one split of a task's games, seen in one view.

Shapes: E episodes, all side by side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...datasets.games.game import Game
from ...datasets.games.players import OpenEpisode
from ...datasets.games.views import ViewedGame
from .collecting import draw

EVALUATION = 2  # tells the stream of an evaluation's choices from others of a run

Policy = Callable[[Sequence[OpenEpisode]], list[Tensor]]  # probabilities (C,) of the commands that each has now
Chooser = Callable[[Sequence[OpenEpisode], np.random.Generator], list[int]]
Watch = Callable[[Sequence[OpenEpisode], Sequence[Tensor], Sequence[int]], None]


@dataclass(frozen=True)
class Played:
    """The outcome of E episodes."""

    shares: NDArray[np.float64]  # (E,) of each game's points
    won: NDArray[np.bool_]  # (E,)
    moves: NDArray[np.int64]  # (E,)


def play(choose: Chooser, games: Sequence[Game], view: str, rng: np.random.Generator) -> Played:
    """Play an episode of each game, none of which may stand twice in the list, as the view shows it."""
    episodes = [begin(game, view) for game in games]
    while going := [episode for episode in episodes if goes_on(episode)]:
        for episode, choice in zip(going, choose(going, rng), strict=True):
            take(episode, choice)
    ends = [episode.scenes[-1] for episode in episodes]
    return Played(
        np.array([scene.score / scene.maximum for scene in ends]),
        np.array([scene.won for scene in ends]),
        np.array([scene.moves for scene in ends]),
    )


def begin(game: Game, view: str) -> OpenEpisode:
    """An episode of the game, as the view shows it, before its first move."""
    viewed = ViewedGame(game, view)
    return OpenEpisode(viewed, [viewed.reset()], [])


def goes_on(episode: OpenEpisode) -> bool:
    """Check that the game is not over, and that it has commands."""
    scene = episode.scenes[-1]
    return not scene.over and len(scene.commands) > 0


def take(episode: OpenEpisode, choice: int) -> None:
    """Give the command of that index."""
    episode.scenes.append(episode.game.step(choice))
    episode.chosen.append(choice)


def by_policy(policy: Policy, watch: Watch | None = None) -> Chooser:
    """Commands drawn with the policy's probabilities; `watch` is told of episodes, probabilities and choices."""

    def choose(episodes: Sequence[OpenEpisode], rng: np.random.Generator) -> list[int]:
        found = policy(episodes)
        choices = [draw(probabilities, rng) for probabilities in found]
        if watch is not None:
            watch(episodes, found, choices)
        return choices

    return choose


def at_random(episodes: Sequence[OpenEpisode], rng: np.random.Generator) -> list[int]:
    """Any command, each as likely."""
    return [int(rng.integers(len(episode.scenes[-1].commands))) for episode in episodes]


def by_expert(episodes: Sequence[OpenEpisode], rng: np.random.Generator) -> list[int]:
    """Commands of players who know the games; at random where they know no more."""
    choices = []
    for episode in episodes:
        choice = episode.game.expert()
        choices.append(int(rng.integers(len(episode.scenes[-1].commands))) if choice is None else choice)
    return choices


def uniform(episodes: Sequence[OpenEpisode]) -> list[Tensor]:
    """The policy of `at_random`."""
    counts = [len(episode.scenes[-1].commands) for episode in episodes]
    return [torch.full((commands,), 1.0 / commands) for commands in counts]


def certain(episodes: Sequence[OpenEpisode]) -> list[Tensor]:
    """The policy of `by_expert`."""
    policies = uniform(episodes)
    for policy, choice in zip(policies, [episode.game.expert() for episode in episodes], strict=True):
        if choice is not None:
            policy.zero_()[choice] = 1.0
    return policies
