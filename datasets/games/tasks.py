"""The tasks that text games make: a family of games, and how many of them are there to learn from. Light."""

from dataclasses import dataclass
from typing import Any

from ..errors import choose
from .families import FAMILIES, Family, find_family

FEW = 5  # games to learn from, as TextWorld Commonsense was published with
MANY = 40  # in which more of what words mean can matter


@dataclass(frozen=True)
class GameTask:
    """Games of a family to learn from; its score is the share of a game's points, in per cent."""

    name: str
    family: Family
    games: int  # to learn from

    reference_scores: tuple[float, float] = (0.0, 1.0)
    score_source: str = "none and all of a game's points"

    @property
    def horizon(self) -> int:
        """Most moves of a game."""
        return self.family.move_limit

    def normalise(self, episode_return: Any) -> Any:
        """Per cent of a game's points, from shares of them of any shape."""
        return 100.0 * episode_return


def _rows() -> dict[str, tuple[str, int]]:
    """The family and the number of games of each task."""
    few = {name: (name, min(FEW, family.games["train"])) for name, family in FAMILIES.items()}
    many = {f"{name}-{MANY}": (name, MANY) for name, family in FAMILIES.items() if family.games["train"] >= MANY}
    return few | many


TASKS = _rows()


def find_game_task(name: str) -> GameTask:
    """The task of that name; a `UserError` names the valid ones."""
    family, games = TASKS[choose("text game", name, list(TASKS))]
    return GameTask(name, find_family(family), games)
