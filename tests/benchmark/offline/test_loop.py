import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lamobench.baselines.bc import BC
from lamobench.baselines.cql import CQL
from lamobench.baselines.policy import OptimizerSettings
from lamobench.benchmark.offline import loop as loop
from lamobench.benchmark.offline.build import build_policy, training_subset
from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.offline.rollout import evaluation_seeds, rollout
from lamobench.benchmark.runs.checkpoint import load_policy
from lamobench.benchmark.runs.episodes import parse_episodes
from lamobench.benchmark.runs.store import run_folder
from lamobench.benchmark.training import life
from lamobench.benchmark.training.devices import choose_device
from lamobench.benchmark.training.learner import Tally, learning_rate_factor
from lamobench.benchmark.training.life import DivergedError
from lamobench.datasets.catalog import find_task
from lamobench.datasets.environments.simulators import make_environment
from lamobench.datasets.errors import UserError
from lamobench.datasets.windows import StepBatch, StepSampler

Requests = Callable[..., RunRequest]
METHODS = ["bc", "bc-10", "cql", "iql", "td3-bc", "rebrac", "rvs", "dt", "dt-matched"]
METHODS += ["lamo", "lamo-random", "lamo-permuted", "lamo-initialised"]


def metrics_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_to_a_whole_run(tiny_request: Requests, tmp_path: Path, method: str) -> None:
    config = resolve(tiny_request(method))
    reports: list[tuple[int, int]] = []
    folder = train(config, tmp_path, "cpu", lambda step, total: reports.append((step, total)))
    assert json.loads((folder / "config.json").read_text()) == asdict(config)
    assert reports == [(10, 20), (20, 20)]
    rows = metrics_of(folder)
    assert [row["step"] for row in rows] == [10, 20]
    assert all(math.isfinite(value) for row in rows for value in row.values())
    assert ("held_out_language_loss" in rows[-1]) == method.startswith("lamo")
    if method.startswith("lamo"):
        assert math.log(rows[-1]["held_out_perplexity"]) == pytest.approx(rows[-1]["held_out_language_loss"])
    episodes = parse_episodes((folder / "episodes.csv").read_bytes())
    assert [(e.step, e.episode, e.target_return, e.length) for e in episodes] == [
        (step, number, 76.0, 100) for step in (10, 20) for number in (0, 1)
    ]
    assert [e.seed for e in episodes] == [seed for number in (1, 2) for seed in evaluation_seeds(0, number, 2)]
    done = json.loads((folder / "done.json").read_text())
    assert 0 < done["params_trainable"] <= done["params_total"]
    assert done["simulator"].startswith("mujoco ")


def test_the_last_evaluation_is_a_rollout_of_the_policy_in_the_checkpoint(
    tiny_request: Requests, tmp_path: Path
) -> None:
    config = resolve(tiny_request("dt"))
    folder = train(config, tmp_path, "cpu")
    policy = build_policy(config, training_subset(config), torch.device("cpu"))
    load_policy(folder / "checkpoint.safetensors", policy)
    seeds = evaluation_seeds(0, 2, 2)
    task = find_task("reacher2d")
    again = rollout(policy, lambda: make_environment(task), seeds, [76.0], step=20)
    assert again == parse_episodes((folder / "episodes.csv").read_bytes())[-2:]


def test_the_same_request_gives_the_same_numbers_and_another_seed_does_not(
    tiny_request: Requests, tmp_path: Path
) -> None:
    folders = [train(resolve(tiny_request("bc", seed=s)), tmp_path / str(n), "cpu") for n, s in enumerate((0, 0, 1))]
    losses = [[row["loss"] for row in metrics_of(folder)] for folder in folders]
    assert losses[0] == losses[1] != losses[2]


def test_batches_follow_from_the_seed_alone(
    tiny_request: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Tensor] = []
    genuine = {method: method.loss for method in (BC, CQL)}
    for policy, loss in genuine.items():
        monkeypatch.setattr(
            policy, "loss", lambda self, batch, loss=loss: (drawn.append(batch.observations), loss(self, batch))[1]
        )
    for number, (method, seed) in enumerate([("bc", 0), ("cql", 0), ("bc", 1)]):
        train(resolve(tiny_request(method, seed=seed)), tmp_path / str(number), "cpu")
    first, other_method, other_seed = (torch.stack(drawn[start : start + 20]) for start in (0, 20, 40))
    assert torch.equal(first, other_method)
    assert not torch.equal(first, other_seed)


def test_a_finished_run_is_left_alone(tiny_request: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = resolve(tiny_request("bc"))
    folder = train(config, tmp_path, "cpu")
    before = {path: path.stat().st_mtime_ns for path in [folder, *folder.iterdir()]}
    monkeypatch.setattr(loop, "build_policy", None)  # were it called
    assert train(config, tmp_path, "cpu") == folder
    assert {path: path.stat().st_mtime_ns for path in [folder, *folder.iterdir()]} == before


def test_parameters_are_counted_without_targets(tiny_request: Requests, tmp_path: Path) -> None:
    done = {
        method: json.loads((train(resolve(tiny_request(method)), tmp_path, "cpu") / "done.json").read_text())
        for method in ("cql", "lamo")
    }
    actor = 12 * 16 + 16 + 16 * 16 + 16 + 16 * 4 + 4
    critics = 2 * (14 * 16 + 16 + 16 * 16 + 16 + 16 + 1)
    assert done["cql"]["params_total"] == done["cql"]["params_trainable"] == actor + critics + 1
    updates = 3 * (2 * 16 + 16 * 2)  # A and B for each of q, k and v
    low_rank = 2 * (updates + 48)  # of each of two layers, with the biases of q, k and v
    inputs = sum(n * 16 + 16 + 16 * 16 + 16 for n in (1, 12, 2)) + 100 * 16 + 2 * 16
    head = 16 * 16 + 16 + 16 * 2 + 2
    assert done["lamo"]["params_trainable"] == low_rank + inputs + head
    gpt2 = 280 * 16 + 64 * 16 + 2 * 16 + 2 * (4 * 16 + 16 * 48 + 48 + 16 * 16 + 16 + 2 * 16 * 64 + 64 + 16)
    assert done["lamo"]["params_total"] == gpt2 + 2 * updates + inputs + head


def test_a_batch_in_parts_has_the_gradient_of_the_batch(
    tiny_request: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gradient(parts: int) -> Tensor:
        config = resolve(tiny_request("bc", budget={"accumulation": parts}))
        training = loop.Training(config, tmp_path, torch.device("cpu"), lambda done, total: None)
        batch = training.sampler.sample(8, np.random.default_rng(0))
        drawn = iter(torch.arange(8).chunk(parts))

        def next_part(_: object, size: int, rng: np.random.Generator) -> StepBatch:
            rows = next(drawn)
            assert len(rows) == size
            return StepBatch(**{name: tensor[rows] for name, tensor in vars(batch).items()})

        with monkeypatch.context() as patch:
            patch.setattr(StepSampler, "sample", next_part)
            assert training.backward()["loss"].ndim == 0
        return torch.cat([p.grad.flatten() for p in training.parameters if p.grad is not None])

    torch.testing.assert_close(gradient(4), gradient(1))


def test_a_batch_has_to_fall_into_equal_parts(tiny_request: Requests) -> None:
    with pytest.raises(UserError, match=r"batch_size 8 can't be computed in 3 equal parts"):
        resolve(tiny_request("bc", budget={"accumulation": 3}))


def diverge_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The loss of BC is NaN from some step on, counted from the start of the process."""
    genuine = BC.loss
    calls = [0]

    def loss(self: BC, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        calls[0] += 1
        value, metrics = genuine(self, batch)
        return value * (math.nan if calls[0] > step else 1.0), metrics

    monkeypatch.setattr(BC, "loss", loss)


def test_a_nan_stops_the_run_and_keeps_the_last_good_checkpoint(
    tiny_request: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = resolve(tiny_request("bc"))
    undisturbed = train(config, tmp_path / "undisturbed", "cpu")
    with monkeypatch.context() as patch:
        diverge_at(patch, step=14)
        with pytest.raises(DivergedError, match=r"loss became nan .*; its last good checkpoint is kept") as stop:
            train(config, tmp_path, "cpu")
    message = str(stop.value)
    assert "\n" not in message
    assert message.startswith(f"run {config.id}: ")
    assert f"--set learning_rate={config.policy['learning_rate'] / 10:g}" in message
    folder = run_folder(tmp_path, config)
    assert json.loads((folder / "failed.json").read_text()) == {"message": message, "step": 10}
    assert not (folder / "done.json").exists()
    checkpoint = load_file(folder / "checkpoint.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in checkpoint.values())
    assert [row["step"] for row in metrics_of(folder)] == [10]

    train(config, tmp_path, "cpu")  # whatever caused it is gone: it goes on from the checkpoint
    assert (folder / "done.json").exists()
    assert not (folder / "failed.json").exists()
    assert (folder / "episodes.csv").read_text() == (undisturbed / "episodes.csv").read_text()
    final, expected = (load_file(f / "checkpoint.safetensors") for f in (folder, undisturbed))
    assert all(torch.equal(final[name], expected[name]) for name in expected)


def test_a_nan_before_the_first_checkpoint_leaves_none(
    tiny_request: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverge_at(monkeypatch, step=0)
    config = resolve(tiny_request("bc"))
    with pytest.raises(DivergedError, match="it had no checkpoint yet"):
        train(config, tmp_path, "cpu")
    names = sorted(path.name for path in run_folder(tmp_path, config).iterdir())
    assert names == [".lock", "config.json", "failed.json"]


@pytest.mark.parametrize("step", [10, 15])
def test_weights_that_only_the_last_update_broke_are_neither_played_nor_saved(
    tiny_request: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Losses are measured before an update, so they are all finite when the update of the last step breaks a weight."""
    updates = [0]

    def after_update(self: BC) -> None:
        updates[0] += 1
        if updates[0] == step:
            with torch.no_grad():
                self.actor[0].weight[3, 2] = math.inf

    monkeypatch.setattr(BC, "after_update", after_update)
    monkeypatch.setattr(life, "LOG_EVERY", 5)
    monkeypatch.setattr(life, "CHECKPOINT_SECONDS", 0.0)
    config = resolve(tiny_request("bc"))
    with pytest.raises(DivergedError, match=rf"actor\.0\.weight is no longer finite at step {step}"):
        train(config, tmp_path, "cpu")
    checkpoint = run_folder(tmp_path, config) / "checkpoint.safetensors"
    assert all(torch.isfinite(tensor).all() for tensor in load_file(checkpoint).values())
    assert [row["step"] for row in metrics_of(checkpoint.parent)][-1] == step - 5


def test_a_learning_rate_that_is_far_too_high_ends_in_one_line(tiny_request: Requests, tmp_path: Path) -> None:
    config = resolve(tiny_request("cql", settings={"actor_learning_rate": 1e30, "critic_learning_rate": 1e30}))
    with pytest.raises(DivergedError, match=r"--set actor_learning_rate=1e\+29"):
        train(config, tmp_path, "cpu")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"settings": {"width": 15}}, "width 15 is no multiple of heads 2; change one of them"),
        ({"method": "lamo", "settings": {"context": 22}}, r"context 22 needs 66 positions, .* at most 21"),
    ],
    ids=["heads", "positions"],
)
def test_what_does_not_fit_is_said_before_anything_is_written(
    tiny_request: Requests, tmp_path: Path, change: dict[str, Any], line: str
) -> None:
    config = resolve(tiny_request(**{"method": "dt"} | change))
    with pytest.raises(UserError, match=line):
        train(config, tmp_path / "runs", "cpu")
    assert not (tmp_path / "runs").exists()


def test_a_device_is_one_that_is_there(tiny_request: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match="PyTorch sees no GPU; give --device cpu or auto"):
        train(resolve(tiny_request("bc")), tmp_path / "runs", "cuda")
    with pytest.raises(UserError, match=r"unknown device 'gpu'.*valid: auto, cpu, cuda"):
        choose_device("gpu")
    assert not (tmp_path / "runs").exists()


def test_what_a_run_was_configured_for_must_not_change(tiny_request: Requests, tiny_gpt2: Path, tmp_path: Path) -> None:
    config = resolve(tiny_request("lamo"))
    changed = [
        ({"subset_hash": "0"}, "data set 'reacher2d-medium' .* has changed since this run was configured"),
        ({"lm_hash": "0"}, "language model .* has changed since this run was configured"),
        ({"corpus_hash": "0"}, "corpus .* has changed since this run was configured"),
    ]
    for change, line in changed:
        with pytest.raises(UserError, match=line):
            train(replace(config, **change), tmp_path / "runs", "cpu")  # type: ignore[arg-type]
    assert not (tmp_path / "runs").exists()


def test_bfloat16_trains_and_gives_other_numbers(tiny_request: Requests, tmp_path: Path) -> None:
    losses = [
        metrics_of(train(resolve(tiny_request("dt", precision=precision)), tmp_path, "cpu"))[-1]["loss"]
        for precision in ("float32", "bfloat16")
    ]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


@pytest.mark.parametrize("method", ["dt", "lamo"])
def test_compiled_steps_are_the_same_steps(
    method: str, tiny_request: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps are traced whole, in one graph; a backend that generates no code is as exact as eager steps, and quick."""
    calls: list[str] = []

    def compile_quickly(loss: Callable[..., Any]) -> Callable[..., Any]:
        calls.append(method)
        quick: Callable[..., Any] = genuine(loss, backend="aot_eager", fullgraph=True)
        return quick

    genuine = torch.compile
    monkeypatch.setattr(torch, "compile", compile_quickly)
    plain = dict(resolve(tiny_request(method)).policy)
    settings = {name: 0.0 for name in plain if "dropout" in name}  # each way draws dropout in an order of its own
    losses = [
        metrics_of(train(resolve(tiny_request(method, compiled=compiled, settings=settings)), tmp_path, "cpu"))
        for compiled in (False, True)
    ]
    assert calls == [method]
    assert losses[0][-1]["loss"] == pytest.approx(losses[1][-1]["loss"], rel=1e-4)


@pytest.mark.parametrize(
    ("warmup", "decay", "expected"),
    [
        (0, "constant", [1.0, 1.0, 1.0, 1.0]),
        (4, "constant", [0.25, 0.5, 1.0, 1.0]),
        (0, "cosine", [1.0, 0.853553, 0.5, 0.0]),
        (2, "cosine", [0.5, 0.853553, 0.5, 0.0]),
    ],
)
def test_the_schedule(warmup: int, decay: str, expected: list[float]) -> None:
    settings = OptimizerSettings([], warmup_steps=warmup, decay=decay)
    steps = (0, 2, 4, 8) if decay == "cosine" else (0, 1, 4, 7)
    assert [learning_rate_factor(step, 8, settings) for step in steps] == pytest.approx(expected, abs=1e-6)


def test_the_schedule_and_the_clipping_reach_the_optimiser(
    tiny_request: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    norms: list[float] = []
    genuine = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda p, limit: (norms.append(limit), genuine(p, limit))[1])
    monkeypatch.setattr(life, "LOG_EVERY", 1)
    settings = {"learning_rate": 0.01, "warmup_steps": 4, "decay": "constant", "gradient_clip": 0.125}
    rows = metrics_of(train(resolve(tiny_request("dt", settings=settings)), tmp_path, "cpu"))
    assert [row["learning_rate"] for row in rows[:5]] == pytest.approx([0.0025, 0.005, 0.0075, 0.01, 0.01])
    assert norms == [0.125] * 20
    assert rows[0]["gradient_norm"] > 0


def test_a_logged_metric_is_the_mean_since_the_last_row(
    tiny_request: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "LOG_EVERY", 1)
    every = [row["loss"] for row in metrics_of(train(resolve(tiny_request("bc")), tmp_path / "1", "cpu"))]
    monkeypatch.setattr(life, "LOG_EVERY", 4)
    rows = metrics_of(train(resolve(tiny_request("bc")), tmp_path / "4", "cpu"))
    assert [row["step"] for row in rows] == [4, 8, 10, 12, 16, 20]
    means = [sum(every[a:b]) / (b - a) for a, b in ((0, 4), (4, 8), (8, 10), (10, 12), (12, 16), (16, 20))]
    assert [row["loss"] for row in rows] == pytest.approx(means, rel=1e-6)


def test_a_group_of_parameters_may_have_a_schedule_of_its_own(tiny_request: Requests, tmp_path: Path) -> None:
    """IQL's actor, whose learning rate alone falls."""
    config = resolve(tiny_request("iql"))
    training = loop.Training(config, tmp_path, torch.device("cpu"), lambda step, total: None)
    training.update(10)
    assert [group["lr"] for group in training.optimizer.param_groups] == pytest.approx([0.5e-3, 1e-3, 1e-3])


def test_a_metric_is_averaged_over_the_steps_that_measured_it() -> None:
    tally = Tally({})
    tally.add({"loss": torch.tensor(1.0)})
    tally.add({"loss": torch.tensor(2.0), "actor_loss": torch.tensor(6.0)})
    assert tally.means() == {"loss": 1.5, "actor_loss": 6.0}
