"""Evaluation episodes, and `episodes.csv`, which holds every one of a run's."""

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields


@dataclass(frozen=True)
class Episode:
    """One evaluation episode: a row of `episodes.csv`."""

    step: int  # training step at which the policy was evaluated
    target_return: float  # what a return-conditioned policy was asked for
    episode: int  # its number among the episodes of this evaluation
    seed: int  # of the environment's reset
    episode_return: float  # undiscounted
    length: int  # steps


COLUMNS = ["step", "target_return", "episode", "seed", "return", "length"]


def episodes_csv(episodes: Sequence[Episode]) -> str:
    """The content of `episodes.csv`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(astuple(episode) for episode in episodes)
    return text.getvalue()


def parse_episodes(text: str) -> list[Episode]:
    """The inverse of `episodes_csv`."""
    kinds = [f.type for f in fields(Episode)]
    rows = csv.reader(io.StringIO(text))
    next(rows)
    return [Episode(*(kind(value) for kind, value in zip(kinds, row, strict=True))) for row in rows]  # type: ignore[operator]
