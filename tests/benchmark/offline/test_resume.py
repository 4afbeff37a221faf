"""A run that is killed with SIGKILL ends with the same numbers as one that is not, bit by bit."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.offline import loop as loop
from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.runs.checkpoint import save_checkpoint
from lamobench.benchmark.runs.store import run_folder
from lamobench.benchmark.training import life
from lamobench.tests.benchmark.cut_short import assert_same_run, rows_of

METHODS = ["bc", "cql", "dt", "lamo", "lamo-random", "lamo-permuted", "lamo-initialised"]
STOPPED = ["iql", "td3-bc", "rebrac", "rvs"]
BUDGET = {"steps": 60, "evaluate_every": 20}


@pytest.fixture
def configs(tiny_request: Callable[..., RunRequest], tiny_bert: Path, tiny_llama: Path) -> dict[str, OfflineConfig]:
    requests = {method: tiny_request(method, budget=BUDGET) for method in METHODS}
    encoder = tiny_request("lamo", budget=BUDGET, lm=str(tiny_bert), settings={"language_weight": 0.0})
    llama = tiny_request("lamo", budget=BUDGET, lm=str(tiny_llama), settings={"dropout": 0.1, "lora_dropout": 0.1})
    requests |= {"lamo, encoder": encoder, "lamo, Llama": llama}
    return {name: resolve(request) for name, request in requests.items()}


@pytest.fixture(autouse=True)
def _short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "LOG_EVERY", 5)


def test_killed_runs_end_as_if_nothing_had_happened(configs: dict[str, OfflineConfig], tmp_path: Path) -> None:
    files = []
    for method, config in configs.items():
        files.append(tmp_path / f"{method}.json")
        files[-1].write_text(json.dumps(asdict(config)))
    program = [sys.executable, Path(__file__).with_name("killed_runs.py"), tmp_path / "killed", *files]
    killing = subprocess.run(program, capture_output=True, text=True, timeout=240, check=False)
    assert killing.returncode == 0, killing.stdout + killing.stderr
    for method, config in configs.items():
        killed = run_folder(tmp_path / "killed", config)
        assert not (killed / "done.json").exists()
        assert (killed / "checkpoint.safetensors").exists()
        loop.train(config, tmp_path / "killed", "cpu")
        undisturbed = loop.train(config, tmp_path / "undisturbed", "cpu")
        assert len(rows_of(undisturbed)) == 12, method
        assert_same_run(killed, undisturbed)


class KilledError(BaseException):
    """A stand-in for a kill at a place that no signal could be aimed at."""


@pytest.mark.parametrize("place", ["before the checkpoint", "before the logs", "before done.json"])
@pytest.mark.parametrize("step", [20, 60])
def test_a_kill_around_a_checkpoint_loses_nothing(
    configs: dict[str, OfflineConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, step: int
) -> None:
    config = configs["dt"]
    root = tmp_path / "killed"

    def save(path: Path, policy: Any, optimizer: Any, rng: Any, progress: Any, labels: Any) -> None:
        if place == "before the checkpoint" and progress.step == step:
            raise KilledError
        save_checkpoint(path, policy, optimizer, rng, progress, labels)

    def logs(folder: Path, progress: Any) -> None:
        if progress.step == step:
            raise KilledError

    def finish(self: Any) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", save)
        if place == "before the logs":
            patch.setattr(loop, "write_logs", logs)
        patch.setattr(loop.Training, "finish", finish)
        with pytest.raises(KilledError):
            loop.train(config, root, "cpu")
    loop.train(config, root, "cpu")
    assert_same_run(run_folder(root, config), loop.train(config, tmp_path / "undisturbed", "cpu"))


@pytest.mark.parametrize("method", STOPPED)
def test_a_run_goes_on_from_an_odd_step(
    tiny_request: Callable[..., RunRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The checkpoint tells whose turn it is, a delayed actor's or the critics' alone."""
    config = resolve(tiny_request(method, budget=BUDGET))

    def save(path: Path, policy: Any, optimizer: Any, rng: Any, progress: Any, labels: Any) -> None:
        save_checkpoint(path, policy, optimizer, rng, progress, labels)
        if progress.step == 25:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", save)
        patch.setattr(life, "CHECKPOINT_SECONDS", 0.0)
        with pytest.raises(KilledError):
            loop.train(config, tmp_path / "stopped", "cpu")
    stopped = loop.train(config, tmp_path / "stopped", "cpu")
    assert_same_run(stopped, loop.train(config, tmp_path / "undisturbed", "cpu"))


def test_how_often_checkpoints_are_taken_changes_nothing(
    configs: dict[str, OfflineConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rare = loop.train(configs["cql"], tmp_path / "rare", "cpu")
    monkeypatch.setattr(life, "CHECKPOINT_SECONDS", 0.0)
    assert_same_run(loop.train(configs["cql"], tmp_path / "often", "cpu"), rare)
