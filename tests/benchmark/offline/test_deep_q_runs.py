"""Runs of the deep Q-networks on a little game: whole, killed and resumed, and in parts of a batch."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lamobench.baselines.policy import History
from lamobench.benchmark.offline import evaluation
from lamobench.benchmark.offline import loop as loop
from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.offline.settings import DEEP_Q_METHODS
from lamobench.benchmark.runs.episodes import Episode
from lamobench.benchmark.training import life
from lamobench.datasets.trajectories import Trajectories

BUDGET = {"steps": 8, "evaluate_every": 4, "evaluation_episodes": 1, "headline_evaluations": 1, "batch_size": 4}
Requests = Callable[..., OfflineConfig]


@pytest.fixture
def breakout(breakout_data: Trajectories, monkeypatch: pytest.MonkeyPatch) -> Requests:
    """A function that resolves a run on `breakout_data`."""
    monkeypatch.setattr(life, "LOG_EVERY", 2)

    def request(method: str, **changes: Any) -> OfflineConfig:
        settings = {"hidden": (16,), **({} if method == "nfq" else {"quantiles": 5, "target_interval": 3})}
        budget = BUDGET | changes.pop("budget", {})
        return resolve(RunRequest("breakout-medium", method, budget=budget, settings=settings, **changes))

    return request


@pytest.fixture
def short_games(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations that ask the policy for one action instead of playing thousands of steps."""

    def rollout(
        policy: Any, make: Any, seeds: list[int], targets: list[float], *, step: int, view: Any, **_: Any
    ) -> list[Any]:
        environment = make()
        frame = torch.from_numpy(environment.reset(seed=seeds[0])[0])
        frames = torch.stack([torch.zeros_like(frame)] * (view.frames - 1) + [frame])[None]
        nothing = torch.zeros(1, 1)
        action = int(policy.act(History(frames, nothing.long(), nothing, nothing.long())))
        environment.step(action)
        environment.close()
        return [Episode(step, targets[0], 0, seeds[0], float(action), 1)]

    monkeypatch.setattr(evaluation, "rollout", rollout)


@pytest.mark.parametrize("method", DEEP_Q_METHODS)
@pytest.mark.usefixtures("short_games")
def test_a_resumed_run_ends_as_an_undisturbed_one(
    breakout: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """A kill comes after step 4, between two copies of the target network: the count is in the checkpoint."""
    config = breakout(method)
    whole = loop.train(config, tmp_path / "whole", "cpu")
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4, 6, 8]
    assert all(math.isfinite(value) for row in rows for value in row.values())

    advance = loop.Training.advance

    def killed(training: Any, steps: int) -> None:
        if training.progress.step >= 4:
            raise KeyboardInterrupt
        advance(training, steps)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "advance", killed)
        with pytest.raises(KeyboardInterrupt):
            loop.train(config, tmp_path / "killed", "cpu")
    resumed = loop.train(config, tmp_path / "killed", "cpu")
    tensors, expected = (load_file(folder / "checkpoint.safetensors") for folder in (resumed, whole))
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in tensors.items())
    assert (resumed / "episodes.csv").read_text() == (whole / "episodes.csv").read_text()


@pytest.mark.usefixtures("short_games")
def test_parts_of_a_batch_count_as_one_update(breakout: Requests, tmp_path: Path) -> None:
    for accumulation in (1, 2):
        config = breakout("discrete-cql", budget={"accumulation": accumulation})
        tensors = load_file(loop.train(config, tmp_path, "cpu") / "checkpoint.safetensors")
        assert int(tensors["policy.updates"]) == 8
        changed = tensors["policy.target_network.network.3.0.bias"] != tensors["policy.q_network.network.3.0.bias"]
        assert changed.any()  # copied at 6 and not since
