from dataclasses import astuple

import pytest

from lamobench.benchmark.runs.method import UNKNOWN
from lamobench.benchmark.runs.methods import METHODS, find_method, methods_of
from lamobench.benchmark.sweep.typical_costs import (
    AT_A_TIME,
    SIMULATION,
    is_simulation_known,
    typical_evaluation,
    typical_update,
)
from lamobench.datasets.environments.staged_tasks import STAGED_TASKS
from lamobench.datasets.tasks import TASKS


def test_every_method_and_simulator_was_measured() -> None:
    assert SIMULATION.keys() == TASKS.keys() | STAGED_TASKS.keys()
    for method in map(find_method, methods_of("offline")):
        assert method.on_vectors != UNKNOWN
        assert (method.on_frames != UNKNOWN) == method.discrete
        for cost in (method.on_vectors, method.on_frames):
            assert all(part > 0 for part in astuple(cost))
            assert cost.more < cost.act


def test_an_evaluation_by_hand() -> None:
    """Waves of episodes side by side, each as long as its horizon."""
    cost = METHODS["dt"].on_vectors
    step = SIMULATION["reacher2d"]
    first = cost.act + step
    assert typical_evaluation("dt", "reacher2d", 1) == pytest.approx(0.1 * first)
    assert typical_evaluation("dt", "reacher2d", 5) == pytest.approx(0.1 * (first + 4 * (cost.more + step)))
    wave = typical_evaluation("dt", "reacher2d", AT_A_TIME)
    assert typical_evaluation("dt", "reacher2d", AT_A_TIME + 1) == pytest.approx(wave + 0.1 * first)
    assert typical_update("dt", "reacher2d") == pytest.approx(1e-3 * cost.update)


def test_frames_cost_more_than_vectors() -> None:
    for method in (name for name in methods_of("offline") if METHODS[name].discrete):
        assert typical_update(method, "breakout") > typical_update(method, "reacher2d")
    assert is_simulation_known("breakout")
    assert not is_simulation_known("my-own")
