from dataclasses import astuple

import pytest

from lamobench.benchmark.finetune.resolve import resolve as resolve_finetuning
from lamobench.benchmark.runs.method import UNKNOWN
from lamobench.benchmark.runs.methods import METHODS, find_method, methods_of
from lamobench.benchmark.runs.tracks import Wanted
from lamobench.benchmark.sweep.typical_costs import (
    AT_A_TIME,
    SIMULATION,
    is_simulation_known,
    typical_evaluation,
    typical_update,
)
from lamobench.benchmark.text.resolve import resolve as resolve_games
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


def test_what_fine_tuning_and_text_games_play_is_counted() -> None:
    (run,) = resolve_finetuning(Wanted("robotic-sequence-2", ("finetune",), (0,), plan=True))
    assert run.episodes_each_time == 3 * run.evaluation_episodes  # the whole task, and both stages
    (run,) = resolve_games(Wanted("tidy-easy", ("drrn-hash",), (0,)))
    assert run.episodes_each_time == pytest.approx(50 + 3 * 21 * 50 / 11)  # three of eleven in 21 parts
    assert run.steps // run.evaluate_every == 10
    assert typical_update("finetune", "apple-retrieval") < typical_update("finetune", "grid-relay") < 0.3


def test_frames_cost_more_than_vectors() -> None:
    for method in (name for name in methods_of("offline") if METHODS[name].discrete):
        assert typical_update(method, "breakout") > typical_update(method, "reacher2d")
    assert is_simulation_known("breakout")
    assert not is_simulation_known("my-own")
