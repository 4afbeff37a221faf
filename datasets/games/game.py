"""Define a text game as a player meets it: scenes in words, commands chosen by index.

A player reads `observation`, `inventory` and `commands`, and answers with an index. What it read may have been put in
other words (`views.py`): the index stays the same, so a game never notices.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Scene:
    """One moment of a game: texts for the player, numbers for the harness alone."""

    observation: str  # feedback to the last command and what is around, in one text
    inventory: str  # what the player carries, in a sentence
    commands: tuple[str, ...]  # those that the game takes now, in alphabetical order; empty only when it is over
    score: float  # so far, of `maximum`
    maximum: float
    moves: int  # commands so far
    over: bool  # by winning, by dying, or because `moves` has reached the family's limit
    won: bool
    own_score: float | None = None  # the game's own, from 0 to 1, where `score` counts something else


# Where a game may stand before its first `reset`: it takes no command.
NOT_BEGUN = Scene("", "", (), 0.0, 0.0, 0, over=True, won=False)


class Game(Protocol):
    """One game that can be played again and again.

    It is deterministic: after `reset`, the same indices lead to the same scenes, in every process. So a game that was
    interrupted is brought back by its indices.
    """

    name: str  # unique among all games, such as "tidy-medium/train/3"

    def reset(self) -> Scene:
        """Begin anew; returns the first scene."""
        ...

    def step(self, index: int) -> Scene:
        """Give the command of that index in the last scene; returns the next scene.

        Raises an `IndexError` for an index that the last scene does not have: any index, once the game is over.
        """
        ...

    def expert(self) -> int | None:
        """The index that a player who knows the game would choose now; None where no such player is at hand."""
        ...
