"""Tests of what `train` and `evaluate` do and print, on tiny budgets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from lamobench.benchmark.cli import main as cli
from lamobench.benchmark.offline.build import build_policy, training_subset
from lamobench.benchmark.offline.hyperparameters import budget_for
from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.offline.rollout import evaluation_seeds, rollout
from lamobench.benchmark.runs.checkpoint import load_policy
from lamobench.benchmark.runs.records import read_config
from lamobench.benchmark.runs.store import is_done, open_run
from lamobench.datasets.catalog import find_task
from lamobench.datasets.environments.simulators import make_environment
from lamobench.datasets.errors import UserError
from lamobench.datasets.trajectories import Array
from lamobench.tests.benchmark.cli.tiny import TINY

Requests = Callable[..., RunRequest]
Run = Callable[..., str]


class Dense(gymnasium.Wrapper):  # type: ignore[misc]
    """Reward for being close: no two policies have the same return, as they may where only arriving pays."""

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        observation, _, terminated, truncated, info = self.env.step(action)
        return observation, 1.0 - float(np.abs(observation[-2:]).sum()), terminated, truncated, info


@pytest.fixture
def dense(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Make Reacher2d with dense rewards, in the commands too."""

    def make(*_: Any) -> Any:
        return Dense(make_environment(find_task("reacher2d")))

    monkeypatch.setattr("lamobench.benchmark.offline.evaluation.make_environment", make)
    return make


def trained(tiny_request: Requests, root: Path, **changes: Any) -> Path:
    return train(resolve(tiny_request(**changes)), root, "cpu")


def test_train_prints_the_score_and_does_nothing_the_second_time(run: Run, tmp_path: Path) -> None:
    first = run("train", "reacher2d-medium", "--method", "bc", *TINY)
    (folder,) = (tmp_path / "runs").iterdir()
    assert first.splitlines()[0] == f"runs/{folder.name}"
    episodes = (folder / "episodes.csv").read_text().splitlines()[1:]
    last = [float(line.split(",")[4]) for line in episodes if line.startswith("20,")]
    assert f"score {sum(last) / 2:.1f} at target return 76 " in first
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")}
    assert run("train", "reacher2d-medium", "--method", "bc", *TINY) == "already done: " + first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")} == before
    result = json.loads(run("train", "reacher2d-medium", "--method", "bc", "--json", *TINY))
    assert result.keys() == {"run", "score", "best_score", "folder"}
    assert (result["run"], result["score"]) == (folder.name, sum(last) / 2)


def test_train_prints_the_held_out_error_where_something_is_left_out(run: Run, tmp_path: Path) -> None:
    output = run("train", "reacher2d-medium", "--method", "bc", "--fraction", "0.5", *TINY)
    (folder,) = (tmp_path / "runs").iterdir()
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    (line,) = [line for line in output.splitlines() if line.startswith("held-out action error")]
    trivial = f"mean action {last['held_out_mean_action']:.4f}, previous action {last['held_out_previous_action']:.4f}"
    assert line == f"held-out action error {last['held_out_error']:.4f} ({trivial})"


def test_train_sets_a_damaged_run_aside_and_says_so(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("train", "reacher2d-medium", "--method", "bc", *TINY)
    (folder,) = (tmp_path / "runs").iterdir()
    (folder / "episodes.csv").unlink()
    capsys.readouterr()
    cli.parse([str(word) for word in ("train", "reacher2d-medium", "--method", "bc", *TINY)]).run()
    output, errors = capsys.readouterr()
    assert f"episodes.csv is missing; its folder is set aside as {folder.name}.broken-1" in errors
    assert "score " in output
    assert "already done" not in output
    assert (folder / "episodes.csv").exists()


@pytest.mark.parametrize("method", ["bc", "dt", "lamo"])
def test_evaluate_is_a_rollout_of_the_trained_policy(
    run: Run, tiny_request: Requests, dense: Callable[[], Any], tmp_path: Path, method: str
) -> None:
    folder = trained(tiny_request, tmp_path / "runs", method=method)
    rows = json.loads(run("evaluate", folder, "--episodes", 3, "--seed", 5, "--json"))
    config = resolve(tiny_request(method))
    policy = build_policy(config, training_subset(config), torch.device("cpu"))
    load_policy(folder / "checkpoint.safetensors", policy)
    for row, target in zip(rows, (76.0, 40.0), strict=True):
        episodes = rollout(policy, dense, evaluation_seeds(5, 0, 3), [target])
        returns = [episode.episode_return for episode in episodes]
        assert (row["target_return"], row["ranked"], row["episodes"]) == (target, target == 76.0, 3)
        assert row["return_mean"] == pytest.approx(sum(returns) / 3, rel=1e-4)
        assert row["score"] == pytest.approx(row["return_mean"])  # Reacher2d's score is its return
        assert (row["return_min"], row["return_max"]) == pytest.approx((min(returns), max(returns)), rel=1e-4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_evaluate_gives_back_the_last_evaluation_of_training(
    run: Run,
    tiny_request: Requests,
    dense: Callable[[], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
) -> None:
    """The same starts give the returns that training logged, in the run's own precision."""
    folder = trained(tiny_request, tmp_path / "runs", method="dt", precision=precision)
    logged = [line.split(",") for line in (folder / "episodes.csv").read_text().splitlines()[-2:]]
    monkeypatch.setattr(
        "lamobench.benchmark.offline.rollout.evaluation_seeds", lambda *_: [int(row[3]) for row in logged]
    )
    (row,) = json.loads(run("evaluate", folder, "--episodes", 2, "--targets", 76, "--json"))
    assert sorted([row["return_min"], row["return_max"]]) == sorted(float(row[4]) for row in logged)


def test_evaluate_takes_any_targets(run: Run, tiny_request: Requests, tmp_path: Path) -> None:
    folder = trained(tiny_request, tmp_path / "runs", method="dt")
    output = run("evaluate", folder, "--episodes", 1, "--targets", 10, 76, 10)
    assert [line.split()[:2] for line in output.splitlines()[1:]] == [["10.0", "False"], ["76.0", "True"]]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--episodes", "0"], "give 1 episode or more"),
        (["--seed", "-1"], "give 1 episode or more, and a seed from 0"),
        (["--targets", "nan"], "targets nan: give finite numbers, e.g. 76"),
        (["--device", "gpu"], "unknown device 'gpu'"),
    ],
)
def test_evaluate_refuses_what_makes_no_sense(
    run: Run, tiny_request: Requests, tmp_path: Path, arguments: list[str], line: str
) -> None:
    with pytest.raises(UserError, match=line):
        run("evaluate", trained(tiny_request, tmp_path / "runs"), *arguments)


def test_evaluate_needs_a_finished_run_with_its_checkpoint(run: Run, tiny_request: Requests, tmp_path: Path) -> None:
    config = resolve(tiny_request("bc"))
    with open_run(tmp_path, config) as unfinished:
        pass
    with pytest.raises(UserError, match=r"is not finished; start the command that made it again"):
        run("evaluate", unfinished)
    folder = train(config, tmp_path, "cpu")
    (folder / "checkpoint.safetensors").unlink()
    with pytest.raises(UserError, match=r"checkpoint .* cannot be read"):
        run("evaluate", folder)


def test_the_shortest_runs_that_the_help_promises_exist(run: Run, tmp_path: Path) -> None:
    """`--steps` with as few steps as there are evaluations."""
    budget = budget_for("cpu", "reacher2d", "bc")
    steps = budget.steps // budget.evaluate_every
    few = ("--budget", "evaluation_episodes=1", "--runs", tmp_path, "--device", "cpu")
    run("train", "reacher2d-medium", "--method", "bc", "--steps", steps, *few)
    (folder,) = (path for path in tmp_path.iterdir() if path.name.startswith("reacher2d"))
    config = json.loads((folder / "config.json").read_text())
    assert (config["steps"], config["evaluate_every"]) == (steps, 1)
    assert is_done(tmp_path, read_config(folder))
