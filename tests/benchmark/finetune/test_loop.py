"""Whole runs with tiny budgets: what every method does, and that a run which is cut short goes on bitwise."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lamobench.benchmark.finetune import track
from lamobench.benchmark.finetune.loop import Finetuning
from lamobench.benchmark.finetune.measures import measure
from lamobench.benchmark.finetune.resolve import methods_for
from lamobench.benchmark.runs.stages import means_by_stage
from lamobench.benchmark.scores.collect import read_finished, read_run
from lamobench.datasets.environments.grid_relay import GridRelay
from lamobench.datasets.environments.stages import StagedEnvironment
from lamobench.tests.benchmark.cut_short import assert_goes_on, rows_of
from lamobench.tests.benchmark.finetune.conftest import Tiny, train
from lamobench.tests.benchmark.finetune.reach import Reach

TASKS = ("apple-retrieval", "grid-relay", "reach")
METHODS = [
    *((task, method) for task in TASKS[:2] for method in methods_for(task)),
    *(("reach", method) for method in methods_for("robotic-sequence-2")),
]
every = pytest.mark.parametrize("task", TASKS)


@pytest.mark.parametrize(("task", "method"), METHODS)
def test_every_method_is_trained_and_measured(task: str, method: str, tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(task, method)
    run = read_finished(train(config, tmp_path))
    found = measure(run)
    assert run.result.curve_steps.tolist() == [0, 2, 4, 6]
    assert found.area == pytest.approx(run.result.score / 100)
    assert 0 <= found.far_least <= 1
    assert (found.environment_steps == 0) == (method == "frozen")
    assert (found.gradient_examples == 0) == (method == "frozen")
    first, *_, last = rows_of(run.folder)
    assert first["step"] == 0
    assert (first["kl_to_pretrained"] > 1e-5) == (method == "scratch")
    assert (last["kl_to_pretrained"] > 1e-6) == (method != "frozen")
    assert "log_likelihood" in first


@every
def test_a_run_that_is_cut_short_goes_on_to_the_same_numbers(task: str, tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(task, "finetune-bc", retention__batch_size=7)
    kept = load_file(assert_goes_on(partial(train, config), tmp_path, 2) / "checkpoint.safetensors")
    environment = {name for name in kept if name.startswith("random.environment.")}
    assert bool(environment) == (task != "apple-retrieval")  # REINFORCE begins every round anew
    assert ("random.replay.rewards" in kept) == (task == "reach")


@every
def test_seeds_differ_and_a_seed_is_the_same_again(task: str, tiny: Tiny, tmp_path: Path) -> None:
    first, again, other = (train(tiny(task, seed=s), tmp_path / place) for s, place in ((0, "a"), (0, "b"), (1, "c")))
    assert first.name == again.name
    assert (first / "stages.csv").read_bytes() == (again / "stages.csv").read_bytes()
    assert (first / "stages.csv").read_bytes() != (other / "stages.csv").read_bytes()


def test_methods_of_a_seed_begin_alike_and_are_examined_on_the_same_starts(tiny: Tiny, tmp_path: Path) -> None:
    folders = [train(tiny(method=method), tmp_path) for method in ("finetune", "finetune-bc", "frozen", "scratch")]
    tables = [np.loadtxt(folder / "stages.csv", delimiter=",", skiprows=1) for folder in folders]
    for table in tables[1:]:
        np.testing.assert_array_equal(table[:, :4], tables[0][:, :4])
    first = [table[table[:, 0] == 0] for table in tables]
    np.testing.assert_array_equal(first[1], first[0])
    np.testing.assert_array_equal(first[2], first[0])
    assert (first[3] != first[0]).any()


def test_frozen_stays_pi_star(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(method="frozen")
    folder = train(config, tmp_path)
    fresh = Finetuning(config, tmp_path / "fresh", lambda *_: None)
    for name, tensor in load_file(folder / "checkpoint.safetensors").items():
        if name.startswith("policy.actor"):
            assert torch.equal(tensor, fresh.teacher.state_dict()[name.removeprefix("policy.")])


def test_warm_up_moves_the_critic_alone_at_first(tiny: Tiny, tmp_path: Path) -> None:
    training = Finetuning(tiny(method="warm-up"), tmp_path, lambda *_: None)
    training.warm_up = 2
    before = {name: tensor.clone() for name, tensor in training.agent.state_dict().items()}
    moved = []
    for number in range(3):
        training._round(number)
        after = training.agent.state_dict()
        moved.append({name.split(".")[0] for name in before if not torch.equal(after[name], before[name])})
    assert moved[1] == {"critic"}
    assert moved[2] >= {"actor", "critic"}


def test_in_a_warm_up_the_critic_learns_what_pi_star_earns(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(method="warm-up", pretraining__updates=300, batch_size=128)
    training = Finetuning(replace(config, environments=32, rollout_steps=16), tmp_path, lambda *_: None)
    losses = [float(training.rounds.warm_up().info["value_loss"]) for _ in range(40)]  # each on new play
    assert sum(losses[-10:]) / 10 < 0.6 * losses[0]


@pytest.mark.parametrize(("task", "environment"), [("grid-relay", GridRelay), ("reach", Reach)])
def test_a_reward_that_is_not_a_number_stops_the_run_with_a_line(
    task: str, environment: type[StagedEnvironment], tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(task)
    move = environment.move

    def spoiled(self: StagedEnvironment, actions: Any) -> Any:
        rewards, success = move(self, actions)
        return rewards * np.float32("nan"), success

    monkeypatch.setattr(environment, "move", spoiled)
    (line,) = track.train((config,), tmp_path, "cpu", lambda *_: None, print).values()
    assert "became nan in steps 1 to 2" in line
    assert "no longer finite" not in line
    assert line.endswith("or a smaller --set retention.coefficient")
    assert not (tmp_path / config.id / "done.json").exists()


def test_stages_that_are_cut_short_are_damage(tiny: Tiny, tmp_path: Path) -> None:
    folder = train(tiny(), tmp_path)
    content = (folder / "stages.csv").read_bytes()
    steps, success = means_by_stage(content, "success")
    assert success.shape == (len(steps), 2)
    (folder / "stages.csv").write_bytes(content[:-4])
    assert "stages.csv has" in read_run(folder).problem
