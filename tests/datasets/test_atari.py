from dataclasses import replace

import numpy as np
import pytest

from lamobench.datasets.catalog import find_task
from lamobench.datasets.environments.simulators import make_environment
from lamobench.datasets.tasks import TASKS

GAMES = [task.name for task in TASKS.values() if task.frame_stack]


@pytest.mark.parametrize("game", GAMES)
def test_frames_are_grey_and_small_and_rewards_are_the_games(game: str) -> None:
    env = make_environment(find_task(game))
    assert env.observation_space.shape == (84, 84)
    assert env.observation_space.dtype == np.uint8
    first, _ = env.reset(seed=1)
    assert (first.shape, first.dtype) == ((84, 84), np.uint8)
    frame, *_ = env.step(0)
    assert (frame.shape, frame.dtype) == ((84, 84), np.uint8)


def test_rewards_are_not_clipped() -> None:
    env = make_environment(find_task("qbert"))
    env.reset(seed=0)
    down_right = env.unwrapped.get_action_meanings().index("RIGHT")
    assert 25 in [env.step(down_right)[1] for _ in range(80)]


def test_starts_differ_by_seed_and_can_be_repeated() -> None:
    env = make_environment(find_task("seaquest"))

    def start(seed: int) -> int:
        env.reset(seed=seed)
        return int(env.unwrapped.ale.getEpisodeFrameNumber())

    starts = [start(seed) for seed in range(6)]
    assert starts == [start(seed) for seed in range(6)]
    assert len(set(starts)) > 3
    assert max(starts) <= 30


@pytest.mark.parametrize("game", GAMES)
def test_actions_stick_as_the_task_says(game: str) -> None:
    task = find_task(game)
    env = make_environment(task)
    probability = env.unwrapped.ale.getFloat("repeat_action_probability")
    assert probability == task.sticky_actions == 0.0


def test_the_horizon_truncates() -> None:
    env = make_environment(replace(find_task("pong"), horizon=7))
    env.reset(seed=0)
    steps = [env.step(0) for _ in range(7)]
    assert [truncated for *_, truncated, _ in steps] == [False] * 6 + [True]
    assert not any(terminated for _, _, terminated, _, _ in steps)


def test_the_end_of_the_game_terminates() -> None:
    env = make_environment(find_task("asterix"))
    env.reset(seed=0)
    steps = 0
    terminated = truncated = False
    while not (terminated or truncated):
        _, _, terminated, truncated, info = env.step(0)
        steps += 1
    assert (terminated, truncated, info["lives"]) == (True, False, 0)
    assert steps < 4096
