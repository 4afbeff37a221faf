"""Estimate the room that an absent data set would take in the cache. Plain arithmetic: loads no numerical library."""

from .entries import D4RL, LOCOMOTION_SIZES, Dataset, DQNReplay, Recorded, Source
from .tasks import TASKS

# Numbers in an observation and in an action.
SIZES = {"reacher2d": (12, 2), "kitchen": (60, 9), "kitchen-mixed": (60, 9), **LOCOMOTION_SIZES}
FLOAT = 4  # bytes of a number
FLAGS = 2  # bytes of a step's terminal and timeout
FRAME = 84 * 84  # bytes
DISCRETE_ACTION = 8  # bytes
REPLAY_STEPS = 1_000_000  # of one checkpoint of the DQN replay data


def expected_megabytes(dataset: Dataset, source: Source) -> float | None:
    """Megabytes in the cache: of recorded data the most it can be, with every episode at its horizon.

    None where the number of steps is not known before it is there.
    """
    steps = _steps(dataset, source)
    return None if steps is None else steps * step_bytes(dataset.task) / 1e6


def step_bytes(task: str) -> int:
    """Bytes of a step of a task of the catalog in the cache: observation, action, reward, terminal and timeout."""
    if TASKS[task].frame_stack:
        return FRAME + DISCRETE_ACTION + FLOAT + FLAGS
    return FLOAT * (sum(SIZES[task]) + 1) + FLAGS


def _steps(dataset: Dataset, source: Source) -> int | None:
    if isinstance(source, Recorded):
        return source.episodes * TASKS[dataset.task].horizon
    if isinstance(source, DQNReplay):
        return REPLAY_STEPS
    return source.steps if isinstance(source, D4RL) else None
