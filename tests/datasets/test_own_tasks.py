"""Imported data sets of environments that no task of the catalog has."""

import json
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
import pytest

from lamobench.datasets import cache, catalog
from lamobench.datasets.environments.simulators import make_environment, simulator_version
from lamobench.datasets.errors import UserError
from lamobench.datasets.fractions import take_fraction
from lamobench.datasets.own_tasks import OWN_SCORES
from lamobench.datasets.sources.exported import export_to_minari
from lamobench.datasets.sources.imported import import_dataset
from lamobench.datasets.sources.minari import read
from lamobench.datasets.windows import ContextSampler

pytestmark = pytest.mark.filterwarnings("ignore:.*(is set to None|env_spec is None)")


@pytest.fixture(autouse=True)
def minari_folder(tmp_path: Path, lamobench_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    (tmp_path / "minari").mkdir()
    return tmp_path / "minari"


def record(env_id: str, scored: bool = True, episodes: int = 3, **options: Any) -> str:
    """A few short episodes, with or without reference scores."""
    make_environment(catalog.find_task("kitchen")).close()  # registers Gymnasium-Robotics
    env = gymnasium.make(env_id, max_episode_steps=6, **options)
    collector = minari.DataCollector(env)
    collector.action_space.seed(0)
    for seed in range(episodes):
        collector.reset(seed=seed)
        for _ in range(6):
            if any(collector.step(collector.action_space.sample())[2:4]):
                break
    scores = {"ref_min_score": 1.0, "ref_max_score": 11.0} if scored else {}
    collector.create_dataset("me/own-v0", **scores)
    collector.close()
    return "me/own-v0"


def change_metadata(minari_folder: Path, **changed: Any) -> None:
    path = minari_folder / "me/own-v0/data/metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def test_a_maze_brings_its_task_with_it(minari_folder: Path) -> None:
    maze = [[1, 1, 1, 1], [1, 0, 0, 1], [1, 1, 1, 1]]
    data = import_dataset("my-maze", record("PointMaze_UMaze-v3", maze_map=maze, reward_type="dense"))
    task = catalog.find_task(catalog.find_dataset("my-maze").task)
    assert (task.name, task.env_id, task.horizon, task.simulator) == ("my-maze", "PointMaze_UMaze-v3", 6, "mujoco")
    assert (task.reference_scores, task.target_returns) == ((1.0, 11.0), (data.returns.max(),))
    assert task.score_source.startswith("Minari's metadata")
    assert simulator_version(task).startswith("mujoco 3.")
    env = make_environment(task)
    first = env.reset(seed=0)[0]
    assert (first.shape, env.unwrapped.maze.maze_map) == ((8,), maze)
    np.testing.assert_allclose(data.observations[0], first, rtol=1e-6)
    env.close()
    sampler = ContextSampler(take_fraction(catalog.load("my-maze"), 1.0, 0), 3)
    assert sampler.sample(2, np.random.default_rng(0)).observations.shape == (2, 3, 8)
    row = catalog.status()[-1]
    assert (row["dataset"], row["task"], row["state"]) == ("my-maze", "my-maze", "ready")
    assert row["score_best"] == pytest.approx(task.normalise(data.returns.max()))


def test_what_is_exported_from_such_a_task_comes_back(minari_folder: Path) -> None:
    data = import_dataset("my-maze", record("PointMaze_UMaze-v3", reward_type="dense"))
    minari_id, root = export_to_minari("my-maze")
    assert read(minari_id, root, "copy").content_hash == data.content_hash
    again = import_dataset("copy", minari_id)
    assert again.content_hash == data.content_hash
    assert catalog.find_task("copy").env_options == catalog.find_task("my-maze").env_options


def test_without_reference_scores_the_episodes_decide_and_it_is_said(minari_folder: Path) -> None:
    data = import_dataset("pendulum", record("InvertedPendulum-v5", scored=False))
    task = catalog.find_task("pendulum")
    worst = data.returns.min()
    best = data.returns.max()
    assert worst < best == task.target_returns[0]
    assert (task.reference_scores, task.score_source) == ((worst, best), OWN_SCORES)
    assert [task.normalise(worst), task.normalise(best)] == [0.0, 100.0]
    assert task.return_scale == 1.0


def test_episodes_that_are_all_the_same_still_have_a_scale(minari_folder: Path) -> None:
    data = import_dataset("pendulum", record("InvertedPendulum-v5", scored=False, episodes=1))
    task = catalog.find_task("pendulum")
    assert task.reference_scores == (data.returns[0], data.returns[0] + 1)


def test_other_shapes_than_the_task_s_are_a_task_of_their_own(minari_folder: Path) -> None:
    """Minari's Ant has 105 observations; the catalog's has the 111 of D4RL's data."""
    import_dataset("my-ant", record("Ant-v5"))
    env = make_environment(catalog.find_task("my-ant"))
    assert (catalog.find_dataset("my-ant").task, env.observation_space.shape) == ("my-ant", (105,))
    env.close()


def test_images_are_kept_as_they_are(minari_folder: Path) -> None:
    make_environment(catalog.find_task("breakout")).close()
    data = import_dataset("screens", record("ALE/Breakout-v5"))
    assert (data.observations.shape[1:], data.observations.dtype, data.discrete) == ((210, 160, 3), np.uint8, True)
    assert "stored as JPEG, with losses" in data.provenance.origin
    assert simulator_version(catalog.find_task("screens")).startswith("ale-py ")


def test_the_evaluation_environment_is_the_one_that_the_data_name_for_it(minari_folder: Path) -> None:
    minari_id = record("PointMaze_UMaze-v3")
    spec = json.loads((minari_folder / minari_id / "data/metadata.json").read_text())["env_spec"]
    changed = json.loads(spec) | {"max_episode_steps": 44}
    changed["kwargs"]["continuing_task"] = False
    change_metadata(minari_folder, eval_env_spec=json.dumps(changed))
    import_dataset("my-maze", minari_id)
    task = catalog.find_task("my-maze")
    assert task.horizon == 44
    env = make_environment(task)
    assert env.unwrapped.continuing_task is False
    env.close()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"id": "Nobody/Knows-v0"},
            r"environment 'Nobody/Knows-v0', which nothing that is imported here registers; .*--env-module MODULE",
        ),
        ({"kwargs": {"colour": "red"}}, r"'PointMaze_UMaze-v3' of data set 'my-maze' can't be made with .*colour"),
        (
            {"id": "Reacher-v5", "kwargs": {}},
            r"observations of shape \(8,\), but its environment 'Reacher-v5' .* has \(10,\)",
        ),
    ],
)
def test_environments_that_do_not_fit_are_refused(
    minari_folder: Path, lamobench_home: Path, changed: dict[str, Any], message: str
) -> None:
    minari_id = record("PointMaze_UMaze-v3")
    path = minari_folder / minari_id / "data/metadata.json"
    spec = json.loads(json.loads(path.read_text())["env_spec"]) | changed
    change_metadata(minari_folder, env_spec=json.dumps(spec))
    with pytest.raises(UserError, match=message) as caught:
        import_dataset("my-maze", minari_id)
    assert "\n" not in str(caught.value)
    assert not lamobench_home.exists()


def test_code_that_metadata_name_is_never_run(minari_folder: Path, tmp_path: Path) -> None:
    minari_id = record("PointMaze_UMaze-v3")
    path = minari_folder / minari_id / "data/metadata.json"
    spec = json.loads(json.loads(path.read_text())["env_spec"])
    spec |= {"entry_point": "pathlib:Path.touch", "kwargs": {"reward_type": "dense"}}
    change_metadata(minari_folder, env_spec=json.dumps(spec))
    import_dataset("my-maze", minari_id)
    env = make_environment(catalog.find_task("my-maze"))
    assert type(env.unwrapped).__name__ == "PointMazeEnv"
    env.close()


def test_data_without_an_environment_are_refused(minari_folder: Path, lamobench_home: Path) -> None:
    minari_id = record("PointMaze_UMaze-v3")
    change_metadata(minari_folder, env_spec=None)
    with pytest.raises(UserError, match="names no environment, so no policy can be evaluated on it"):
        import_dataset("my-maze", minari_id)
    assert not lamobench_home.exists()


def test_a_damaged_task_is_damage_of_the_data_set(minari_folder: Path) -> None:
    import_dataset("pendulum", record("InvertedPendulum-v5"))
    path = cache.folder_of("pendulum", "minari") / "meta.json"
    meta = json.loads(path.read_text())
    path.write_text(json.dumps(meta | {"task": {"name": "pendulum"}}))
    with pytest.raises(UserError, match=r"meta.json is damaged .*--force"):
        catalog.load("pendulum")
    assert catalog.status()[-1]["state"] == "damaged"
    with pytest.raises(UserError, match="unknown task 'pendulum'"):
        catalog.find_task("pendulum")
