"""Evaluation episodes, and `episodes.csv`, which holds every one of a run's."""

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from ...datasets.errors import UserError
from ...datasets.trajectories import Array

COLUMNS = ("step", "target_return", "episode", "seed", "return", "length")
HEADER = ",".join(COLUMNS)
LARGEST = 1e15  # return of an episode: sums of squares of such numbers are still finite


@dataclass(frozen=True)
class Episode:
    """One evaluation episode: a row of `episodes.csv`."""

    step: int  # training step at which the policy was evaluated
    target_return: float  # what a return-conditioned policy was asked for
    episode: int  # its number among the episodes of this evaluation
    seed: int  # of the environment's reset
    episode_return: float  # undiscounted
    length: int  # steps


def episodes_csv(episodes: Sequence[Episode]) -> str:
    """The content of `episodes.csv`."""
    return f"{HEADER}\n{episode_lines(episodes)}"


def episode_lines(episodes: Sequence[Episode]) -> str:
    """The lines of `episodes.csv` for some episodes, without its header."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(astuple(episode) for episode in episodes)
    return text.getvalue()


def read_numbers(name: str, header: str, content: bytes) -> Array:
    """The numbers (rows, columns of `header`) float64 of a file, whose name is for errors.

    A `UserError` if it is cut short or holds anything but finite numbers.
    """
    try:
        first, _, body = content.decode("utf-8").partition("\n")
        if first != header or not body.strip() or not body.endswith("\n"):  # cut numbers still parse
            raise ValueError(f"it is cut short or its first line is not '{header}'")
        table: Array = np.loadtxt(body.splitlines(), delimiter=",", comments=None, ndmin=2)
    except ValueError as error:
        raise UserError(f"{name} can't be read ({error})") from error
    columns = header.count(",") + 1
    if table.shape[1] != columns or not (np.abs(table) <= LARGEST).all():  # nor is NaN
        raise UserError(f"{name} has rows that are not {columns} finite numbers of at most {LARGEST:g}")
    return table


def read_episodes(content: bytes) -> Array:
    """The numbers (rows, 6) float64 of an `episodes.csv`; the errors of `read_numbers`."""
    return read_numbers("episodes.csv", HEADER, content)


def parse_episodes(content: bytes) -> list[Episode]:
    """The inverse of `episodes_csv`; the errors of `read_episodes`."""
    return [
        Episode(int(step), target, int(episode), int(seed), episode_return, int(length))
        for step, target, episode, seed, episode_return, length in read_episodes(content).tolist()
    ]
