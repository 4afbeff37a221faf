"""A run that can't go on says why: the cause that is found, the learning rate where there is no other."""

import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from lamobench.baselines.bc import BC
from lamobench.benchmark.offline import build, evaluation
from lamobench.benchmark.offline import loop as loop
from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.offline.together import train_together
from lamobench.benchmark.runs.store import run_folder
from lamobench.benchmark.scores.collect import collect, left_out, read_run
from lamobench.benchmark.sweep import grid as sweeping
from lamobench.benchmark.sweep.state import State
from lamobench.benchmark.training.life import DivergedError
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.little_runs import little_run

pytestmark = pytest.mark.usefixtures("home")
RATE = "try a lower learning rate, e.g. --set learning_rate=0.0001"
LOOK = "a lower learning rate is no help: look at the data with `lamobench data verify reacher2d-medium`"


def run_of(seed: int = 0) -> OfflineConfig:
    return little_run(seed, steps=20, evaluate_every=10)


def multiplied(monkeypatch: pytest.MonkeyPatch, factor: float, calm_steps: int) -> None:
    """The loss of BC is another after some steps of this process."""
    genuine = BC.loss
    calls = [0]

    def loss(self: BC, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        value, _ = genuine(self, batch)
        calls[0] += 1
        value = value * (factor if calls[0] > calm_steps else 1.0)
        return value, {"loss": value.detach()}

    monkeypatch.setattr(BC, "loss", loss)


def message_of(root: Path, run: OfflineConfig) -> str:
    with pytest.raises(DivergedError) as met:
        train(run, root, "cpu")
    assert json.loads((run_folder(root, run) / "failed.json").read_text())["message"] == str(met.value)
    assert "\n" not in str(met.value)
    return str(met.value)


def test_a_loss_that_breaks_on_the_way_is_the_learning_rate_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    multiplied(monkeypatch, math.nan, calm_steps=3)
    assert message_of(tmp_path, run_of()).endswith(RATE)


def test_a_loss_that_is_broken_before_any_update_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    multiplied(monkeypatch, math.inf, calm_steps=0)
    message = message_of(tmp_path, run_of())
    assert f"the first batch, before any update, had loss inf; {LOOK}" in message
    assert "try a lower" not in message


def test_a_bound_of_the_actions_that_is_not_finite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = build.make_spec

    def unbounded(*arguments: Any) -> Any:
        spec = genuine(*arguments)
        spec.action_high[0] = math.inf
        return spec

    monkeypatch.setattr(build, "make_spec", unbounded)
    message = message_of(tmp_path, run_of())
    assert "high was not finite before the first update; a lower learning rate is no help: look at" in message
    assert "at the bounds of the environment's spaces" in message


@pytest.mark.parametrize(("name", "value", "said"), [("observations", math.nan, "nan"), ("actions", 3e30, "3e+30")])
def test_data_that_no_loss_can_reckon_with_are_named(
    home: Path, tmp_path: Path, name: str, value: float, said: str
) -> None:
    """Damage that a cached copy's shape and type do not tell."""
    run = run_of()
    path = home / "datasets" / "reacher2d-medium" / "recorded" / f"{name}.npy"
    array = np.load(path)
    array[:100, 1] = value
    np.save(path, array)
    assert f"the data's {name} hold {said} (from step 0 on); {LOOK}" in message_of(tmp_path, run)


@pytest.mark.parametrize("name", ["policy.", "optimizer."])
def test_a_checkpoint_of_broken_numbers_is_not_the_learning_rate_s(tmp_path: Path, name: str) -> None:
    run = run_of()

    def stop(step: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(run, tmp_path, "cpu", stop)
    path = run_folder(tmp_path, run) / "checkpoint.safetensors"
    tensors = load_file(path)
    broken = next(key for key, t in tensors.items() if key.startswith(name) and t.is_floating_point() and t.ndim)
    tensors[broken].view(-1)[0] = math.nan
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    save_file(tensors, path, metadata)
    with pytest.raises(UserError, match="finite") as met:
        train(run, tmp_path, "cpu")
    assert "try a lower" not in str(met.value)


def crash(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """The second evaluation ends in an error."""
    genuine = evaluation.rollout
    calls = [0]

    def rollout(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] > 1:
            raise error
        return genuine(*arguments, **options)

    monkeypatch.setattr(evaluation, "rollout", rollout)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ZeroDivisionError("division by zero\nand more"), "ZeroDivisionError: division by zero (after step 20);"),
        (UserError("no environment 'x'"), "no environment 'x' (after step 20);"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB."), "no memory left for 2 GiB more;"),
    ],
)
def test_a_run_that_crashes_says_why_until_it_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    run = run_of()
    with monkeypatch.context() as patch:
        crash(patch, error)
        with pytest.raises(type(error)):
            train(run, tmp_path, "cpu")
    found = read_run(run_folder(tmp_path, run))
    assert found.status == "failed"
    assert found.problem.startswith(f"run {run.id}: {said}")
    assert found.problem.endswith("; mend it and start the same command again")
    assert left_out(collect(tmp_path)) == [f"{run.id}: failed: {found.problem}"]
    folder = train(run, tmp_path, "cpu")
    assert read_run(folder).status == "finished"
    assert not (folder / "failed.json").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143), OSError(28, "full"), OSError(27, "long")])
def test_a_run_that_was_stopped_from_outside_has_not_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    crash(monkeypatch, error)
    with pytest.raises(type(error)):
        train(run_of(), tmp_path, "cpu")
    assert read_run(run_folder(tmp_path, run_of())).status == "unfinished"


def test_nor_has_one_that_was_killed(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        evaluation.rollout = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
        train(run_of(), tmp_path, "cpu")
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert read_run(run_folder(tmp_path, run_of())).status == "unfinished"


def test_seeds_in_one_pass_say_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [run_of(seed) for seed in range(2)]
    with monkeypatch.context() as patch:
        crash(patch, ZeroDivisionError("division by zero"))
        with pytest.raises(ZeroDivisionError):
            train_together(runs, tmp_path, "cpu")
    assert [read_run(run_folder(tmp_path, run)).status for run in runs] == ["failed", "failed"]
    multiplied(monkeypatch, math.inf, calm_steps=0)
    others = [run_of(seed) for seed in (2, 3)]
    failed = train_together(others, tmp_path, "cpu")
    assert all(f"before any update, had loss inf; {LOOK}" in failed[run.id] for run in others)


def test_a_run_whose_process_always_dies_says_so(tmp_path: Path) -> None:
    run = run_of()
    state = State([run], jobs=[(run,)])
    attempts = sweeping._Attempts(tmp_path)
    (run_folder(tmp_path, run)).mkdir(parents=True)
    (run_folder(tmp_path, run) / "config.json").write_text("{}")
    for attempt in range(1, sweeping.ATTEMPTS + 1):
        attempts.begin((run,))
        again = sweeping._hear(state, (run,), sweeping.Died("signal 9"), attempts)
        assert again is (attempt < sweeping.ATTEMPTS)
        assert (run_folder(tmp_path, run) / "failed.json").exists() is not again
    said = json.loads((run_folder(tmp_path, run) / "failed.json").read_text())["message"]
    assert said == f"run {run.id}: its process died 3 times (signal 9); start the same command again to go on"


def test_actions_that_are_not_finite_end_the_run_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights may be finite, and too large to multiply."""
    genuine = BC.act

    def overflowing(self: BC, history: Any) -> Tensor:
        return genuine(self, history) * math.inf

    monkeypatch.setattr(BC, "act", overflowing)
    message = message_of(tmp_path, run_of())
    assert "after step 10 the policy's actions are not finite in step 0 of an evaluation" in message
    assert message.endswith(RATE)
