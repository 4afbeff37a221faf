"""What steps take where nothing was measured yet: of every method in the cpu profile, and of every simulator.

Made by `python -m lamobench.tests.benchmark.sweep.typical_costs` on one core of an Intel Xeon that had other work
too: good enough for estimates, which are scaled by what was measured on the machine at hand.
"""

from dataclasses import dataclass

from ...datasets.catalog import find_task

AT_A_TIME = 64  # episodes that an evaluation plays side by side, at most: `rollout.rollout`'s default


@dataclass(frozen=True)
class Cost:
    """Milliseconds that a method takes."""

    update: float  # an optimiser step
    act: float  # choosing the action of a step of one episode
    more: float  # what each further episode adds to that, played side by side


ON_VECTORS = {
    "lamo": Cost(39.2, 4.28, 0.351),
    "lamo-random": Cost(36.2, 4.06, 0.294),
    "lamo-permuted": Cost(35.2, 3.9, 0.302),
    "lamo-initialised": Cost(35.3, 3.84, 0.28),
    "wiki-rl": Cost(40.7, 2.74, 0.314),
    "dt": Cost(24.7, 2.21, 0.161),
    "dt-matched": Cost(48.2, 2.71, 0.335),
    "cql": Cost(9.05, 0.283, 0.00391),
    "iql": Cost(7.43, 0.254, 0.00919),
    "td3-bc": Cost(5.68, 0.244, 0.00741),
    "rebrac": Cost(10.4, 0.285, 0.0108),
    "rvs": Cost(2.79, 0.286, 0.0124),
    "discrete-cql": Cost(11.7, 0.294, 0.0149),
    "bcq": Cost(13.6, 0.489, 0.0147),
    "nfq": Cost(4.01, 0.26, 0.00861),
    "bc": Cost(2.61, 0.261, 0.00951),
    "bc-10": Cost(3.07, 0.306, 0.00791),
}
ON_FRAMES = {
    "lamo": Cost(141, 8.85, 4.4),
    "lamo-random": Cost(150, 9.18, 4.37),
    "lamo-permuted": Cost(155, 9.2, 4.31),
    "lamo-initialised": Cost(142, 8.58, 4.37),
    "wiki-rl": Cost(155, 8.34, 4.31),
    "dt": Cost(136, 7.29, 4.08),
    "dt-matched": Cost(162, 11.5, 4.13),
    "discrete-cql": Cost(70.9, 6.3, 3.85),
    "bcq": Cost(72.9, 5.71, 3.96),
    "nfq": Cost(42, 5.58, 3.8),
    "bc": Cost(24, 5.08, 3.79),
    "bc-10": Cost(29.5, 5.35, 3.79),
}
# Milliseconds of an environment's step, by task.
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
}
UNKNOWN_SIMULATION = 0.1  # of environments that imported data sets bring with them


def typical_update(method: str, task: str) -> float:
    """Seconds of an optimiser step."""
    return _cost(method, task).update / 1e3


def typical_evaluation(method: str, task: str, episodes: int) -> float:
    """Seconds of an evaluation in which every episode is as long as they get, as `rollout` batches them."""
    cost, waves = _cost(method, task), -(-episodes // AT_A_TIME)
    each = cost.more + SIMULATION.get(task, UNKNOWN_SIMULATION)
    return find_task(task).horizon * (waves * (cost.act - cost.more) + episodes * each) / 1e3


def is_simulation_known(task: str) -> bool:
    """Whether a step of the task's environment was measured."""
    return task in SIMULATION


def _cost(method: str, task: str) -> Cost:
    return (ON_FRAMES if find_task(task).frame_stack else ON_VECTORS)[method]
