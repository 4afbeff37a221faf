from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lamobench.baselines.policy import Policy
from lamobench.benchmark.offline.build import build_policy, training_subset
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.runs.checkpoint import Progress, load_checkpoint, load_policy, save_checkpoint, trained_tensors
from lamobench.datasets.errors import UserError

CPU = torch.device("cpu")
METHODS = ["bc", "cql", "iql", "td3-bc", "rebrac", "dt", "lamo"]
Trained = tuple[Policy, torch.optim.Optimizer, np.random.Generator]


@pytest.fixture
def build(tiny_request: Callable[..., RunRequest]) -> Callable[..., Trained]:
    """A policy after some optimiser steps, its optimiser and the generator of its batches."""

    def make(method: str, steps: int = 3, **settings: object) -> Trained:
        config = resolve(tiny_request(method, settings=settings))
        policy = build_policy(config, training_subset(config), CPU).train()
        optimizer = torch.optim.AdamW(policy.optimizer_settings().groups, fused=True)
        rng = np.random.default_rng(0)
        sampler = policy.sampler(training_subset(config))
        for _ in range(steps):
            loss, _ = policy.loss(sampler.sample(4, rng))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            policy.after_update()
        return policy, optimizer, rng

    return make


STEPS = 10  # of the runs whose checkpoints these are


def progress() -> Progress:
    return Progress(step=3, train_seconds=0.1, metrics=[{"step": 3, "loss": 1 / 3}], episodes="step\n")


@pytest.mark.parametrize(
    ("method", "settings"), [*((method, {}) for method in METHODS), ("lamo", {"adaptation": "full"})]
)
def test_everything_comes_back_bit_by_bit(
    build: Callable[..., Trained], tmp_path: Path, method: str, settings: dict[str, str]
) -> None:
    """GPT-2's output layer, if it is trained too, is its embedding under another name, and is so again afterwards."""
    policy, optimizer, rng = build(method, **settings)
    save_checkpoint(tmp_path / "c", policy, optimizer, rng, progress())
    draws = torch.rand(5), rng.random(5)
    other, other_optimizer, other_rng = build(method, steps=1, **settings)
    assert load_checkpoint(tmp_path / "c", other, other_optimizer, other_rng, STEPS) == progress()
    for name, tensor in policy.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name
    moments = optimizer.state_dict()["state"]
    other_moments = other_optimizer.state_dict()["state"]
    assert moments.keys() == other_moments.keys()
    for index, state in moments.items():
        for name, value in state.items():
            assert torch.equal(other_moments[index][name], value), (index, name)
    assert torch.equal(torch.rand(5), draws[0])
    assert (other_rng.random(5) == draws[1]).all()


def test_a_checkpoint_of_lamo_holds_what_is_trained_alone(build: Callable[..., Trained], tmp_path: Path) -> None:
    policy, optimizer, rng = build("lamo")
    save_checkpoint(tmp_path / "c", policy, optimizer, rng, progress())
    saved = {name.removeprefix("policy.") for name in load_file(tmp_path / "c") if name.startswith("policy.")}
    trained = {name for name, parameter in policy.named_parameters() if parameter.requires_grad}
    assert saved == trained | {name for name, _ in policy.named_buffers() if name in policy.state_dict()}
    assert not any(".wte." in name or ".wpe." in name or "base_layer.weight" in name for name in saved)
    bytes_trained = 3 * 4 * sum(p.numel() for p in policy.parameters() if p.requires_grad)  # weights and two moments
    frozen = 4 * sum(p.numel() for p in policy.parameters() if not p.requires_grad)
    size = (tmp_path / "c").stat().st_size
    assert size - bytes_trained < 25_000 < frozen  # names, random states, log


def test_the_last_checkpoint_holds_the_policy_alone(build: Callable[..., Trained], tmp_path: Path) -> None:
    policy, _, rng = build("lamo")
    save_checkpoint(tmp_path / "c", policy, None, rng, progress())
    assert all(name.startswith("policy.") for name in load_file(tmp_path / "c"))
    other, optimizer, other_rng = build("lamo", steps=1)
    before = optimizer.state_dict()["state"]
    assert load_checkpoint(tmp_path / "c", other, optimizer, other_rng, steps=3) == progress()
    for name, tensor in policy.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name
    assert optimizer.state_dict()["state"].keys() == before.keys()
    with pytest.raises(UserError, match="cannot be read"):  # in the middle of a run something is lost
        load_checkpoint(tmp_path / "c", other, optimizer, other_rng, STEPS)


def test_a_checkpoint_of_cql_holds_its_targets(build: Callable[..., Trained]) -> None:
    policy, _, _ = build("cql")
    names = trained_tensors(policy)
    assert any(name.startswith("target_critic.") for name in names)
    assert {"log_temperature", "updates"} <= names.keys()


def test_a_policy_alone_can_be_loaded(build: Callable[..., Trained], tmp_path: Path) -> None:
    policy, optimizer, rng = build("lamo")
    save_checkpoint(tmp_path / "c", policy, optimizer, rng, progress())
    other, _, _ = build("lamo", steps=0)
    load_policy(tmp_path / "c", other)
    for name, tensor in policy.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "foreign", "gone"])
def test_a_damaged_checkpoint_is_named(build: Callable[..., Trained], tmp_path: Path, damage: str) -> None:
    path = tmp_path / "checkpoint.safetensors"
    policy, optimizer, rng = build("bc")
    save_checkpoint(path, policy, optimizer, rng, progress())
    match damage:
        case "cut":
            path.write_bytes(path.read_bytes()[:-100])
        case "garbage":
            path.write_bytes(b"\xff" * 1000)
        case "empty":
            path.write_bytes(b"")
        case "foreign":
            save_file({"weight": torch.zeros(3)}, path)
        case "gone":
            path.unlink()
    for load in (lambda: load_checkpoint(path, policy, optimizer, rng, STEPS), lambda: load_policy(path, policy)):
        with pytest.raises(UserError, match=r"checkpoint .*checkpoint.safetensors cannot be read .*; delete .* again"):
            load()


def test_a_checkpoint_of_another_policy_is_refused(build: Callable[..., Trained], tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", *build("bc"), progress())
    with pytest.raises(UserError, match=r"holds other tensors than this policy has"):
        load_checkpoint(tmp_path / "c", *build("dt"), STEPS)
    with pytest.raises(UserError, match=r"holds other tensors than this policy has"):
        load_policy(tmp_path / "c", build("cql")[0])


def test_a_checkpoint_is_replaced_whole(
    build: Callable[..., Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c"
    save_checkpoint(path, *build("bc"), progress())
    before = path.read_bytes()

    def half(tensors: object, target: Path, metadata: object) -> None:
        target.write_bytes(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr("lamobench.benchmark.runs.checkpoint.save_file", half)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(path, *build("bc"), progress())
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["c"]
