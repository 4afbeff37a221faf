"""The cost of a fault: its trial, and the comparison."""

from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.offline import fault_costs as faults
from lamobench.benchmark.offline.faults import FAULTS, check_legacy
from lamobench.benchmark.scores.run import FinishedRun
from lamobench.datasets.catalog import find_dataset, find_task
from lamobench.tests.benchmark.little_runs import finished_run, result


def test_every_fault_has_a_trial_in_which_it_can_show() -> None:
    assert faults.TRIALS.keys() == FAULTS.keys()
    for name, trial in faults.TRIALS.items():
        task = find_task(find_dataset(trial.dataset).task)
        assert check_legacy([name], task, trial.method, discrete=bool(task.frame_stack)) == [name]


def test_differences_are_taken_in_pairs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Seeds that are far apart say nothing against a fault that costs each of them the same."""
    import numpy as np

    def read(folder: Path) -> FinishedRun:
        seed, fault = folder.name.split()
        return finished_run([result(76.0, 100.0 * int(seed) + np.arange(4.0) - (2.0 if fault == "fault" else 0.0))])

    class Config:
        dataset = "d"
        source = "s"
        fraction = 1.0
        episodes_in_subset = 5
        method = "dt"
        lm = ""
        profile = "p"
        steps = 9

        def __init__(self, name: str) -> None:
            self.name = name

    monkeypatch.setattr(faults, "read_finished", read)
    monkeypatch.setattr(faults, "run_folder", lambda root, config: root / config.name)
    pair: Any = tuple([Config(f"{seed} {kind}") for seed in (0, 1, 2)] for kind in ("default", "fault"))
    row = faults.compare("drop-best", pair, tmp_path)
    assert (row["score_default"], row["score_fault"], row["difference"]) == (101.5, 99.5, -2.0)
    assert (row["ci_low"], row["ci_high"]) == (-2.0, -2.0)
    alone: Any = tuple([side[0]] for side in pair)
    assert faults.compare("drop-best", alone, tmp_path)["ci_low"] is None
