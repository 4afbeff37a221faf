import numpy as np
import pytest

from lamobench.datasets.environments.demonstrations import Play, play
from lamobench.datasets.environments.grid_relay import EXPERT, MAZE, GridRelay


def expert_of(observations: np.ndarray) -> np.ndarray:
    """The first step (T, E) of a shortest way, read from observations (T, E, S) alone."""
    seen = observations.reshape(-1, observations.shape[-1])
    row, column, goal_row, goal_column = seen[:, :36].reshape(-1, 4, 9).argmax(2).T
    stage = seen[:, 36:].argmax(1)
    found: np.ndarray = EXPERT[stage, goal_row, goal_column, row, column]
    return found.reshape(observations.shape[:-1])


def arrived(played: Play) -> np.ndarray:
    return (played.next_observations[..., :18] == played.next_observations[..., 18:36]).all(-1)


def test_steps_are_of_the_stage_and_the_choices_the_expert_s() -> None:
    played = play(GridRelay(), 8000, seed=3, stage=MAZE, wandering=0.2)
    assert played.rewards.shape == (125, 64)
    assert (played.stages == MAZE).all()
    np.testing.assert_array_equal(played.choices, expert_of(played.observations))
    assert (played.actions != played.choices).mean() == pytest.approx(0.75 * 0.2, abs=0.02)
    assert played.episode_ended.sum() > 5
    np.testing.assert_array_equal(played.rewards == 1, arrived(played))


@pytest.mark.parametrize("mistaken", [0.0, 0.1, 0.5])
def test_a_share_of_the_choices_is_wrong(mistaken: float) -> None:
    played = play(GridRelay(), 4000, seed=3, mistaken=mistaken)
    wrong = (played.choices != expert_of(played.observations)).mean()
    assert wrong == pytest.approx(0.75 * mistaken, abs=0.03)  # a random choice is right one time in four
    np.testing.assert_array_equal(played.actions, expert_of(played.observations))
    assert set(np.unique(played.stages)) == {0, 1}


def test_few_steps_are_of_episodes_that_come_to_the_end() -> None:
    """Sixty-four of fifteen steps each would all be in the first half of the maze."""
    played = play(GridRelay(), 1000, seed=0, stage=MAZE)
    assert (played.rewards == 1).sum() > 20
    assert play(GridRelay(), 5, seed=0).rewards.shape == (5, 1)
