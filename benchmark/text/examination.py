"""An examination: parts, each a split in a view, are played by a policy that stands still."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from .build import split_games
from .config import TextConfig
from .evaluation import EVALUATION, Chooser, Played, Sitting, play_side_by_side


@dataclass(frozen=True)
class PlayedPart:
    """A part, and the outcome of its episodes."""

    part: int  # its number in `TextConfig.parts`
    games: list[int]  # the number of each episode's game in its split
    played: Played


def examine(choose: Chooser, config: TextConfig, evaluation: int, parts: Sequence[int]) -> Iterator[PlayedPart]:
    """Play some parts of a run's evaluation of that number, in order; each has its own stream of choices."""
    for together in _side_by_side(config, parts):
        games = [split_games(config.game_task, config.views[part][0], config.view_episodes) for part in together]
        sittings = [
            Sitting(
                [game for _, game in own],
                config.views[part][1],
                np.random.default_rng([config.seed, evaluation, part, EVALUATION]),
            )
            for part, own in zip(together, games, strict=True)
        ]
        outcomes = play_side_by_side(choose, sittings)
        for part, own, played in zip(together, games, outcomes, strict=True):
            yield PlayedPart(part, [number for number, _ in own], played)


def _side_by_side(config: TextConfig, parts: Sequence[int]) -> list[list[int]]:
    """The parts in groups whose games can all be open at a time: the views of a split."""
    return [list(group) for _, group in groupby(parts, lambda part: config.views[part][0])]
