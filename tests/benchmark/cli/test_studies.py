"""`lamobench faults` from end to end, on tiny data and budgets."""

import csv
import sys
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from lamobench.benchmark.cli import main as cli
from lamobench.benchmark.cli.studies import Faults, trial_runs
from lamobench.benchmark.offline import fault_costs
from lamobench.benchmark.offline.faults import FAULTS
from lamobench.benchmark.scores.collect import collect, finished

TINY = ["--steps", "20", "--budget", "evaluation_episodes=2", "--budget", "batch_size=8", "--jobs", "1"]


def test_a_trial_on_images_is_shorter_than_a_run_unless_told_otherwise(home: Path) -> None:
    budget = ("steps=40", "evaluate_every=40", "headline_evaluations=1")
    short = replace(fault_costs.TRIALS["drop-best"], dataset="reacher2d-medium", fraction=0.5, budget=budget)
    for command, steps in (
        (Faults(seeds=(0,)), 40),
        (Faults(seeds=(0,), steps=80), 80),
        (Faults(seeds=(0,), budget=("steps=120", "evaluate_every=120")), 120),
        (Faults(seeds=(0,), profile="paper"), 37_500),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(fault_costs.TRIALS, "drop-best", short)
            assert {run.steps for side in trial_runs("drop-best", command) for run in side} == {steps}


@pytest.fixture
def small_trials(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trials on Reacher2d with the data set and the network of the tests."""
    tiny = ("context=3", "layers=1", "width=16", "heads=2")
    trials = {
        name: replace(trial, dataset="reacher2d-medium", fraction=0.5, settings=tiny)
        for name, trial in fault_costs.TRIALS.items()
    }
    monkeypatch.setattr(fault_costs, "TRIALS", trials)


def test_a_comparison_is_written(
    small_trials: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "faults.csv"
    runs = tmp_path / "runs"
    names = ["best-target", "drop-best"]
    arguments = [*names, "--seeds", "0", "1", "--runs", str(runs), "--output", str(output), *TINY]
    monkeypatch.setattr(sys, "argv", ["lamobench", "faults", *arguments])
    cli.main()
    shown = capsys.readouterr().out
    assert "6 runs on 2 faults, 0 done already" in shown  # they share the runs without a fault
    with output.open() as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    assert [row["fault"] for row in rows] == ["drop-best", "best-target"]
    assert {(row["dataset"], row["source"], row["fraction"], row["method"]) for row in rows} == {
        ("reacher2d-medium", "recorded", "0.5", "dt")
    }
    found = finished(collect(runs))
    for row in rows:
        faulty = [run for run in found if run.config.profile.endswith(row["fault"] + ")")]
        default = fmean(run.result.score for run in found if run.config.profile == "cpu (changed)")
        assert float(row["score_default"]) == pytest.approx(default, rel=1e-3, abs=1e-6)
        assert len(faulty) == int(row["seeds"]) == 2
        difference = float(row["score_fault"]) - float(row["score_default"])
        assert float(row["difference"]) == pytest.approx(difference, rel=1e-2, abs=1e-3)
        assert float(row["ci_low"]) <= float(row["difference"]) <= float(row["ci_high"])
        assert not row["detectable"] or float(row["detectable"]) > 0
        assert row["signature"] == FAULTS[row["fault"]].signature
    cli.main()
    assert "6 runs on 2 faults, 6 done already" in capsys.readouterr().out
