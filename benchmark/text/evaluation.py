"""Episodes of an evaluation: of a split of a task's games, seen in a view, or in several views side by side.

Shapes: E episodes.
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
# The commands of each sitting's episodes, each sitting with its own stream.
Chooser = Callable[[Sequence[Sequence[OpenEpisode]], Sequence[np.random.Generator]], list[list[int]]]
ChooseOne = Callable[[Sequence[OpenEpisode], np.random.Generator], list[int]]
Watch = Callable[[Sequence[OpenEpisode], Sequence[Tensor], Sequence[int]], None]


@dataclass(frozen=True)
class Played:
    """The outcome of E episodes."""

    shares: NDArray[np.float64]  # (E,) of each game's points
    won: NDArray[np.bool_]  # (E,)
    moves: NDArray[np.int64]  # (E,)
    own_score: float | None  # mean of the games' own, from 0 to 1; None where they have none


@dataclass(frozen=True)
class Sitting:
    """Games, none of which may stand twice in the list, as a view shows them; choices are drawn from `rng`."""

    games: Sequence[Game]
    view: str
    rng: np.random.Generator


def play(choose: Chooser, games: Sequence[Game], view: str, rng: np.random.Generator) -> Played:
    """Play an episode of each game of one sitting."""
    (played,) = play_side_by_side(choose, [Sitting(games, view, rng)])
    return played


def play_side_by_side(choose: Chooser, sittings: Sequence[Sitting]) -> list[Played]:
    """Play an episode of each game of every sitting, a move of all of them at a time.

    So a language model reads what is new to it in large batches, which use its weights once for many sentences. The
    choices of a sitting depend on none of the others, but for rounding.
    """
    tables = [[begin(game, sitting.view) for game in sitting.games] for sitting in sittings]
    rngs = [sitting.rng for sitting in sittings]
    while any(going := [[episode for episode in table if goes_on(episode)] for table in tables]):
        for episodes, choices in zip(going, choose(going, rngs), strict=True):
            for episode, choice in zip(episodes, choices, strict=True):
                take(episode, choice)
    return [_outcome(table) for table in tables]


def _outcome(episodes: Sequence[OpenEpisode]) -> Played:
    ends = [episode.scenes[-1] for episode in episodes]
    own = [scene.own_score for scene in ends if scene.own_score is not None]
    return Played(
        np.array([scene.score / scene.maximum for scene in ends]),
        np.array([scene.won for scene in ends]),
        np.array([scene.moves for scene in ends]),
        float(np.mean(own)) if own else None,
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


def apart(choose: ChooseOne) -> Chooser:
    """A chooser that looks at one sitting after the other."""
    return lambda tables, rngs: [choose(episodes, rng) for episodes, rng in zip(tables, rngs, strict=True)]


def by_policy(policy: Policy, watch: Watch | None = None) -> Chooser:
    """Commands drawn with the policy's probabilities; `watch` is told of episodes, probabilities and choices."""

    def choose(tables: Sequence[Sequence[OpenEpisode]], rngs: Sequence[np.random.Generator]) -> list[list[int]]:
        every = iter(policy([episode for episodes in tables for episode in episodes]))
        chosen = []
        for episodes, rng in zip(tables, rngs, strict=True):
            found = [next(every) for _ in episodes]
            chosen.append([draw(probabilities, rng) for probabilities in found])
            if watch is not None:
                watch(episodes, found, chosen[-1])
        return chosen

    return choose


def watched(choose: Chooser, policy: Policy, watch: Watch) -> Chooser:
    """A chooser that also tells `watch` of its choices, and of the probabilities that `policy` gives to commands."""

    def tell(tables: Sequence[Sequence[OpenEpisode]], rngs: Sequence[np.random.Generator]) -> list[list[int]]:
        chosen = choose(tables, rngs)
        for episodes, choices in zip(tables, chosen, strict=True):
            watch(episodes, policy(episodes), choices)
        return chosen

    return tell


@apart
def at_random(episodes: Sequence[OpenEpisode], rng: np.random.Generator) -> list[int]:
    """Any command, each as likely."""
    return [int(rng.integers(len(episode.scenes[-1].commands))) for episode in episodes]


@apart
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


@dataclass(frozen=True)
class Untaught:
    """An agent that learns nothing: what it chooses, and with which probabilities."""

    choose: Chooser
    policy: Policy


UNTAUGHT = {"random": Untaught(at_random, uniform), "gold": Untaught(by_expert, certain)}
