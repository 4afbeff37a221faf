"""One episode to read: what a policy was shown, what it thought of its commands, and which one it gave."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

from ...datasets.games.game import Game, Scene
from .evaluation import Played

LIKELIEST = 5  # commands that are kept of a move, beside the one that was given
MOST_MOVES = 60  # that are kept
DIGITS = 4  # of a probability


@dataclass(frozen=True)
class Move:
    """One move of the episode."""

    observation: str
    inventory: str
    offered: int  # commands
    commands: dict[str, float]  # the likeliest of them, and the one that was given, with their probabilities
    given: str


@dataclass
class Transcript:
    """The moves of the first game that is watched."""

    game: Game | None = None
    moves: list[Move] = field(default_factory=list)

    def watch(
        self, games: Sequence[Game], scenes: Sequence[Scene], probabilities: Sequence[Tensor], choices: Sequence[int]
    ) -> None:
        """Keep the move of the first game, as long as it is played: `evaluation.Watch`."""
        self.game = self.game or games[0]
        if games[0] is self.game and len(self.moves) < MOST_MOVES:
            self.moves.append(move_of(scenes[0], probabilities[0], choices[0]))

    def stored(self, played: Played) -> dict[str, Any]:
        """The content of `transcript.json`: the moves, and what came of the episode."""
        return {
            "game": self.game.name if self.game else "",
            "share": round(float(played.shares[0]), DIGITS),
            "moves": int(played.moves[0]),
            "kept": [asdict(move) for move in self.moves],
        }


def move_of(scene: Scene, probabilities: Tensor, choice: int) -> Move:
    """A move in a scene, from the probabilities (C,) of its commands and the place of the one that was given."""
    order = probabilities.argsort(descending=True, stable=True).tolist()
    shown = [*order[:LIKELIEST], *([choice] if choice in order[LIKELIEST:] else [])]
    likely = {scene.commands[place]: round(float(probabilities[place]), DIGITS) for place in shown}
    return Move(scene.observation, scene.inventory, len(scene.commands), likely, scene.commands[choice])
