"""A data set that a user imports is trained on without a line of code."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import gymnasium
import minari
import numpy as np
import pytest
import torch

from lamobench.benchmark.cli.main import main
from lamobench.benchmark.offline.build import build_policy, training_subset
from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.scores.collect import collect, finished
from lamobench.datasets import cache, catalog
from lamobench.datasets.environments.simulators import make_environment
from lamobench.datasets.errors import UserError
from lamobench.datasets.sources.imported import import_dataset
from lamobench.datasets.trajectories import Trajectories
from lamobench.tests.own_environments import NAME, forget_module, record, write_module

pytestmark = pytest.mark.filterwarnings("ignore:.*(is set to None|env_spec is None|precision lowered)")
BUDGET = {"steps": 4, "evaluate_every": 4, "evaluation_episodes": 1, "headline_evaluations": 1, "batch_size": 4}


@pytest.fixture
def maze(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trajectories:
    """The data set my-maze: two short episodes in a maze, whose observations are dictionaries."""
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    (tmp_path / "minari").mkdir(exist_ok=True)
    make_environment(catalog.find_task("kitchen")).close()  # registers Gymnasium-Robotics
    collector = minari.DataCollector(gymnasium.make("PointMaze_UMaze-v3", max_episode_steps=6, reward_type="dense"))
    for seed in range(2):
        collector.reset(seed=seed)
        for _ in range(6):
            collector.step(collector.action_space.sample())
    collector.create_dataset("me/maze-v0")
    collector.close()
    return import_dataset("my-maze", "me/maze-v0")


@pytest.mark.parametrize(("method", "profile"), [("bc", "cpu"), ("dt", "paper")])
def test_an_imported_data_set_is_trained_on_and_scored(
    maze: Trajectories, tmp_path: Path, method: str, profile: str
) -> None:
    config = resolve(RunRequest("my-maze", method, profile=profile, budget=BUDGET))
    expected = ("my-maze", "PointMaze_UMaze-v3", [float(maze.returns.max())])
    assert (config.task, config.env_id, config.target_returns) == expected
    train(config, tmp_path / "runs", "cpu")
    (run,) = finished(collect(tmp_path / "runs"))
    assert np.isfinite(run.result.score)


def test_images_that_no_method_learns_from_are_refused_in_one_line(maze: Trajectories) -> None:
    frames = np.zeros((len(maze.observations), 20, 20, 3), np.uint8)
    images = replace(maze, observations=frames, last_observations=frames[:2], known_hash="")
    entry = cache.read_meta(cache.folder_of("my-maze", "minari"))["task"]
    cache.replace(images, task=entry)
    with pytest.raises(UserError, match="no method learns from images of 20 x 20 x 3, as 'my-maze' has them"):
        resolve(RunRequest("my-maze", "bc", budget=BUDGET))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of somebody's own environments, and empty homes."""
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    (tmp_path / "minari").mkdir(exist_ok=True)
    yield write_module(tmp_path / "modules", monkeypatch)
    forget_module()


@pytest.mark.parametrize(
    ("env_id", "method"),
    [
        ("Below-v0", "bc"),
        ("Above-v0", "dt"),
        ("Wide-v0", "dt"),
        ("Open-v0", "cql"),
        ("Grid-v0", "bc"),
        ("Scalar-v0", "dt"),
    ],
)
def test_every_kind_of_action_is_trained_on_and_scored(module: str, tmp_path: Path, env_id: str, method: str) -> None:
    """The environments take nothing that is not in their spaces."""
    import_dataset("mine", record(env_id), env_module=module)
    config = resolve(RunRequest("mine", method, profile="paper", budget=BUDGET))
    assert config.unit_actions == (method == "dt" and env_id != "Above-v0")
    forget_module()  # as in a worker process
    train(config, tmp_path / "runs", "cpu")
    (run,) = finished(collect(tmp_path / "runs"))
    assert np.isfinite(run.result.score)


@pytest.mark.parametrize("env_id", ["Below-v0", "Above-v0"])
def test_what_pays_in_the_data_pays_in_play(module: str, tmp_path: Path, env_id: str) -> None:
    """Cloning data that take the last action earns its reward, which is the number that the environment calls it."""
    data = import_dataset("mine", record(env_id), env_module=module)
    last = replace(data, actions=np.full_like(data.actions, 2), known_hash="")
    cache.replace(last, task=cache.read_meta(cache.folder_of("mine", "minari"))["task"])
    budget = BUDGET | {"steps": 40, "evaluate_every": 40, "batch_size": 12}
    config = resolve(RunRequest("mine", "bc", budget=budget, settings={"learning_rate": 0.01}))
    train(config, tmp_path / "runs", "cpu")
    (run,) = finished(collect(tmp_path / "runs"))
    assert run.result.return_mean == (4.0 if env_id == "Below-v0" else 12.0)


def test_only_trajectory_models_in_other_boxes_are_other_runs_than_before(module: str, maze: Trajectories) -> None:
    import_dataset("mine", record("Wide-v0"), env_module=module)
    for name, method in (("my-maze", "dt"), ("mine", "bc")):
        assert resolve(RunRequest(name, method, budget=BUDGET)).unit_actions is False
    mapped = resolve(RunRequest("mine", "dt", budget=BUDGET))
    assert mapped.unit_actions is True
    assert json.loads(json.dumps(asdict(mapped)))["unit_actions"] is True
    before = replace(mapped, unit_actions=False)
    assert before.id != mapped.id
    device = torch.device("cpu")
    models = [build_policy(config, training_subset(config), device).model for config in (before, mapped)]
    assert [model.unit_actions for model in models] == [False, True]


def test_the_import_is_typed_and_what_is_shown_says_where_actions_lie(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def typed(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["lamobench", "data", *arguments])
        main()
        return capsys.readouterr().out

    minari_id = record("Open-v0")
    assert "within the data's range" in typed("import", "mine", "--minari", minari_id, "--env-module", module)
    assert f"env_module           {NAME}\n" in (shown := typed("show", "mine", "--no-figures"))
    assert "outside_the_box      steps 0, farthest 0\n" in shown
    typed("import", "again", "--minari", record("Wide-v0"), "--env", f"{module}:Wide-v0")
    data = catalog.load("again")
    actions = np.array(data.actions)
    actions[:2] = 2.5
    cache.replace(replace(data, actions=actions, known_hash=""), task=asdict(catalog.find_task("again")))
    shown = typed("show", "again", "--no-figures")
    assert "action_box           low -2, high 2\n" in shown
    assert "outside_the_box      steps 2, farthest 0.5\n" in shown
