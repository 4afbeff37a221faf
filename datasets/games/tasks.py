"""The tasks that text games make: a family of games, and how many of them are there to learn from. Light."""

from dataclasses import dataclass
from typing import Any

from ..errors import UserError, choose
from .families import FAMILIES, TUNING_FAMILIES, Family, find_family
from .stories import PREFIX

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
    few = {name: (name, FEW) for name in FAMILIES}
    return few | {f"{name}-{MANY}": (name, MANY) for name in FAMILIES}


_ROWS = _rows()
TASKS = {name: row for name, row in _ROWS.items() if row[1] <= FAMILIES[row[0]].games["train"]}
SHORT = {name: row for name, row in _ROWS.items() if name not in TASKS}  # of games, of which there are too few
TUNING_TASKS = {name: (name, family.games["train"]) for name, family in TUNING_FAMILIES.items()}


def find_game_task(name: str) -> GameTask:
    """The task of that name; a `UserError` names the valid ones."""
    if name in SHORT:
        family, games = SHORT[name]
        enough = ", ".join(other for other, row in TASKS.items() if row[1] == games)
        raise UserError(
            f"'{name}' takes {games} games to learn from, and {family} has {find_family(family).games['train']}; "
            f"give one of {enough}"
        )
    if name.startswith(PREFIX):
        return GameTask(name, find_family(name), FEW)
    every = TASKS | TUNING_TASKS
    family, games = every[choose("text game", name, list(every))]
    return GameTask(name, find_family(family), games)
