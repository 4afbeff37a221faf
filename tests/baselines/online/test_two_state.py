from collections.abc import Callable

import numpy as np
import pytest

from lamobench.tests.baselines.online.two_state import (
    formula,
    imperfect_cloning_gap,
    solved,
    state_coverage_gap,
)


@pytest.mark.parametrize("stays", [state_coverage_gap, imperfect_cloning_gap])
def test_the_published_value_is_that_of_the_chain(stays: Callable[[float], float]) -> None:
    for theta in np.linspace(0.0, 1.0, 21):
        assert formula(theta, stays(theta)) == pytest.approx(solved(theta, stays(theta)), abs=1e-9)


def test_ascent_forgets_the_far_state_where_remembering_it_reaches_the_optimum() -> None:
    """theta = 0.11 and a value of 2.22, where the best is 10 at theta = 1: as published."""
    theta = 0.0
    size = 1e-4
    for _ in range(20_000):
        ahead = theta + 1e-6
        behind = theta - 1e-6
        theta += size * (formula(ahead, state_coverage_gap(ahead)) - formula(behind, state_coverage_gap(behind))) / 2e-6
    assert theta == pytest.approx(0.11, abs=0.005)
    assert formula(theta, state_coverage_gap(theta)) == pytest.approx(2.22, abs=0.005)
    assert state_coverage_gap(theta) < 0.81  # it was 1
    assert formula(1.0, state_coverage_gap(1.0)) == pytest.approx(10.0)
    remembered = [formula(share, 1.0) for share in np.linspace(0.0, 1.0, 21)]
    assert np.all(np.diff(remembered) > 0.0)  # without forgetting, ascent goes all the way
