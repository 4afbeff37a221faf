import math

import numpy as np
import pytest

from lamobench.benchmark.finetune.measures import forward_transfer, recovery_step
from lamobench.benchmark.runs.stages import HEADER, StageEpisode, means_by_stage, read_stages, stages_csv
from lamobench.datasets.errors import UserError

STEPS = np.array([0.0, 100.0, 200.0, 300.0, 400.0])


@pytest.mark.parametrize(
    ("far", "step"),
    [
        ([0.9, 0.9, 0.86, 0.9, 0.9], 0.0),  # never further away than 0.05
        ([0.9, 0.2, 0.1, 0.5, 0.85], 400.0),
        ([0.9, 0.1, 0.88, 0.3, 0.4], 200.0),  # the worst one counts, and what comes first after it
        ([0.9, 0.8, 0.7, 0.6, 0.5], math.nan),
        ([1.0, 0.95, 1.0, 0.0, 0.95], 400.0),
    ],
)
def test_recovery_by_hand(far: list[float], step: float) -> None:
    assert recovery_step(STEPS, np.array(far), scored=False) == pytest.approx(step, nan_ok=True)


def test_points_are_back_where_a_share_of_them_is() -> None:
    """A policy may have one point of a hundred of the expert's, and five would be all of it."""
    far = np.array([0.01, 0.002, 0.004, 0.0096, 0.01])
    assert recovery_step(STEPS, far, scored=False) == 0.0
    assert recovery_step(STEPS, far, scored=True) == STEPS[3]


def test_forward_transfer_by_hand() -> None:
    found = forward_transfer([0.5, 0.2, 0.1, 1.0], [0.2, 0.2, 0.4, 1.0])
    np.testing.assert_allclose(found[:3], [0.3 / 0.8, 0.0, -0.3 / 0.6])
    assert np.isnan(found[3])


def rows(steps: tuple[int, ...] = (0, 10), stages: int = 2) -> list[StageEpisode]:
    return [
        StageEpisode(step, stage, n, 7 + n, int(n < stage + step // 10), -1.5, 4)
        for step in steps
        for stage in range(stages)
        for n in range(4)
    ]


def test_means_by_stage_by_hand() -> None:
    steps, success = means_by_stage(f"{HEADER}\n{stages_csv(rows())}".encode(), "success")
    assert steps.tolist() == [0, 10]
    np.testing.assert_allclose(success, [[0.0, 0.25], [0.25, 0.5]])


@pytest.mark.parametrize(
    "content",
    [
        "",
        f"{HEADER}\n",
        f"step,stage\n{stages_csv(rows())}",
        f"{HEADER}\n{stages_csv(rows())[:-3]}",
        f"{HEADER}\n0,0,0,7,nan,1,4\n",
        f"{HEADER}\n0,0,0,7,one,1,4\n",
        f"{HEADER}\n0,0,0,7,1,1\n",
    ],
)
def test_stages_that_can_t_be_read_are_told(content: str) -> None:
    with pytest.raises(UserError, match=r"stages\.csv"):
        read_stages(content.encode())


@pytest.mark.parametrize("stage", [-1, 10**15])
def test_a_stage_that_can_t_be_is_told(stage: int) -> None:
    """Room for that many stages is not asked for."""
    with pytest.raises(UserError, match="stages below 0, or more of them than rows"):
        means_by_stage(f"{HEADER}\n0,{stage},0,7,1,1,4\n".encode(), "success")


def test_an_evaluation_that_lacks_an_episode_is_told() -> None:
    with pytest.raises(UserError, match="as many episodes of each stage"):
        means_by_stage(f"{HEADER}\n{stages_csv(rows()[:-1])}".encode(), "success")
