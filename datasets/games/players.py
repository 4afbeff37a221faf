"""Players whose games are recorded: one that knows the game, one that does not look, and what lies between."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from .game import Game, Scene

RANDOM_SHARE = 0.3  # of the medium player's moves

Player = Callable[[Game, Scene, random.Random], int]


@dataclass(frozen=True)
class Episode:
    """One game from its first scene to its last."""

    game: str  # its name
    scenes: tuple[Scene, ...]  # one more than there are moves
    chosen: tuple[int, ...]  # the index of each command

    @property
    def score(self) -> float:
        """The share of the game's points at the end."""
        return self.scenes[-1].score / self.scenes[-1].maximum


@dataclass
class OpenEpisode:
    """A game on its way, as its player has seen it so far."""

    game: Game
    scenes: list[Scene]  # the last one is where it stands
    chosen: list[int]  # the index of each command, one less


def play_episode(game: Game, grade: str, number: int) -> Episode:
    """Play a game to its end, by a player of one of the `families.GRADES`; `mixed` takes the others in turn.

    The game's name, the grade and the number decide everything that is random.
    """
    player = PLAYERS[grade if grade in PLAYERS else list(PLAYERS)[number % len(PLAYERS)]]
    rng = random.Random(f"{game.name} {grade} {number}")
    scenes = [game.reset()]
    chosen = []
    while not scenes[-1].over:
        chosen.append(player(game, scenes[-1], rng))
        scenes.append(game.step(chosen[-1]))
    return Episode(game.name, tuple(scenes), tuple(chosen))


def _random(game: Game, scene: Scene, rng: random.Random) -> int:
    return rng.randrange(len(scene.commands))


def _expert(game: Game, scene: Scene, rng: random.Random) -> int:
    """The expert's command; a random one where it knows none."""
    index = game.expert()
    return _random(game, scene, rng) if index is None else index


def _medium(game: Game, scene: Scene, rng: random.Random) -> int:
    return (_random if rng.random() < RANDOM_SHARE else _expert)(game, scene, rng)


PLAYERS: dict[str, Player] = {"expert": _expert, "medium": _medium, "random": _random}
