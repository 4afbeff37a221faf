import re

import numpy as np
import pytest

from lamobench.datasets.environments.apple_retrieval import LEFT, RIGHT, AppleRetrieval
from lamobench.datasets.errors import UserError


def test_an_episode_by_hand() -> None:
    env = AppleRetrieval(distance=2, signal=0.5, horizon=6)
    assert env.reset(np.array([0])).tolist() == [[-0.5]]
    seen = [env.step(np.array([action])) for action in (LEFT, RIGHT, RIGHT, RIGHT, LEFT, LEFT)]
    assert [float(step.rewards[0]) for step in seen] == [-1, 1, 1, -1, 1, 1]
    assert [int(step.stages[0]) for step in seen] == [0, 0, 1, 1, 1, 0]
    assert [bool(step.stage_ended[0]) for step in seen] == [False, False, True, False, False, True]
    assert [bool(step.stage_success[0]) for step in seen] == [False, False, True, False, False, False]
    assert seen[2].next_observations.tolist() == [[-0.5]]  # the last of the way there
    assert seen[2].observations.tolist() == [[0.5]]
    assert seen[5].episode_ended.all()  # one place from home: six steps were all there were


def test_time_is_of_the_episode_not_of_the_stage() -> None:
    env = AppleRetrieval(distance=2, horizon=4)
    env.reset(np.array([0]))
    steps = [env.step(env.expert()) for _ in range(4)]
    assert [bool(step.stage_success[0]) for step in steps] == [False, True, False, True]
    assert steps[-1].episode_ended.all()
    assert env.longest == 4


def test_an_apple_reached_with_the_last_step_leaves_no_time_to_go_home() -> None:
    env = AppleRetrieval(distance=2, horizon=4)
    env.reset(np.array([0]))
    steps = [env.step(np.array([action])) for action in (LEFT, LEFT, RIGHT, RIGHT)]
    assert steps[-1].stage_success.all()
    assert steps[-1].episode_ended.all()
    assert (steps[-1].stages == 0).all()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"distance": 51}, "an apple 51 steps away can't be fetched in 100 steps; give it 1 to 50"),
        ({"distance": 0}, "an apple 0 steps away can't be fetched"),
        ({"signal": 0.0}, "signal is 0.0; expected a positive number"),
        ({"signal": float("nan")}, "signal is nan; expected a positive number"),
    ],
)
def test_a_task_that_nobody_could_do_is_refused(options: dict[str, float], line: str) -> None:
    with pytest.raises(UserError, match=re.escape(line)):
        AppleRetrieval(**options)  # type: ignore[arg-type]
