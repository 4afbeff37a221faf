"""Moves of a text game as one sequence of tokens: what is left to win, what is seen, what was chosen.

A move reads "67 % to go. You are in the kitchen. ... You are carrying nothing. > take plate from table", and the next
one follows on a new line. Returns are shares of a game's points, so that they mean the same in every game.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ...datasets.games.game import Scene

Tokenize = Callable[[str], Sequence[int]]

KNOWN = 100_000  # texts whose tokens are kept
COMMAND_SHARE = 2  # of what the model sees at once a command may take a half; what goes beyond is cut


@dataclass(frozen=True)
class Prompt:
    """Tokens up to where a command is due, and which of them are commands of the moves before."""

    tokens: tuple[int, ...]
    commands: tuple[tuple[int, int], ...]  # begin and end of each in `tokens`


class Prompts:
    """Moves as tokens of one language model."""

    def __init__(self, tokenize: Tokenize, first: Sequence[int], most: int, context: int) -> None:
        """`first` stands before all; `most`: tokens that the model sees at once; `context`: K moves, if they fit."""
        self.first = tuple(first)
        self.most = most
        self.context = context
        self._tokens = lru_cache(KNOWN)(lambda text: tuple(tokenize(text)))

    def command(self, text: str) -> tuple[int, ...]:
        """The tokens of a command, whose last says that it ends: cut where it is longer than half of what is seen."""
        return self._tokens(f" {text}\n")[: self.most // COMMAND_SHARE]

    def commands(self, scene: Scene) -> list[tuple[int, ...]]:
        """The tokens of each of the scene's commands."""
        return [self.command(text) for text in scene.commands]

    def prompt(self, scenes: Sequence[Scene], chosen: Sequence[int], left: Sequence[float]) -> Prompt:
        """The last scene's prompt, after K - 1 moves or as many as fit beside its longest command.

        `scenes`: one more than were `chosen` from; `left`: of each, the share of the game's points still to win. What
        does not fit of the last scene itself is cut from its beginning.
        """
        longest = max(map(len, self.commands(scenes[-1])), default=0)
        room = self.most - longest - len(self.first)
        seen = self._seen(scenes[-1], left[-1])[-room:]
        moves: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        free = room - len(seen)
        earlier = list(zip(scenes, chosen, left, strict=False))[-(self.context - 1) :] if self.context > 1 else []
        for scene, index, share in reversed(earlier):
            before = self._seen(scene, share)
            command = self.command(scene.commands[index])
            free -= len(before) + len(command)
            if free < 0:
                break
            moves.insert(0, (before, command))
        tokens = list(self.first)
        places = []
        for before, command in moves:
            tokens += before
            places.append((len(tokens), len(tokens) + len(command)))
            tokens += command
        return Prompt((*tokens, *seen), tuple(places))

    def _seen(self, scene: Scene, left: float) -> tuple[int, ...]:
        return self._tokens(f"{100 * left:.0f} % to go. {scene.observation} {scene.inventory} >")
