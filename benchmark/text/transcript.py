"""One episode to read: what a policy was shown, what it thought of its commands, and which one it gave."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from torch import Tensor

from ...baselines.fields import Bounds
from ...datasets.errors import UserError
from ...datasets.games.game import Scene
from ...datasets.games.players import OpenEpisode
from ..runs.kinds import checked
from ..runs.layout import TRANSCRIPT
from ..runs.records import check_content, content_of, object_in
from ..scores.run import FinishedRun
from .evaluation import Played

LIKELIEST = 5  # commands that are kept of a move, beside the one that was given
MOST_MOVES = 60  # that are kept
DIGITS = 4  # of a probability
Probability = Annotated[float, Bounds(0.0, 1.0)]
Share = Annotated[float, Bounds(-math.inf, 1.0)]  # in some games points can be lost
TOLD_KINDS: dict[str, Any] = {"game": str, "share": Share, "moves": int, "kept": list[Any]}
MOVE_KINDS: dict[str, Any] = {
    **dict.fromkeys(("observation", "inventory", "given"), str),
    "offered": int,
    "commands": dict[str, Probability],
}


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
    """The moves of the first episode that is watched."""

    episode: OpenEpisode | None = None
    moves: list[Move] = field(default_factory=list)

    def watch(self, episodes: Sequence[OpenEpisode], probabilities: Sequence[Tensor], choices: Sequence[int]) -> None:
        """Keep the move of the first episode, as long as it is played: `evaluation.Watch`."""
        self.episode = self.episode or episodes[0]
        if episodes[0] is self.episode and len(self.moves) < MOST_MOVES:
            self.moves.append(move_of(self.episode.scenes[-1], probabilities[0], choices[0]))

    def stored(self, played: Played) -> dict[str, Any]:
        """The content of `transcript.json`: the moves, and what came of the episode."""
        return {
            "game": self.episode.game.name if self.episode else "",
            "share": round(float(played.shares[0]), DIGITS),
            "moves": int(played.moves[0]),
            "kept": [asdict(move) for move in self.moves],
        }


def move_of(scene: Scene, probabilities: Tensor, choice: int) -> Move:
    """A move in a scene, from the probabilities (C,) of its commands and the place of the one that was given."""
    order = probabilities.argsort(descending=True, stable=True).tolist()
    shown = [*order[:LIKELIEST], *([choice] if choice in order[LIKELIEST:] else [])]
    likely = {scene.commands[place]: round(float(probabilities[place]), DIGITS) for place in shown}
    observation, inventory = (" ".join(text.split()) for text in (scene.observation, scene.inventory))  # a line each
    return Move(observation, inventory, len(scene.commands), likely, scene.commands[choice])


@dataclass(frozen=True)
class Told:
    """A transcript that was read."""

    game: str
    share: float  # of the game's points
    moves: int  # of the episode; no more than `MOST_MOVES` of them are kept
    kept: tuple[Move, ...]


def read_transcript(run: FinishedRun) -> Told | None:
    """The transcript of a finished run; None in runs of older trees. A `UserError` if the file is damaged."""
    try:
        content = content_of(run.folder, TRANSCRIPT)
    except FileNotFoundError:
        return None
    check_content(TRANSCRIPT, content, run.done)
    fields = checked(object_in(content, TRANSCRIPT), TOLD_KINDS, {}, TRANSCRIPT)
    moves = [move if isinstance(move, dict) else {} for move in fields.pop("kept")[:MOST_MOVES]]
    kept = tuple(Move(**checked(move, MOVE_KINDS, {}, TRANSCRIPT)) for move in moves)
    if any(move.given not in move.commands for move in kept):
        raise UserError(f"{TRANSCRIPT}: a command was given that was none of those")
    return Told(**fields, kept=kept)
