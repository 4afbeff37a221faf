"""Replay buffer: the part that is kept, and the part that is given."""

import numpy as np

from lamobench.baselines.text.replay import Replay, Transition
from lamobench.baselines.text.texts import State

STATE = State(0, 0, (1,))


def step(number: int) -> Transition:
    return Transition(STATE, number, 0.0, STATE, False)


def test_the_oldest_go_first() -> None:
    replay = Replay(3, 0.0)
    for number in range(5):
        replay.add(step(number))
    assert sorted(transition.command for transition in replay.ring) == [2, 3, 4]
    drawn = {transition.command for transition in replay.sample(np.random.default_rng(0), 100)}
    assert drawn == {2, 3, 4}


def test_half_of_a_batch_is_of_the_best_episodes_of_all_games() -> None:
    replay = Replay(100, 0.5)
    for number in range(20):
        replay.add(step(number))
    rng = np.random.default_rng(0)
    replay.end_episode("a", 0.0, [step(98), step(99)])  # nothing was scored
    assert replay.best == {}
    replay.end_episode("a", 1.0, [step(30)])
    replay.end_episode("b", 5.0, [step(40)])
    replay.end_episode("a", 0.5, [step(31)])
    replay.end_episode("a", 1.0, [step(32)])
    assert [each.command for each in replay.best["a"]] == [30, 32]
    replay.end_episode("a", 2.0, [step(33)])
    assert [each.command for each in replay.best["a"]] == [33]
    commands = [transition.command for transition in replay.sample(rng, 11)]
    assert set(commands[:6]) <= {33, 40}  # 5.5, to the even
    assert set(commands[6:]) <= set(range(20))
    assert {each.command for each in replay.sample(rng, 200)[:100]} == {33, 40}
