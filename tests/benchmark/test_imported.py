"""A data set that a user imports is trained on without a line of code."""

from dataclasses import replace
from pathlib import Path

import gymnasium
import minari
import numpy as np
import pytest

from lamobench.benchmark.collect import collect
from lamobench.benchmark.config import RunRequest, resolve
from lamobench.benchmark.train import train
from lamobench.datasets import cache, catalog
from lamobench.datasets.environments import make_environment
from lamobench.datasets.errors import UserError
from lamobench.datasets.sources.imported import import_dataset
from lamobench.datasets.trajectories import Trajectories

pytestmark = pytest.mark.filterwarnings("ignore:.*(is set to None|env_spec is None)")
BUDGET = {"steps": 4, "evaluate_every": 4, "evaluation_episodes": 1, "headline_evaluations": 1, "batch_size": 4}


@pytest.fixture
def maze(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trajectories:
    """The data set my-maze: two short episodes in a maze, whose observations are dictionaries."""
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    (tmp_path / "minari").mkdir()
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
    runs = collect(tmp_path / "runs")
    assert runs["status"].tolist() == ["finished"]
    assert np.isfinite(runs["score"]).all()


def test_images_that_no_method_learns_from_are_refused_in_one_line(maze: Trajectories) -> None:
    frames = np.zeros((len(maze.observations), 20, 20, 3), np.uint8)
    images = replace(maze, observations=frames, last_observations=frames[:2], known_hash="")
    entry = cache.read_meta(cache.folder_of("my-maze", "minari"))["task"]
    cache.replace(images, task=entry)
    with pytest.raises(UserError, match="no method learns from images of 20 x 20 x 3, as 'my-maze' has them"):
        resolve(RunRequest("my-maze", "bc", budget=BUDGET))
