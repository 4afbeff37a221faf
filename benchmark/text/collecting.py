"""Steps of the games that an agent learns from by playing, and how they are brought back when a run goes on.

Games are deterministic, so a run's past is the list of its choices: played again, they fill the replay buffer with what
was in it and leave every game where it stood. So a checkpoint holds two rows of numbers instead of a buffer of texts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ...baselines.text.drrn import DRRN
from ...baselines.text.replay import Replay, Transition
from ...baselines.text.texts import State, Texts
from ...datasets.errors import UserError
from ...datasets.games.game import Game, Scene

ORDER = 3  # tells the stream of the order of games from others of a run
CHOICES = "random.choices"


@dataclass
class Place:
    """A game on its way."""

    game: Game
    scene: Scene
    state: State
    episode: list[Transition] = field(default_factory=list)


class PlayedGames:
    """Experience that an agent makes by itself: a step of a game at each step, and an update as often as it is due."""

    def __init__(
        self,
        agent: DRRN,
        games: Sequence[Sequence[Game]],
        seed: int,
        watch: Callable[[Transition], None] | None = None,
    ) -> None:
        """`games` and `watch`: of a `Collector`."""
        self.agent = agent
        self.replay = Replay(agent.config.replay, agent.config.best_share)
        self.collector = Collector(games, agent.texts, self.replay, seed, watch)

    def step(self, number: int, rng: np.random.Generator) -> list[dict[str, Tensor]]:
        """Take step `number`, counted from 1; what was measured of a game that ended, and of an update."""
        settings = self.agent.config
        measured = []
        share = self.collector.step(self.agent, rng)
        if share is not None:
            measured.append({"score": torch.tensor(100.0 * share)})
        if number % settings.update_every == 0 and len(self.replay) >= settings.batch_size:
            measured.append(self.agent.update(self.replay.sample(rng, settings.batch_size), rng))
        return measured

    def forget(self) -> None:
        """Forget what a run that goes on from here would not know."""
        self.agent.forget()

    def tensors(self) -> dict[str, Tensor]:
        """Return all choices so far."""
        return self.collector.tensors()

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Play the choices of another run of this configuration again."""
        self.collector.load(tensors)


class Collector:
    """Several games at a time, a step of each in turn; one that is over makes place for the next."""

    def __init__(
        self,
        games: Sequence[Sequence[Game]],
        texts: Texts,
        replay: Replay,
        seed: int,
        watch: Callable[[Transition], None] | None = None,
    ) -> None:
        """`games`: the same games for each place, since two places may play the same one.

        `watch` is told of each transition, again when choices are played again.
        """
        self.games = games
        self.texts = texts
        self.replay = replay
        self.seed = seed
        self.watch = watch
        self.places: list[Place | None] = [None] * len(games)
        self.started = 0
        self.choices: list[int] = []

    def step(self, agent: DRRN, rng: np.random.Generator) -> float | None:
        """Take a step of the game whose turn it is; the share of its points if that ended it."""
        place = self._turn()
        choice = draw(agent.probabilities(place.state), rng)
        return self._take(place, choice)

    def tensors(self) -> dict[str, Tensor]:
        """Return all choices so far."""
        return {CHOICES: torch.tensor(self.choices, dtype=torch.int32)}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Play the choices of another collector of this run again; a `ValueError` if games no longer offer them."""
        for choice in tensors[CHOICES].tolist():
            place = self._turn()
            if not 0 <= choice < len(place.state.commands):
                raise ValueError(f"{place.game.name} no longer offers command {choice}")
            self._take(place, choice)

    def _turn(self) -> Place:
        number = len(self.choices) % len(self.places)
        place = self.places[number]
        if place is None:
            game = self.games[number][self._next_game(len(self.games[number]))]
            scene = game.reset()
            place = self.places[number] = Place(game, scene, self.texts.state(scene))
            if not place.state.commands:
                raise UserError(f"game {game.name} has no commands to begin with; leave it out")
        return place

    def _next_game(self, games: int) -> int:
        """All games in random order, then all in another order, and so on."""
        turn, position = divmod(self.started, games)
        self.started += 1
        return int(np.random.default_rng([self.seed, turn, ORDER]).permutation(games)[position])

    def _take(self, place: Place, choice: int) -> float | None:
        scene = place.game.step(choice)
        following = self.texts.state(scene)
        over = not following.commands
        reward = scene.score - place.scene.score
        command = place.state.commands[choice]
        transition = Transition(place.state, command, reward, following, over)
        self.replay.add(transition)
        if self.watch is not None:
            self.watch(transition)
        place.episode.append(transition)
        place.scene = scene
        place.state = following
        self.choices.append(choice)
        if not over:
            return None
        self.places[self.places.index(place)] = None
        self.replay.end_episode(place.game.name, scene.score, place.episode)
        return scene.score / scene.maximum


def draw(probabilities: Tensor, rng: np.random.Generator) -> int:
    """A place, drawn with these probabilities (C,)."""
    sums = probabilities.double().cumsum(0).numpy()
    return int(np.searchsorted(sums, rng.random() * sums[-1], side="right").clip(max=len(sums) - 1))
