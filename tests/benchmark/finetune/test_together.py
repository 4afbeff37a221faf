"""Several seeds in one pass: each ends as it would alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lamobench.benchmark.finetune import track
from lamobench.benchmark.finetune.config import FinetuneConfig
from lamobench.benchmark.finetune.loop import Finetuning
from lamobench.benchmark.finetune.rounds import ReinforceRounds, collected
from lamobench.datasets.environments.grid_relay import GridRelay
from lamobench.tests.benchmark.cut_short import rows_of
from lamobench.tests.benchmark.finetune.conftest import Tiny, train

TASKS = ("apple-retrieval", "grid-relay")
METHODS = [*((task, "finetune-bc") for task in TASKS), ("grid-relay", "warm-up"), ("grid-relay", "finetune-ks")]


def of_three(tiny: Tiny, task: str, method: str = "finetune", **changes: Any) -> tuple[FinetuneConfig, ...]:
    """Runs of three seeds, in the order in which they are trained together."""
    runs = [tiny(task, method, seed, **changes) for seed in range(3)]
    return tuple(sorted(runs, key=lambda run: run.id))


def train_together(runs: tuple[FinetuneConfig, ...], root: Path) -> dict[str, str]:
    """Train a group; a line for each run that failed."""
    assert track.groups(runs, "cpu") == [runs]
    return track.train(runs, root, "cpu", lambda *_: None, print)


def assert_same(folder: Path, alone: Path) -> None:
    """The same checkpoint and the same logs but for rounding, and the same episodes."""
    tensors, theirs = (load_file(each / "checkpoint.safetensors") for each in (folder, alone))
    torch.testing.assert_close(tensors, theirs, rtol=1e-4, atol=1e-5)
    for row, other in zip(rows_of(folder), rows_of(alone), strict=True):
        timeless = [{name: value for name, value in each.items() if "second" not in name} for each in (row, other)]
        assert timeless[0] == pytest.approx(timeless[1], rel=1e-3, abs=1e-4)
    for name in ("episodes.csv", "stages.csv"):
        assert (folder / name).read_text() == (alone / name).read_text()


@pytest.mark.parametrize(("task", "method"), METHODS)
def test_seeds_that_train_together_end_as_they_would_alone(task: str, method: str, tiny: Tiny, tmp_path: Path) -> None:
    runs = of_three(tiny, task, method)
    assert train_together(runs, tmp_path / "together") == {}
    for run in runs[1:]:
        assert_same(tmp_path / "together" / run.id, train(run, tmp_path / "alone"))


@pytest.mark.parametrize("task", TASKS)
def test_killed_runs_go_on_together_wherever_each_one_stands(
    task: str, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        """A stand-in for a kill."""

    runs = of_three(tiny, task)
    save = Finetuning.save

    def killed(self: Finetuning) -> None:
        if self.config == runs[1] and self.progress.step == 4:
            raise KilledError
        save(self)

    with monkeypatch.context() as patch:
        patch.setattr(Finetuning, "save", killed)
        with pytest.raises(KilledError):
            train_together(runs, tmp_path)
    assert [rows_of(tmp_path / run.id)[-1]["step"] for run in runs] == [4, 2, 2]
    assert train_together(runs, tmp_path) == {}
    for run in runs:
        assert_same(tmp_path / run.id, train(run, tmp_path / "alone"))


def test_one_seed_that_diverges_fails_alone(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = of_three(tiny, "grid-relay")
    move = GridRelay.move

    def spoiled(self: GridRelay, actions: Any) -> Any:
        rewards, success = move(self, actions)
        if self.size == 3 * runs[0].environments:
            rewards[: runs[0].environments] = np.nan
        return rewards, success

    monkeypatch.setattr(GridRelay, "move", spoiled)
    failed = train_together(runs, tmp_path)
    assert list(failed) == [runs[0].id]
    assert "became nan in steps 1 to 2" in failed[runs[0].id]
    monkeypatch.undo()
    for run in runs[1:]:
        assert_same(tmp_path / run.id, train(run, tmp_path / "alone"))


def test_a_policy_that_never_learns_and_other_agents_are_by_themselves(tiny: Tiny) -> None:
    runs = [tiny("grid-relay", "frozen", seed) for seed in range(2)] + [tiny("reach", seed=seed) for seed in range(2)]
    assert track.groups(runs, None) == [(run,) for run in runs]


def test_nothing_is_drawn_for_a_seed_whose_episodes_are_over(tiny: Tiny, tmp_path: Path) -> None:
    """A policy that walks straight there and back is through after 6 steps; one that draws lots takes longer."""

    def rounds_of(seed: int) -> ReinforceRounds:
        found = Finetuning(tiny("apple-retrieval", seed=seed), tmp_path / "run", lambda *_: None).rounds
        assert isinstance(found, ReinforceRounds)
        with torch.no_grad():
            for parameter in found.agent.actor.parameters():
                parameter.zero_()
            found.agent.actor.network.weights[0].sub_(100.0 * (seed == 0))
        return found

    episodes = collected([rounds_of(0), rounds_of(1)])
    assert episodes[0].rewards.shape == (3, 6)
    assert episodes[1].rewards.shape[1] > 6
    for own, seed in zip(episodes, (0, 1), strict=True):
        (alone,) = collected([rounds_of(seed)])
        torch.testing.assert_close(vars(own), vars(alone))
