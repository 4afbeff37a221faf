"""`lamobench play`: a text game for a person, as an agent meets it."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tyro.conf import Positional

from ...datasets.counts import count
from ..terminal import wrapped

if TYPE_CHECKING:
    from ...datasets.games.game import Scene

LEAVE = ("quit", "exit", "q")


@dataclass(frozen=True)
class Play:
    """Play a text game as an agent does: read what is around, and choose a command by its number or its words. `quit`
    ends it."""

    game: Positional[str]
    """Family of games, such as tidy-medium, twc-easy or cave-start."""
    split: str = "train"
    """Games to learn from (train), new games of the same things (valid), or of unseen things (ood)."""
    number: int = 0
    """Game of the split."""
    view: str = "orig"
    """Words in which it is told: orig, paraphrase, synonyms, cohyponyms, pseudowords, paraphrase+synonyms, shuffle."""

    def run(self) -> None:
        """Play until the game is over, or the person leaves."""
        from ...datasets.games.families import make_games
        from ...datasets.games.views import ViewedGame

        game = ViewedGame(make_games(self.game, self.split, self.number + 1)[-1], self.view)
        scene = game.reset()
        print("\n".join(_told(scene)), flush=True)
        for line in map(str.strip, sys.stdin):
            if line.lower() in LEAVE:
                break
            index = _index(line, scene.commands)
            if index is None:
                print(f"'{line[:80]}' is no command here; give a number from 0 to {len(scene.commands) - 1}, or quit")
                continue
            scene = game.step(index)
            print("\n".join(_told(scene)), flush=True)
            if scene.over:
                break
        print(f"{scene.score:g} of {scene.maximum:g} points in {count(scene.moves, 'move')}")


def _told(scene: "Scene") -> Iterator[str]:
    """The lines that tell a scene."""
    yield ""
    yield "\n".join(wrapped(scene.observation))
    yield "\n".join(wrapped(scene.inventory))
    for number, command in enumerate(scene.commands):
        yield f"{number:>4}  {command}"


def _index(line: str, commands: Sequence[str]) -> int | None:
    """The command that a line names, by its number or its words; None if it names none."""
    if line.isascii() and line.isdigit() and int(line[:9]) < len(commands):
        return int(line[:9])
    return commands.index(line) if line in commands else None
