"""The configuration of a run on text games."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ...datasets.errors import UserError
from ...datasets.games.tasks import GameTask, find_game_task
from ..runs.config import Number, RunConfig

ADAPTATION = "adaptation"  # prefix of settings in `policy` that are not the agent's own


@dataclass(frozen=True, kw_only=True)
class TextConfig(RunConfig):
    """A run on text games. A step of training is a step of one game; of recorded ones, an optimiser step."""

    track: ClassVar[str] = "text"
    later_fields: ClassVar[Mapping[str, Any]] = {"dataset": "", "dataset_hash": ""}

    agent: str  # a name of `settings.PARTS`; random and gold learn nothing
    encoder: str  # hash, glove, lm; "" for agents that read nothing
    adaptation: str  # a name of `adaptations.ADAPTATIONS`
    parts: list[str]  # splits in views, "SPLIT/VIEW", that it is examined in: the numbers of `stages.csv` in order
    games_hash: str  # of the first scenes of all games, in every view
    view_episodes: Number  # of each split in each view, in the last evaluations
    dataset: str = ""  # the recorded games that it learns from; "" where it plays itself
    dataset_hash: str = ""  # SHA-256 of their content

    @property
    def episodes_each_time(self) -> float:
        """The episodes of an evaluation, on average: the last ones play every part, too."""
        evaluations = self.steps // self.evaluate_every + 1
        return self.evaluation_episodes + self.headline_evaluations * len(self.parts) * self.view_episodes / evaluations

    @property
    def views(self) -> list[tuple[str, str]]:
        """The split and the view of each part."""
        return [split_and_view(part) for part in self.parts]

    @property
    def game_task(self) -> GameTask:
        """The task."""
        return find_game_task(self.task)


def split_and_view(part: str) -> tuple[str, str]:
    """The two halves of a part's name."""
    split, _, view = part.partition("/")
    return split, view


def text_config(config: RunConfig) -> TextConfig:
    """The configuration; a `UserError` if it is of another track."""
    if not isinstance(config, TextConfig):
        raise UserError(f"run {config.id} is of track '{config.track}'; this is for runs of track 'text'")
    return config
