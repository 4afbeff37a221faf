"""Several seeds in one pass: each ends as it would alone, but for rounding."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lamobench.baselines.bc import BC
from lamobench.benchmark.offline import loop as loop
from lamobench.benchmark.offline import together
from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.offline.together import groups, stackable, train_together
from lamobench.benchmark.runs.methods import METHODS
from lamobench.benchmark.runs.store import is_done, open_run, run_folder
from lamobench.benchmark.sharing.files import checkpoint_state
from lamobench.benchmark.sweep.engines import device_of_plan
from lamobench.benchmark.sweep.estimate import StepTimes
from lamobench.benchmark.sweep.job import Ended, train_job
from lamobench.benchmark.sweep.options import EngineOptions, Workers
from lamobench.benchmark.sweep.plan import ELSEWHERE, jobs_of
from lamobench.benchmark.training import life
from lamobench.benchmark.training.learner import Tally

Make = Callable[..., list[OfflineConfig]]
CPU = torch.device("cpu")
BUDGET = {"steps": 200, "evaluate_every": 200, "evaluation_episodes": 1, "batch_size": 16}
SETTINGS: dict[str, dict[str, Any]] = {
    "cql": {"cloning_steps": 12, "max_backup": True, "target_gap": 5.0},
    "iql": {"dropout": 0.0, "scale_rewards": True},
    "rebrac": {"normalize_states": True},
    "rvs": {"dropout": 0.0},
}


@pytest.fixture
def seeds(tiny_request: Callable[..., RunRequest]) -> Make:
    """Runs of three seeds, each on a subset of its own."""

    def make(method: str = "td3-bc", **changes: Any) -> list[OfflineConfig]:
        budget = BUDGET | changes.pop("budget", {})
        settings = SETTINGS.get(method, {}) | changes.pop("settings", {})
        request = tiny_request(method, fraction=0.5, budget=budget, settings=settings, **changes)
        runs = [resolve(replace(request, seed=seed)) for seed in range(3)]
        assert len({run.subset_hash for run in runs}) == 3
        return runs

    return make


def rows_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def assert_close(folder: Path, expected: Path) -> None:
    """The same checkpoint but for rounding, the same random state of batches, and the same logs."""
    tensors, theirs = (load_file(f / "checkpoint.safetensors") for f in (folder, expected))
    states = [checkpoint_state(f / "checkpoint.safetensors")[1]["random"] for f in (folder, expected)]
    assert states[0] == states[1]
    exact = [name for name, tensor in theirs.items() if not tensor.is_floating_point()]
    assert all(torch.equal(tensors.pop(name), theirs.pop(name)) for name in exact)
    torch.testing.assert_close(tensors, theirs, rtol=1e-5, atol=1e-5)
    for row, other in zip(rows_of(folder), rows_of(expected), strict=True):
        assert list(row) == list(other)
        assert row == pytest.approx(other | {"seconds": row["seconds"]}, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("method", [method.name for method in METHODS.values() if method.stacks])
def test_seeds_that_train_together_end_as_they_would_alone(seeds: Make, tmp_path: Path, method: str) -> None:
    runs = seeds(method)
    steps = dict[str, list[int]]()
    assert len(groups(runs, CPU)) == 1
    failed = train_together(
        runs, tmp_path / "together", "cpu", lambda run, done, total: steps.setdefault(run, []).append(done)
    )
    assert failed == {}
    assert steps == {run.id: [100, 200] for run in runs}
    assert all(is_done(tmp_path / "together", run) for run in runs)
    for run in runs[1:]:  # the first is the one whose policy the stack is made from: the others could go wrong
        assert_close(run_folder(tmp_path / "together", run), train(run, tmp_path / "alone", "cpu"))


def test_a_batch_in_parts_is_drawn_in_parts(seeds: Make, tmp_path: Path) -> None:
    runs = seeds("cql", budget={"steps": 20, "evaluate_every": 10, "accumulation": 2})
    train_together(runs, tmp_path / "together", "cpu")
    assert_close(run_folder(tmp_path / "together", runs[1]), train(runs[1], tmp_path / "alone", "cpu"))


class KilledError(BaseException):
    """A stand-in for a kill."""


def kill_at(monkeypatch: pytest.MonkeyPatch, run: OfflineConfig, step: int) -> None:
    """The process dies before the checkpoint that this run would take at a step, so others may be ahead of it."""
    save = loop.Training.save

    def killed(self: loop.Training) -> None:
        if self.config == run and self.progress.step == step:
            raise KilledError
        save(self)

    monkeypatch.setattr(loop.Training, "save", killed)


def test_killed_runs_go_on_together_or_alone_wherever_each_one_stands(
    seeds: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "LOG_EVERY", 10)
    runs = sorted(seeds(budget={"steps": 60, "evaluate_every": 20}), key=lambda run: run.id)
    with monkeypatch.context() as patch:
        kill_at(patch, runs[1], 40)
        with pytest.raises(KilledError):
            train_together(runs, tmp_path, "cpu")
    assert [rows_of(run_folder(tmp_path, run))[-1]["step"] for run in runs] == [40, 20, 20]
    train(runs[2], tmp_path, "cpu")  # begun together, finished alone
    sizes: list[int] = []
    advance = together.Stack.advance
    monkeypatch.setattr(
        together.Stack, "advance", lambda self, *rest: (sizes.append(len(self.seeds)), advance(self, *rest))[1]
    )
    assert train_together(runs, tmp_path, "cpu") == {}
    assert sizes == [2, 2]  # from step 40 on, to which the one that was behind has come alone
    for run in runs:
        assert_close(run_folder(tmp_path, run), train(run, tmp_path / "alone", "cpu"))


def test_runs_that_were_begun_alone_are_finished_together(
    seeds: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = seeds("cql", budget={"steps": 40, "evaluate_every": 20})
    for run in runs:
        with monkeypatch.context() as patch:
            kill_at(patch, run, 40)
            with pytest.raises(KilledError):
                train(run, tmp_path, "cpu")
    train_together(runs, tmp_path, "cpu")
    assert_close(run_folder(tmp_path, runs[0]), train(runs[0], tmp_path / "alone", "cpu"))


def test_one_seed_that_diverges_fails_alone(seeds: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = seeds(budget={"steps": 40, "evaluate_every": 20})
    genuine = Tally.each
    calls = []

    def each(self: Tally) -> list[Tally]:
        own = genuine(self)
        calls.append(len(own))
        if len(calls) == 2:
            own[1].sums["loss"] = torch.tensor(math.nan)
        return own

    monkeypatch.setattr(Tally, "each", each)
    failed = train_together(runs, tmp_path, "cpu")
    monkeypatch.undo()
    (diverged,) = (run for run in runs if run.id in failed)
    assert "loss became nan in steps 21 to 40; its last good checkpoint is kept" in failed[diverged.id]
    assert json.loads((run_folder(tmp_path, diverged) / "failed.json").read_text())["step"] == 20
    assert not is_done(tmp_path, diverged)
    assert all(is_done(tmp_path, run) for run in runs if run != diverged)


def test_what_another_process_works_on_fails_alone_and_finished_runs_are_left_alone(
    seeds: Make, tmp_path: Path
) -> None:
    runs = seeds(budget={"steps": 20, "evaluate_every": 10})
    train(runs[0], tmp_path, "cpu")
    before = (run_folder(tmp_path, runs[0]) / "done.json").stat().st_mtime_ns
    with open_run(tmp_path, runs[1]):
        failed = train_together(runs, tmp_path, "cpu")
    assert list(failed) == [runs[1].id]
    assert "is being worked on by another process" in failed[runs[1].id]
    assert is_done(tmp_path, runs[2])
    assert (run_folder(tmp_path, runs[0]) / "done.json").stat().st_mtime_ns == before


def test_groups_are_runs_that_differ_in_their_seeds_alone(seeds: Make) -> None:
    bc = seeds("bc")
    half = seeds("bc", settings={"hidden": (8,)})
    dt = seeds("dt")
    assert groups([*bc, *half, *dt], CPU) == [tuple(bc), tuple(half), *((run,) for run in dt)]
    assert jobs_of([*bc, *dt], StepTimes({}), None) == [(run,) for run in (*bc, *dt)]
    assert len(jobs_of([*bc, *dt], StepTimes({}), "cpu")) == 4


def test_what_can_not_be_stacked_is_trained_by_itself(seeds: Make) -> None:
    run = seeds("iql")[0]
    assert stackable(run, CPU)
    for changes in (
        {"policy": run.policy | {"dropout": 0.1}},
        {"precision": "bfloat16"},
        {"compiled": True},
        {"legacy": ["best-target"]},
        {"task": "breakout", "method": "bc"},
    ):
        assert not stackable(replace(run, **changes), CPU)


def test_what_is_sooner_done_alone_on_a_cpu_is_trained_by_itself(seeds: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "faster_here", lambda: True)
    bc = seeds("bc", settings={"hidden": (256, 256)})[0]
    assert stackable(replace(bc, batch_size=255), CPU)
    assert not stackable(replace(bc, batch_size=256), CPU)
    assert stackable(replace(bc, batch_size=256), torch.device("cuda"))
    for hidden in ((), (4096,), (2, 1 << 20, 2)):  # what leads in and out of them counts no more than they do
        assert stackable(replace(bc, batch_size=7, policy=bc.policy | {"hidden": hidden}), CPU)
    cql = seeds("cql", settings={"sampled_actions": 4, "hidden": (128, 128)})[0]  # of 12 proposals a state
    assert stackable(replace(cql, batch_size=85), CPU)
    assert not stackable(replace(cql, batch_size=86), CPU)
    assert stackable(replace(cql, batch_size=86), None)  # somewhere
    monkeypatch.setattr(together, "faster_here", lambda: False)
    assert stackable(replace(cql, batch_size=86), CPU)


def test_on_a_cluster_the_node_says_which_seeds_train_in_one_pass(
    seeds: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head may be another machine: what is fast on it, or whether it has a GPU, decides nothing."""
    runs = seeds("bc")
    cluster = EngineOptions("ray", "auto")
    monkeypatch.setattr(together, "stackable", lambda config, device: device is None)
    for device in ("cpu", "auto"):
        assert device_of_plan(Workers(device=device, engine=cluster)) == ELSEWHERE
    assert jobs_of(runs, StepTimes({}), ELSEWHERE) == [tuple(runs)]
    for options in (EngineOptions(), EngineOptions("ray")):  # on this machine
        assert jobs_of(runs, StepTimes({}), device_of_plan(Workers(engine=options))) == [(run,) for run in runs]
    monkeypatch.setattr(together, "train_together", lambda *_: pytest.fail("in one pass"))
    ended = train_job(tuple(runs), tmp_path, "auto", 1, lambda message: None)
    assert ended == Ended({})
    assert all(is_done(tmp_path, run) for run in runs)


def test_a_device_that_a_node_lacks_is_a_line_of_each_run(seeds: Make, tmp_path: Path) -> None:
    runs = seeds("bc")
    ended = train_job(tuple(runs), tmp_path, "cuda", 1, lambda message: pytest.fail(str(message)))
    assert isinstance(ended, Ended)
    assert ended.failed.keys() == {run.id for run in runs}
    assert all("cuda" in line for line in ended.failed.values())


def test_random_numbers_inside_a_loss_are_refused(seeds: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All seeds would share them if `Policy.draw` did not draw them."""
    genuine = BC.loss

    def loss(self: BC, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        value, metrics = genuine(self, batch)
        return value + torch.rand(()), metrics

    monkeypatch.setattr(BC, "loss", loss)
    with pytest.raises(RuntimeError, match="random"):
        train_together(seeds("bc"), tmp_path, "cpu")
