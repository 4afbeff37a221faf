"""Episodes of an evaluation: of one split of a task's games, seen in one view.

Shapes: E episodes, all side by side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...baselines.text.drrn import DRRN
from ...baselines.text.still import StillPolicy
from ...datasets.games.game import Game, Scene
from ...datasets.games.views import ViewedGame
from .collecting import draw

EVALUATION = 2  # tells the stream of an evaluation's choices from others of a run

Chooser = Callable[[Sequence[Game], Sequence[Scene], np.random.Generator], list[int]]
Watch = Callable[[Sequence[Game], Sequence[Scene], Sequence[Tensor], Sequence[int]], None]


@dataclass(frozen=True)
class Played:
    """The outcome of E episodes."""

    shares: NDArray[np.float64]  # (E,) of each game's points
    won: NDArray[np.bool_]  # (E,)
    moves: NDArray[np.int64]  # (E,)


def play(choose: Chooser, games: Sequence[Game], view: str, rng: np.random.Generator) -> Played:
    """Play an episode of each game, none of which may stand twice in the list, as the view shows it."""
    viewed: list[Game] = [ViewedGame(game, view) for game in games]
    scenes = [game.reset() for game in viewed]
    while going := [number for number, scene in enumerate(scenes) if not scene.over and scene.commands]:
        choices = choose([viewed[number] for number in going], [scenes[number] for number in going], rng)
        for number, choice in zip(going, choices, strict=True):
            scenes[number] = viewed[number].step(choice)
    return Played(
        np.array([scene.score / scene.maximum for scene in scenes]),
        np.array([scene.won for scene in scenes]),
        np.array([scene.moves for scene in scenes]),
    )


def by_policy(agent: DRRN, watch: Watch | None = None) -> Chooser:
    """Commands drawn from an agent's policy as it is now, at the temperature that it learns at.

    `watch` is told of games, scenes, probabilities and choices.
    """
    policy = StillPolicy(agent)

    def choose(games: Sequence[Game], scenes: Sequence[Scene], rng: np.random.Generator) -> list[int]:
        states = [agent.texts.state(scene) for scene in scenes]
        probabilities = policy.probabilities(states)
        choices = [draw(each, rng) for each in probabilities]
        if watch is not None:
            watch(games, scenes, probabilities, choices)
        return choices

    return choose


def at_random(games: Sequence[Game], scenes: Sequence[Scene], rng: np.random.Generator) -> list[int]:
    """Any command, each as likely."""
    return [int(rng.integers(len(scene.commands))) for scene in scenes]


def by_expert(games: Sequence[Game], scenes: Sequence[Scene], rng: np.random.Generator) -> list[int]:
    """Commands of players who know the games; at random where they know no more."""
    choices = []
    for game, scene in zip(games, scenes, strict=True):
        choice = game.expert()
        choices.append(int(rng.integers(len(scene.commands))) if choice is None else choice)
    return choices
