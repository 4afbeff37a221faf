"""A step of the robot arm beside the same one of plain Meta-World, which is ours but for its test of contacts."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.environments.robotic_sequence import ACTIONS, VERSION, RoboticSequence, meta_world
from ...datasets.environments.staged_tasks import find_staged_task
from .harness import Measure, Row, Settings, faster, in_turn

MOVES = 40  # at a time: a stage of `robotic-sequence-2`
SEED = 0


def arm_steps(settings: Settings, scratch: Path) -> list[Row]:
    """Measure stages of `robotic-sequence-2`: the same random actions until time runs out, and the next beginning.

    The first of both begins alike, and is compared; later ones begin as either draws them. Nothing without Meta-World.
    """
    if importlib.util.find_spec("metaworld") is None:
        return []
    task = find_staged_task("robotic-sequence-2")
    actions = np.random.default_rng(SEED).uniform(-1.0, 1.0, (MOVES, 1, ACTIONS)).astype(np.float32)
    rows = []
    for number, stage in enumerate(task.stages):
        environment = task.make()
        assert isinstance(environment, RoboticSequence)
        ours = _stage(environment, number, actions)
        theirs = _plain_stage(environment, stage, actions)
        np.testing.assert_allclose(ours(), theirs(), rtol=1e-6)
        what = f"robotic-sequence-2: {MOVES} actions in {stage}"
        rows.append(faster(what, "plain Meta-World", in_turn(settings, ours, theirs), None))
    return rows


def _stage(environment: RoboticSequence, number: int, actions: Any) -> Callable[[], list[float]]:
    """A function that plays a stage of ours, whose next one begins by itself, and returns its rewards."""
    environment.reset(np.array([SEED]), stage=number, only=True)
    return lambda: [float(environment.step(action).rewards[0]) for action in actions]


def _plain_stage(environment: RoboticSequence, stage: str, actions: Any) -> Callable[[], list[float]]:
    """The same in a simulator as Meta-World makes it, first from the start and the goal of ours."""
    simulator = meta_world("env_dict").ALL_V3_ENVIRONMENTS[f"{stage}{VERSION}"]()
    simulator._partially_observable = False
    simulator._freeze_rand_vec = False
    simulator.seeded_rand_vec = True
    simulator._set_task_called = True
    simulator.max_path_length = MOVES * environment.repeat + 1
    simulator.np_random = np.random.default_rng(environment.drawn[0])
    simulator.reset()

    def play() -> list[float]:
        rewards = []
        for (action,) in actions:
            paid = [float(simulator.step(action)[1]) for _ in range(environment.repeat)]
            rewards.append(environment.reward_scale * sum(paid) / environment.repeat)
        simulator.reset()
        return rewards

    return play


MEASUREMENTS: dict[str, Measure] = {"arm-steps": arm_steps}
