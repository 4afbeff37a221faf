"""Reference scores against pairs of a return and its score that others have published."""

import pytest

from lamobench.datasets.catalog import find_task
from lamobench.datasets.tasks import TASKS

# Mnih et al. 2015, Extended Data Table 2: DQN's average score, and the same in percent of the human tester's, where
# random play is 0 %. Printed with as many digits.
NATURE_DQN = [
    ("breakout", 401.2, 1327.0, 0.5),
    ("pong", 18.9, 132.0, 0.5),
    ("qbert", 10596.0, 78.5, 0.05),
    ("seaquest", 5286.0, 25.9, 0.05),
    ("freeway", 30.3, 102.4, 0.05),
    ("asterix", 6012.0, 70.0, 0.05),
]
# Fu et al. 2020 (D4RL): behavioural cloning's raw return on the medium data of version 0, and its normalised score.
D4RL_CLONING = [
    ("hopper", 923.5, 29.0, 0.05),
    ("halfcheetah", 4196.4, 36.1, 0.05),
    ("walker2d", 304.8, 6.6, 0.05),
]
ENDS = [
    (task.name, value, score, 1e-9)
    for task in TASKS.values()
    for value, score in zip(task.reference_scores, (0, 100), strict=True)
]
KITCHEN = [(task, float(done), 25.0 * done, 1e-9) for task in ("kitchen", "kitchen-mixed") for done in range(5)]


@pytest.mark.parametrize(("task", "episode_return", "score", "rounding"), [*NATURE_DQN, *D4RL_CLONING, *ENDS, *KITCHEN])
def test_scores_of_known_returns(task: str, episode_return: float, score: float, rounding: float) -> None:
    assert find_task(task).normalise(episode_return) == pytest.approx(score, abs=rounding)


def test_every_reference_has_its_source() -> None:
    for task in TASKS.values():
        assert task.score_source, task.name
        assert task.reference_scores[0] < task.reference_scores[1]


def test_no_target_return_is_beyond_what_its_task_can_pay() -> None:
    for task in TASKS.values():
        if task.sub_goals:
            assert task.target_returns == (float(len(task.sub_goals)),)
            assert task.reference_scores == (0.0, float(len(task.sub_goals)))
