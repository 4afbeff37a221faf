"""`--plan`, of every command that has it: it says what would be trained, and neither trains nor writes anything."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

import pytest

from lamobench.benchmark.cli import main as cli
from lamobench.benchmark.finetune import pretrained
from lamobench.benchmark.offline import fault_costs, language_study
from lamobench.benchmark.training.life import Life
from lamobench.datasets.storage import home as home_folder

Run = Callable[..., str]

FINETUNED = ("--methods", "finetune", "frozen", "--seeds")
PLANS = {
    "sweep": ("grid-relay", *FINETUNED, "0", "1"),
    "tune": ("grid-relay", "--methods", "finetune-bc", "--seeds", "1000", "1001"),
    "severity": ("goals", *FINETUNED, "0", "1"),
    "ablation": ("reacher2d-medium", "--fractions", "0.5", "--variants", "dt"),
    "faults": ("best-target",),
    "language-study": ("gpt2-mini",),
    "degeneration": ("tidy-easy", "--methods", "random", "--seeds", "0"),
}


def planning() -> set[str]:
    """The commands that have a plan."""
    commands = [get_args(option) for option in get_args(cli.Command)]
    return {about.name for kind, about in commands if {"plan", "study"} & {field.name for field in fields(kind)}}


@pytest.fixture
def without_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands on data of the tests, where training anything is an error."""

    def refuse(*arguments: object) -> None:
        pytest.fail("something is trained")

    monkeypatch.setattr(Life, "live", refuse)
    monkeypatch.setattr(pretrained, "make", refuse)
    monkeypatch.setattr("lamobench.benchmark.sweep.grid.carry_out", refuse)
    trials = fault_costs.TRIALS.items()
    small = {name: replace(trial, dataset="reacher2d-medium", fraction=0.5) for name, trial in trials}
    monkeypatch.setattr(fault_costs, "TRIALS", small)
    part = replace(language_study.PARTS["gpt2-mini"], search_data=("reacher2d-medium",))
    monkeypatch.setattr(language_study, "PARTS", {"gpt2-mini": part})
    monkeypatch.setattr(language_study, "DATA", {"reacher2d-medium": 0.5})
    monkeypatch.setattr(language_study, "TUNING", "")


def files_in(*folders: Path) -> set[Path]:
    return {path for folder in folders for path in folder.rglob("*")}


@pytest.mark.parametrize("command", PLANS)
def test_a_plan_trains_and_writes_nothing(command: str, run: Run, without_training: None, tmp_path: Path) -> None:
    before = files_in(tmp_path, home_folder())
    output = run(command, *PLANS[command], "--plan")
    assert "to do / to resume / done:" in output
    assert files_in(tmp_path, home_folder()) == before


def test_every_command_with_a_plan_is_tried() -> None:
    assert planning() == set(PLANS)


def test_a_plan_says_what_is_made_first(run: Run, without_training: None) -> None:
    output = run("sweep", "grid-relay", *FINETUNED, "0", "1", "--plan")
    assert "made first: pi* of grid-relay, seed 0; pi* of grid-relay, seed 1\n" in output
    assert output.startswith("4 runs on grid-relay, 0 done already")
