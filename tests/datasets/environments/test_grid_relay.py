import numpy as np
import pytest

from lamobench.datasets.environments.grid_relay import EXPERT, MAZE, ROOM, WALLS, GridRelay
from lamobench.datasets.errors import UserError
from lamobench.tests.datasets.environments.one_by_one import Relay


def test_shortest_ways_are_as_long_as_a_search_finds() -> None:
    cells = [(row, column) for row in range(9) for column in range(9)]
    for stage in (ROOM, MAZE):
        naive = Relay(1, 1.0, 100, stage, only=True, seed=0)
        for goal in [(0, 8), (4, 8), (8, 8), (0, 0), (3, 5)]:
            for place in cells:
                if place == goal or (stage == MAZE and WALLS[place]):
                    continue
                naive.place = place
                naive.goal = goal
                steps = naive.steps_to_goal()
                down, right = Relay.moves[EXPERT[(stage, *goal, *place)]]
                naive.place = (place[0] + down, place[1] + right)
                assert naive.open(*naive.place)
                assert naive.steps_to_goal() == steps - 1


def test_the_room_wants_all_its_goals_and_no_goal_is_where_the_walker_stands() -> None:
    env = GridRelay(goals=3)
    env.reset(np.arange(200), only=True)
    found = np.zeros(200, np.int64)
    for _ in range(env.horizon):
        assert (env.place != env.goal).any(axis=1).all()
        step = env.step(env.expert())
        found += step.rewards > 1
        assert (found[step.stage_success] == 3).all()
        found[step.episode_ended] = 0


def test_rewards_of_the_room_are_for_progress_and_of_the_maze_for_its_goal_alone() -> None:
    env = GridRelay(goals=1)
    env.reset(np.arange(50))
    total = np.zeros(50)
    for _ in range(200):
        in_maze = env.stage == MAZE
        distance = np.abs(env.place - env.goal).sum(axis=1)
        step = env.step(np.random.default_rng(distance.sum()).integers(4, size=50))
        np.testing.assert_array_equal(step.rewards[in_maze], step.stage_success[in_maze])
        assert np.isin(np.round(step.rewards[~in_maze], 5), np.float32([-0.1, 0.0, 0.1, 1.1]).round(5)).all()
        total += step.rewards
    assert total.any()


def test_every_start_and_goal_of_the_maze_is_drawn() -> None:
    env = GridRelay()
    env.reset(np.arange(2000), stage=MAZE)
    assert len(np.unique(np.column_stack([env.place[:, 0], env.goal[:, 0]]), axis=0)) == 81
    assert (env.place[:, 1] == 0).all()
    assert (env.goal[:, 1] == 8).all()


@pytest.mark.parametrize("options", [{"goals": 0}, {"horizon": 0}, {"signal": -1.0}, {"signal": float("inf")}])
def test_a_task_that_makes_no_sense_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(UserError, match="expected"):
        GridRelay(**options)  # type: ignore[arg-type]
