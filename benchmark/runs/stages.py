"""Evaluation episodes of single stages, and `stages.csv`, which holds every one of a run's."""

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from ...datasets.errors import UserError
from ...datasets.trajectories import Array
from .episodes import read_numbers


@dataclass(frozen=True)
class StageEpisode:
    """An episode that began at a stage and ended with it: a row of `stages.csv`."""

    step: int  # training step at which the policy was evaluated; 0: before the first
    stage: int  # from 0
    episode: int  # its number among the episodes of this evaluation
    seed: int  # of the environment's reset
    success: int  # 1 or 0
    episode_return: float  # undiscounted
    length: int  # steps


HEADER = "step,stage,episode,seed,success,return,length"


def stages_csv(episodes: Sequence[StageEpisode]) -> str:
    """The rows of `stages.csv`, without its header."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(astuple(episode) for episode in episodes)
    return text.getvalue()


def read_stages(content: bytes) -> Array:
    """The numbers (rows, 7) float64 of a `stages.csv`; the errors of `read_numbers`."""
    return read_numbers("stages.csv", HEADER, content)


def means_by_stage(content: bytes, column: str) -> tuple[Array, Array]:
    """Steps (V,) of the evaluations, and the mean of a column (V, K), "success" or "return", in each of K stages.

    A `UserError` unless each evaluation has as many episodes of every stage.
    """
    table = read_stages(content)
    if table[:, 1].min() < 0 or table[:, 1].max() >= len(table):
        raise UserError("stages.csv has stages below 0, or more of them than rows")
    steps, places = np.unique(table[:, 0].astype(np.int64), return_inverse=True)
    stages = int(table[:, 1].max()) + 1
    cells = places * stages + table[:, 1].astype(np.int64)
    counts = np.bincount(cells, minlength=len(steps) * stages)
    if (counts != counts[0]).any():
        raise UserError("stages.csv must hold as many episodes of each stage in every evaluation")
    sums = np.bincount(cells, table[:, HEADER.split(",").index(column)], minlength=len(steps) * stages)
    return steps, (sums / counts[0]).reshape(len(steps), stages)
