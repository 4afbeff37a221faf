"""`lamobench faults` from end to end, on tiny data and budgets."""

import csv
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark import cli, faults
from lamobench.benchmark.cli_faults import Faults
from lamobench.benchmark.collect import collect
from lamobench.benchmark.legacy import FAULTS, check_legacy
from lamobench.datasets.catalog import find_dataset, find_task

TINY = ["--steps", "20", "--budget", "evaluation_episodes=2", "--budget", "batch_size=8", "--jobs", "1"]


def test_every_fault_has_a_trial_in_which_it_can_show() -> None:
    assert faults.TRIALS.keys() == FAULTS.keys()
    for name, trial in faults.TRIALS.items():
        task = find_task(find_dataset(trial.dataset).task)
        assert check_legacy([name], task, trial.method, discrete=bool(task.frame_stack)) == [name]


def test_a_trial_on_images_is_shorter_than_a_run_unless_told_otherwise(home: Path) -> None:
    budget = ("steps=40", "evaluate_every=40", "headline_evaluations=1")
    short = replace(faults.TRIALS["drop-best"], dataset="reacher2d-medium", fraction=0.5, budget=budget)
    for command, steps in (
        (Faults(seeds=(0,)), 40),
        (Faults(seeds=(0,), steps=80), 80),
        (Faults(seeds=(0,), budget=("steps=120", "evaluate_every=120")), 120),
        (Faults(seeds=(0,), profile="paper"), 37_500),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(faults.TRIALS, "drop-best", short)
            assert {run.steps for side in faults.trial_runs("drop-best", command) for run in side} == {steps}


@pytest.fixture
def small_trials(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trials on Reacher2d with the data set and the network of the tests."""
    tiny = ("context=3", "layers=1", "width=16", "heads=2")
    trials = {
        name: replace(trial, dataset="reacher2d-medium", fraction=0.5, settings=tiny)
        for name, trial in faults.TRIALS.items()
    }
    monkeypatch.setattr(faults, "TRIALS", trials)


def test_a_comparison_is_written(
    small_trials: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output, runs = tmp_path / "faults.csv", tmp_path / "runs"
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
    found = collect(runs)
    for row in rows:
        ranked = {legacy: found[found["profile"].str.endswith(legacy)]["score"] for legacy in (row["fault"] + ")",)}
        default = found[found["profile"] == "cpu (changed)"]["score"].mean()
        assert float(row["score_default"]) == pytest.approx(default, rel=1e-3, abs=1e-6)
        assert len(ranked[row["fault"] + ")"]) == int(row["seeds"]) == 2
        difference = float(row["score_fault"]) - float(row["score_default"])
        assert float(row["difference"]) == pytest.approx(difference, rel=1e-2, abs=1e-3)
        assert float(row["ci_low"]) <= float(row["difference"]) <= float(row["ci_high"])
        assert row["signature"] == FAULTS[row["fault"]].signature
    cli.main()
    assert "6 runs on 2 faults, 6 done already" in capsys.readouterr().out


def test_differences_are_taken_in_pairs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Seeds that are far apart say nothing against a fault that costs each of them the same."""
    import numpy as np

    def read(folder: Path) -> dict[str, Any]:
        seed, fault = folder.name.split()
        scores = 100.0 * int(seed) + np.arange(4.0) - (2.0 if fault == "fault" else 0.0)
        one = {"target_return": 76.0, "score": float(scores.mean()), "headline_scores": scores}
        return one | {"by_target": [one]}

    class Config:
        dataset, source, fraction, episodes_in_subset, method, lm, profile, steps = ("d", "s", 1.0, 5, "dt", "", "p", 9)

        def __init__(self, name: str) -> None:
            self.name = name

    monkeypatch.setattr(faults, "read_finished", read)
    monkeypatch.setattr(faults, "run_folder", lambda root, config: root / config.name)
    pair: Any = tuple([Config(f"{seed} {kind}") for seed in (0, 1, 2)] for kind in ("default", "fault"))
    row = faults.compare("drop-best", pair, Faults(runs=tmp_path))
    assert (row["score_default"], row["score_fault"], row["difference"]) == (101.5, 99.5, -2.0)
    assert (row["ci_low"], row["ci_high"]) == (-2.0, -2.0)
    alone: Any = tuple([side[0]] for side in pair)
    assert faults.compare("drop-best", alone, Faults(runs=tmp_path))["ci_low"] is None
