"""Held-out action error: what it is of each method, and that it changes nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from safetensors.torch import load_file

from lamobench.baselines.policy import History, Policy
from lamobench.benchmark.offline import loop
from lamobench.benchmark.offline.build import build_policy, drawn_subset
from lamobench.benchmark.offline.held_out import action_error, held_out_error, trivial_errors, usual_action
from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.training.life import DivergedError
from lamobench.datasets.fractions import Subset, take_fraction
from lamobench.datasets.held_out import HeldOutSteps, held_out_steps
from lamobench.datasets.trajectories import Trajectories
from lamobench.datasets.windows import returns_to_go

Request = Callable[..., RunRequest]
CPU = torch.device("cpu")


def found(subset: Subset) -> HeldOutSteps:
    steps = held_out_steps(subset)
    assert steps is not None
    return steps


def naive_error(policy: Policy, steps: HeldOutSteps) -> float:
    """Each step by itself: the last K steps of its episode, as an evaluation would have them."""
    data = steps.trajectories
    told = returns_to_go(data)
    errors = []
    for start, end in zip(steps.starts.tolist(), steps.steps.tolist(), strict=True):
        span = slice(max(start, end - policy.context + 1), end + 1)
        actions = torch.from_numpy(np.array(data.actions[span]))
        actions[-1] = 0.0
        history = History(
            torch.from_numpy(np.array(data.observations[span]))[None],
            actions[None],
            torch.from_numpy(told[span])[None],
            torch.arange(span.start - start, end - start + 1)[None],
        )
        errors.append(np.square(policy.act(history)[0].numpy() - data.actions[end]).mean())
    return float(np.mean(errors))


@pytest.mark.parametrize("method", ["lamo", "dt", "bc", "bc-10", "cql", "iql", "td3-bc", "rebrac", "rvs"])
def test_it_is_the_error_of_what_the_policy_would_do(tiny_request: Request, method: str) -> None:
    config = resolve(tiny_request(method, fraction=0.5))
    subset = drawn_subset(config)
    policy = build_policy(config, subset, CPU).eval()
    measured = held_out_error(subset, policy)
    assert measured is not None
    before = torch.get_rng_state()
    values = measured.measure(policy)
    assert_array_equal(torch.get_rng_state(), before)
    with torch.no_grad():
        assert values["held_out_error"] == pytest.approx(naive_error(policy, found(subset)), rel=1e-5)
    assert ("held_out_loss" in values) == (method in ("lamo", "dt", "bc", "bc-10", "rvs"))


def test_the_loss_of_a_sequence_model_is_that_of_all_steps_of_the_windows(tiny_request: Request) -> None:
    config = resolve(tiny_request("dt", fraction=0.5))
    subset = drawn_subset(config)
    policy: Any = build_policy(config, subset, CPU).eval()
    measured = held_out_error(subset, policy)
    assert measured is not None
    total = 0.0
    steps = 0
    with torch.no_grad():
        for _, windows in measured.windows.batches(1):
            error = (policy.model.predict(windows) - windows.actions).square().mean(-1)
            total += float(error.sum())
            steps += error.numel()
        assert measured.measure(policy)["held_out_loss"] == pytest.approx(total / steps, rel=1e-5)


@pytest.mark.parametrize("method", ["lamo", "cql"])
def test_training_is_the_same_without_it(
    tiny_request: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    config = resolve(tiny_request(method, fraction=0.5))
    measured = train(config, tmp_path / "with", "cpu")
    monkeypatch.setattr(loop, "held_out_error", lambda subset, policy: None)
    plain = train(config, tmp_path / "without", "cpu")
    assert (measured / "episodes.csv").read_bytes() == (plain / "episodes.csv").read_bytes()
    tensors, expected = (load_file(folder / "checkpoint.safetensors") for folder in (measured, plain))
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)
    rows, others = (_rows(folder) for folder in (measured, plain))
    assert [{name for name in row if name.startswith("held_out_error")} for row in others] == [set(), set()]
    for row, other in zip(rows, others, strict=True):
        assert row["held_out_error"] > 0
        kept = {name for name in other if name != "seconds"}
        assert {name: row[name] for name in kept} == {name: other[name] for name in kept}


def _rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_methods_on_one_subset_are_measured_on_the_same_steps(tiny_request: Request, tmp_path: Path) -> None:
    rows = [_rows(train(resolve(tiny_request(m, fraction=0.5)), tmp_path, "cpu"))[-1] for m in ("bc", "dt")]
    for name in ("held_out_mean_action", "held_out_previous_action"):
        assert rows[0][name] == rows[1][name] > 0
    assert rows[0]["held_out_error"] != rows[1]["held_out_error"]


def test_all_of_data_without_a_second_recording_leave_it_blank(tiny_request: Request, tmp_path: Path) -> None:
    (row, *_) = _rows(train(resolve(tiny_request("bc")), tmp_path, "cpu"))
    assert not [name for name in row if name.startswith("held_out")]


def test_an_error_that_is_not_finite_stops_the_run(
    tiny_request: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def measure(self, policy: Policy) -> dict[str, float]:
            return {"held_out_loss": float("inf")}

    monkeypatch.setattr(loop, "held_out_error", lambda subset, policy: Broken())
    with pytest.raises(DivergedError, match="after step 10 held_out_loss is inf"):
        train(resolve(tiny_request("bc", fraction=0.5)), tmp_path, "cpu")


def test_trivial_errors_by_hand(reacher_data: Trajectories) -> None:
    subset = take_fraction(reacher_data, 0.5, 0)
    steps = found(subset)
    inside = np.isin(np.repeat(np.arange(8), 20), subset.episodes)
    mean = reacher_data.actions[inside].mean(0)
    taken = reacher_data.actions[steps.steps]
    previous = np.stack([mean if t % 20 == 0 else reacher_data.actions[t - 1] for t in steps.steps])
    expected = {
        "held_out_mean_action": np.square(taken - mean).mean(),
        "held_out_previous_action": np.square(taken - previous).mean(),
    }
    assert trivial_errors(steps, subset) == pytest.approx(expected, rel=1e-5)


def test_of_discrete_actions_it_is_the_share_that_is_another(breakout_data: Trajectories) -> None:
    assert action_error(np.array([0, 1, 2, 3]), np.array([0, 1, 1, 1])) == 0.5
    subset = take_fraction(breakout_data, 0.5, 0)
    counts = np.zeros(4)
    for n in subset.episodes:
        for action in breakout_data.actions[breakout_data.offsets[n] : breakout_data.offsets[n + 1]]:
            counts[action] += 1
    assert usual_action(subset) == counts.argmax()


@pytest.mark.parametrize("method", ["bc", "discrete-cql"])
def test_frames_are_seen_as_in_evaluation(breakout_data: Trajectories, method: str) -> None:
    """A policy that acts on frames is asked one step at a time here, all at once there."""
    settings = {"hidden": (16,)} | ({} if method == "bc" else {"quantiles": 5})
    config = resolve(RunRequest("breakout-medium", method, fraction=0.5, settings=settings))
    subset = drawn_subset(config)
    policy = build_policy(config, subset, CPU).eval()
    measured = held_out_error(subset, policy)
    assert measured is not None
    steps = found(subset)
    wrong = []
    for start, end in zip(steps.starts.tolist(), steps.steps.tolist(), strict=True):
        frames = np.zeros((4, 84, 84), np.uint8)
        first = max(start, end - 3)
        frames[4 - (end - first + 1) :] = steps.trajectories.observations[first : end + 1]
        nothing = torch.zeros(1, 1)
        history = History(torch.from_numpy(frames)[None], nothing.long(), nothing, nothing.long())
        with torch.no_grad():
            wrong.append(int(policy.act(history)) != int(steps.trajectories.actions[end]))
    assert measured.measure(policy)["held_out_error"] == pytest.approx(np.mean(wrong), abs=0.02)
