from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.sweep import estimate
from lamobench.benchmark.sweep import grid as sweeping
from lamobench.benchmark.sweep.estimate import StepTimes, kind
from lamobench.benchmark.sweep.job import Step
from lamobench.benchmark.sweep.state import State
from lamobench.tests.benchmark.little_runs import little_run

pytestmark = pytest.mark.usefixtures("home")
run_of = partial(little_run, steps=1000, evaluate_every=500)


def hand_made(**facts: Any) -> State:
    """Four runs of 1000 steps: two of each method."""
    runs = [replace(run_of(seed), method=method) for method in ("dt", "bc") for seed in (0, 1)]
    paces = facts.pop("pace", {})
    return State(runs, pace={kind(run): paces[run.method] for run in runs if run.method in paces}, **facts)


def test_nothing_is_said_about_the_time_before_something_was_measured() -> None:
    assert hand_made().seconds_left(jobs=2) is None


def test_the_time_left_by_hand() -> None:
    state = hand_made(pace={"dt": 0.01, "bc": 0.002})
    dt, other_dt, bc, _ = state.runs
    assert state.seconds_left(jobs=1) == pytest.approx(2 * 10 + 2 * 2)
    assert state.seconds_left(jobs=2) == pytest.approx(12)
    assert state.seconds_left(jobs=8) == pytest.approx(10)  # a run is not shared among workers
    state.steps = {dt.id: 400, bc.id: 500}
    assert state.seconds_left(jobs=1) == pytest.approx(6 + 10 + 1 + 2)
    state.finished = [dt.id]
    state.failed = {other_dt.id: "reason"}
    assert state.seconds_left(jobs=1) == pytest.approx(1 + 2)
    state.finished += [run.id for run in state.runs]
    assert state.seconds_left(jobs=1) == 0


def test_runs_that_are_trained_together_are_not_shared_among_workers() -> None:
    state = hand_made(pace={"dt": 0.01, "bc": 0.002})
    state.jobs = [tuple(state.runs[:2]), *((run,) for run in state.runs[2:])]
    assert state.seconds_left(jobs=2) == pytest.approx(20)


def test_methods_that_were_not_measured_are_scaled_from_those_that_were() -> None:
    state = hand_made()
    dt, _, bc, _ = state.runs
    sweeping._hear(state, (dt,), Step(dt.id, 10, 0.5), sweeping._Attempts(Path()))
    ratio = estimate.typical_pace(bc) / estimate.typical_pace(dt)
    assert state.step_times().cost(bc) == pytest.approx(1000 * 0.5 * ratio)


def test_what_this_sweep_measures_is_worth_more_than_what_was_measured_before() -> None:
    state = hand_made(pace={"dt": 0.5})
    dt, _, bc, _ = state.runs
    state.before = StepTimes({kind(dt): 7.0, kind(bc): 0.25}, {kind(dt): 1.0, kind(bc): 0.0})
    assert [state.step_times().cost(run) for run in (dt, bc)] == [500, 250]
    assert hand_made().seconds_left(jobs=1) is None
    assert state.seconds_left(jobs=1) == pytest.approx(2 * 500 + 2 * 250)


def test_the_share_that_is_done_is_of_the_time_and_not_of_the_runs() -> None:
    state = hand_made(pace={"dt": 0.009, "bc": 0.001})
    dt, other_dt, bc, _ = state.runs
    assert state.share_done() == 0
    state.finished = [dt.id]
    assert state.share_done() == pytest.approx(0.45)
    state.failed = {other_dt.id: "reason"}
    state.steps = {bc.id: 500}
    assert state.share_done() == pytest.approx(0.9 + 0.025)
    state.finished += [run.id for run in state.runs]
    assert state.share_done() == State([]).share_done() == 1
