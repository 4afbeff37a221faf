"""Moves of a text game as one sequence of tokens: what is left to win, what is seen, what was chosen.

A move reads "67 % to go. You are in the kitchen. ... You are carrying nothing. > take plate from table", and the next
one follows on a new line. Returns are shares of a game's points, so that they mean the same in every game.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

from ...datasets.games.game import Scene

Tokenize = Callable[[str], Sequence[int]]

KNOWN = 100_000  # texts whose tokens are kept
COMMAND_SHARE = 2  # of what the model sees at once a command may take a half; what goes beyond is cut


class Prompts:
    """Moves as tokens of one language model."""

    def __init__(self, tokenize: Tokenize, first: Sequence[int], positions: int, context: int) -> None:
        """`first` stands before all; `positions`: tokens that the model sees at once; `context`: most moves, K."""
        self.first = tuple(first)
        self.positions = positions
        self.context = context
        self._tokens = lru_cache(KNOWN)(lambda text: tuple(tokenize(text)))

    def command(self, text: str) -> tuple[int, ...]:
        """The tokens of a command, whose last says that it ends: cut where it is longer than half of what is seen."""
        return self._tokens(f" {text}\n")[: self.positions // COMMAND_SHARE]

    def commands(self, scene: Scene) -> list[tuple[int, ...]]:
        """The tokens of each of the scene's commands."""
        return [self.command(text) for text in scene.commands]

    def prompt(self, scenes: Sequence[Scene], chosen: Sequence[int], left: Sequence[float]) -> tuple[int, ...]:
        """The tokens up to the last scene's command: K - 1 moves before it, or as many as fit beside its longest.

        `scenes`: one more than were `chosen` from; `left`: of each, the share of the game's points still to win. What
        does not fit of the last scene itself is cut from its beginning.
        """
        longest = max(map(len, self.commands(scenes[-1])), default=0)
        room = self.positions - longest - len(self.first)
        tokens = self._seen(scenes[-1], left[-1])[-room:]
        first = max(len(chosen) - self.context + 1, 0)
        for move in reversed(range(first, len(chosen))):
            scene = scenes[move]
            before = (*self._seen(scene, left[move]), *self.command(scene.commands[chosen[move]]))
            if len(before) + len(tokens) > room:
                break
            tokens = (*before, *tokens)
        return (*self.first, *tokens)

    def _seen(self, scene: Scene, left: float) -> tuple[int, ...]:
        return self._tokens(f"{100 * left:.0f} % to go. {scene.observation} {scene.inventory} >")
