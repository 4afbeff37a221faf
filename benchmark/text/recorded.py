"""Recorded games to learn from: those of a task's games, by the player that a run's settings name."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ...datasets.errors import UserError
from ...datasets.games.families import game_names
from ...datasets.games.players import Episode
from ...datasets.games.recordings import Recording, load
from ...datasets.games.tasks import GameTask
from .config import TextConfig


def recording_of(task: GameTask, policy: Mapping[str, Any]) -> Recording:
    """The recording that a method with these settings learns from; a `UserError` says what to type if it is not here.

    It holds all training games of the task's family.
    """
    return load(f"{task.family.name}-{policy['recording']}")


def recorded_episodes(config: TextConfig) -> list[Episode]:
    """The recorded episodes of the games that a run's task has.

    A `UserError` if the recording is another than the run began with, or has none of these games.
    """
    task = config.game_task
    recording = recording_of(task, config.policy)
    if recording.sha256 != config.dataset_hash:
        raise UserError(
            f"'{recording.name}' holds other games than run {config.id} began with; put those back: "
            f"lamobench data record {recording.name} --force"
        )
    known = set(game_names(task.family.name, "train", task.games))
    episodes = [episode for episode in recording.episodes if episode.game in known]
    if not episodes:
        raise UserError(
            f"'{recording.name}' has no episode of the {task.games} games that {task.name} learns from; "
            f"to make it again, type: lamobench data record {recording.name} --force"
        )
    return episodes


class RecordedGames:
    """Experience that is there from the start: an update of recorded moves at each step."""

    def __init__(self, agent: Any, episodes: Sequence[Episode]) -> None:
        """`agent` makes `examples` of episodes and learns from some of them in an `update`."""
        self.agent = agent
        self.examples = agent.examples(episodes)

    def step(self, number: int, rng: np.random.Generator) -> list[dict[str, Tensor]]:
        """Learn from moves drawn with replacement; what that measured."""
        rows = rng.integers(len(self.examples), size=self.agent.config.batch_size)
        return [self.agent.update([self.examples[row] for row in rows], rng)]

    def forget(self) -> None:
        """Forget nothing: all that is known is the recording."""

    def tensors(self) -> dict[str, Tensor]:
        """Return nothing: a recording is a file."""
        return {}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Bring back nothing."""
