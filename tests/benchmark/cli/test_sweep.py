"""Tests of what `sweep` does and prints, on tiny budgets."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lamobench.benchmark.cli import main as cli
from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.runs.methods import methods_for
from lamobench.benchmark.sweep.grid import Outcome
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.cli.tiny import TINY

Run = Callable[..., str]


def test_a_sweep_of_finished_runs_says_so_and_starts_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (*TINY, "--runs", tmp_path)
    for seed in (0, 1):
        run("train", "reacher2d-medium", "--method", "bc", "--seed", seed, *options)
    monkeypatch.setattr("lamobench.benchmark.sweep.local.LocalEngine._spawn", None)
    output = run(
        "sweep", "reacher2d-medium", "--methods", "bc", "--fractions", 1, "--seeds", 0, 1, 1, "--jobs", 2, *options
    )
    assert output.splitlines()[0] == f"2 runs on reacher2d-medium, 2 done already, 2 at a time, in {tmp_path}"
    assert re.fullmatch(r"2 of 2 runs done, \d s", output.splitlines()[-1])


@pytest.mark.parametrize("plan", [(), ("--plan",)])
def test_a_sweep_into_a_file_is_refused_before_it_is_planned(
    run: Run, tmp_path: Path, plan: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page").touch()
    with pytest.raises(UserError, match="page' is a file and no folder"):
        run("sweep", "reacher2d-medium", "--methods", "bc", *TINY, "--runs", tmp_path / "page", *plan)
    assert capsys.readouterr().out == ""


def test_a_sweep_that_names_nothing_is_the_published_table(
    run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: list[OfflineConfig] = []
    monkeypatch.setattr("lamobench.benchmark.cli.sweep.train_all", lambda runs, *_, **__: planned.extend(runs))
    run("sweep", "reacher2d-medium", "--runs", tmp_path)
    assert {config.fraction for config in planned} == {0.1, 0.3, 1.0}  # LaMo, Table 1
    assert [config.method for config in planned] == [
        method for method in methods_for(discrete=False) for _ in range(3 * 3)
    ]


def test_a_sweep_with_failures_ends_in_status_2_with_their_lines(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "lamobench.benchmark.sweep.grid.carry_out",
        lambda *_: Outcome(["a"], {"b": "run b: reason", "c": "run c: another"}),
    )
    monkeypatch.setattr(
        sys, "argv", ["lamobench", "sweep", "reacher2d-medium", "--methods", "bc", "--fractions", "1", *TINY]
    )
    with pytest.raises(SystemExit) as stop:
        cli.main()
    output, errors = capsys.readouterr()
    assert stop.value.code == 2
    assert "1 of 3 runs done" in output
    assert errors.splitlines()[-1] == "lamobench: run b: reason; run c: another"
