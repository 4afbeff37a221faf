"""Typical costs of steps and evaluations where nothing was measured yet: by the methods' rows, and by simulator."""

import math

from ..runs.method import Cost
from ..runs.methods import look_up
from ..runs.tracks import Scored, find_track

AT_A_TIME = 64  # episodes that an evaluation plays side by side, at most: `rollout.rollout`'s default


# Milliseconds of an environment's step, by task; measured as the methods' costs (`runs/method_tables/`).
SIMULATION = {
    "reacher2d": 0.12,
    "hopper": 0.173,
    "halfcheetah": 0.0981,
    "walker2d": 0.178,
    "ant": 0.379,
    "kitchen": 2.99,
    "kitchen-mixed": 3.03,
    "breakout": 0.641,
    "qbert": 0.564,
    "pong": 0.52,
    "seaquest": 0.625,
    "freeway": 0.814,
    "asterix": 0.507,
    "robotic-sequence-2": 4.4,
    "robotic-sequence": 1.2,
    "apple-retrieval": 0.0004,
    "grid-relay": 0.001,
    "grid-relay-cloned": 0.001,
    "nethack-lite": 0.3,
    "nethack-score": 0.3,
}
# Milliseconds of a round of fine-tuning, where not as in the methods' rows: of 16 episodes, of 2,048 steps and what is
# learned from them, of 50 steps of one arm and their updates, of 2,048 keys.
ROUNDS = {
    "apple-retrieval": 25.0,
    "grid-relay": 80.0,
    "grid-relay-cloned": 80.0,
    "robotic-sequence-2": 500.0,
    "robotic-sequence": 900.0,
    "nethack-lite": 1100.0,
}
LANGUAGE_MODEL = "gpt2-mini"  # of what was measured: the cpu profile's
UNKNOWN_SIMULATION = 0.1  # of environments that imported data sets bring with them


def typical_update(method: str, task: str) -> float:
    """Seconds of an optimiser step, or of a round of fine-tuning."""
    return ROUNDS.get(task, _cost(method, task).update) / 1e3


def typical_evaluation(method: str, task: str, episodes: float) -> float:
    """Seconds of an evaluation in which every episode is as long as they get, as `rollout` batches them."""
    cost = _cost(method, task)
    waves = math.ceil(episodes / AT_A_TIME)
    each = cost.more + SIMULATION.get(task, UNKNOWN_SIMULATION)
    return _find_task(method, task).horizon * (waves * (cost.act - cost.more) + episodes * each) / 1e3


def is_simulation_known(task: str) -> bool:
    """Check whether a step of the task's environment was measured."""
    return task in SIMULATION


def _cost(method: str, task: str) -> Cost:
    row = look_up(method)
    return row.on_frames if getattr(_find_task(method, task), "frame_stack", 0) else row.on_vectors


def _find_task(method: str, task: str) -> Scored:
    return find_track(look_up(method).track).find_task(task)
