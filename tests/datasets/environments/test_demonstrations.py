import numpy as np
import pytest

from lamobench.datasets.environments.demonstrations import demonstrate
from lamobench.datasets.environments.grid_relay import EXPERT, MAZE, GridRelay


def expert_of(observations: np.ndarray) -> np.ndarray:
    """The first step of a shortest way, read from observations alone."""
    row, column, goal_row, goal_column = observations[:, :36].reshape(-1, 4, 9).argmax(2).T
    stage = observations[:, 36:].argmax(1)
    return EXPERT[stage, goal_row, goal_column, row, column]


def test_steps_are_of_the_stage_and_clone_the_expert() -> None:
    shown = demonstrate(GridRelay(), 8000, seed=3, stage=MAZE, wandering=0.2)
    assert len(shown.actions) == 8000
    assert (shown.stages == MAZE).all()
    np.testing.assert_array_equal(shown.actions, expert_of(shown.observations))
    assert shown.dones.sum() > 5
    np.testing.assert_array_equal(
        shown.rewards == 1, (shown.next_observations[:, :18] == shown.next_observations[:, 18:36]).all(1)
    )


@pytest.mark.parametrize("mistaken", [0.0, 0.1, 0.5])
def test_a_share_of_the_choices_is_wrong(mistaken: float) -> None:
    shown = demonstrate(GridRelay(), 4000, seed=3, mistaken=mistaken)
    wrong = (shown.actions != expert_of(shown.observations)).mean()
    assert wrong == pytest.approx(0.75 * mistaken, abs=0.03)  # a random choice is right one time in four
    assert set(np.unique(shown.stages)) == {0, 1}


def test_the_hash_is_of_the_content() -> None:
    first, again, other = (demonstrate(GridRelay(), 200, seed=seed) for seed in (1, 1, 2))
    assert first.hash == again.hash
    assert len({first.hash, other.hash, demonstrate(GridRelay(), 200, seed=1, mistaken=0.1).hash}) == 3


def test_fewer_steps_than_environments_are_as_many_as_were_asked_for() -> None:
    assert len(demonstrate(GridRelay(), 5, seed=0).actions) == 5


def test_few_steps_are_of_episodes_that_come_to_the_end() -> None:
    """Sixty-four of fifteen steps each would all be in the first half of the maze."""
    shown = demonstrate(GridRelay(), 1000, seed=0, stage=MAZE)
    assert (shown.rewards == 1).sum() > 20
