"""Tests of what shared options ask for."""

import pytest

from lamobench.benchmark.cli.options import RunOptions, run_request
from lamobench.benchmark.offline.settings import Budget
from lamobench.datasets.errors import UserError


@pytest.fixture
def four_evaluations(monkeypatch: pytest.MonkeyPatch) -> Budget:
    budget = Budget(steps=800, evaluate_every=200, evaluation_episodes=20, headline_evaluations=2)
    monkeypatch.setattr("lamobench.benchmark.offline.hyperparameters.budget_for", lambda *_: budget)
    return budget


def test_other_steps_keep_as_many_evaluations(four_evaluations: Budget) -> None:
    request = run_request("reacher2d-medium", "bc", RunOptions(steps=40))
    assert request.budget == {"steps": 40, "evaluate_every": 10}
    assert run_request("reacher2d-medium", "bc", RunOptions()).budget == {}


def test_what_is_asked_for_explicitly_wins(four_evaluations: Budget) -> None:
    options = RunOptions(steps=40, budget=("evaluate-every=20", "batch_size=8"))
    request = run_request("reacher2d-medium", "bc", options)
    assert request.budget == {"steps": 40, "evaluate_every": "20", "batch_size": "8"}


@pytest.mark.parametrize("steps", [-4, 2, 41])
def test_steps_that_cannot_be_spread_are_refused(four_evaluations: Budget, steps: int) -> None:
    with pytest.raises(
        UserError, match=rf"--steps {steps} can't be spread over bc's 4 evaluations; give a multiple of 4"
    ):
        run_request("reacher2d-medium", "bc", RunOptions(steps=steps))
