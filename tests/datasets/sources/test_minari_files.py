"""A Minari data set that comes from anywhere is checked before Minari reads it."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import minari
import numpy as np
import pytest
from gymnasium import spaces
from minari.data_collector import EpisodeBuffer

from lamobench.datasets.errors import UserError
from lamobench.datasets.file_checks import LIMIT
from lamobench.datasets.sources.minari import environment_of, read

pytestmark = pytest.mark.filterwarnings("ignore:.*(is set to None|env_spec is None)")
ID = "test/set-v0"
SPEC = {"id": "Hopper-v5", "kwargs": {}, "max_episode_steps": 5}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.delenv(LIMIT, raising=False)
    return tmp_path / "minari"


def store(actions: spaces.Space | None = None, data_format: str = "hdf5") -> None:
    """Two episodes of four steps."""
    space = actions or spaces.Discrete(4)
    box = spaces.Box(-np.inf, np.inf, (3,), np.float64)
    buffers = [
        EpisodeBuffer(
            observations=list(np.arange(15.0).reshape(5, 3)),
            actions=[np.zeros(space.shape, space.dtype)] * 4,
            rewards=[1.0] * 4,
            terminations=[False] * 4,
            truncations=[False] * 3 + [True],
            infos={},
        )
        for _ in range(2)
    ]
    minari.create_dataset_from_buffers(ID, buffers, observation_space=box, action_space=space, data_format=data_format)


def replace_array(root: Path, name: str, values: Any) -> None:
    with h5py.File(root / ID / "data/main_data.hdf5", "r+") as file:
        del file[f"episode_1/{name}"]
        file[f"episode_1/{name}"] = values


def change_metadata(root: Path, **changed: Any) -> None:
    path = root / ID / "data/metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def refused(root: Path, message: str, look: Callable[[str, Path], Any] = lambda i, root: read(i, root, "own")) -> None:
    with pytest.raises(UserError, match=message) as caught:
        look(ID, root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("width", [1, 3])
def test_actions_of_another_width_are_refused(root: Path, width: int) -> None:
    store(spaces.Box(-1, 1, (2,), np.float32))
    replace_array(root, "actions", np.zeros((4, width), np.float32))
    refused(root, rf"episode 1: actions has the shape \(4, {width}\), expected \(2,\) at each step")


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("actions", np.zeros(()), r"actions has the shape \(\)"),
        ("actions", np.array([0, 1, 0.5, 0]), "actions has the value 0.5, expected whole numbers"),
        ("rewards", np.zeros((4, 1)), r"rewards has the shape \(4, 1\)"),
        ("rewards", np.zeros(4, complex), "rewards holds complex128, expected real numbers"),
        ("rewards", np.array([b"1"] * 4), "rewards holds .S1, expected real numbers"),
        ("rewards", np.array([0, 0, 1e39, 0]), r"rewards\[6\] is not a finite number"),
        ("terminations", np.array([0, 0, 0, 2]), "terminations has the value 2, expected 0 or 1"),
        ("terminations", np.array([0, 0, 0, np.nan]), "terminations has the value nan"),
        ("truncations", np.zeros((4, 2), bool), r"truncations has the shape \(4, 2\)"),
        ("observations", np.zeros(()), "observations have the shape"),
        ("observations", np.zeros((5, 3), complex), "observations holds complex128"),
        ("observations", np.array([[b"x"] * 3] * 5), "observations holds .S1"),
    ],
)
def test_arrays_of_other_shapes_and_types_are_refused(root: Path, name: str, values: Any, message: str) -> None:
    store()
    replace_array(root, name, values)
    refused(root, message)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"total_steps": "8"}, "'total_steps' is '8', expected int"),
        ({"total_steps": True}, "'total_steps' is 'True', expected int"),
        ({"total_episodes": None}, "'total_episodes' is 'None', expected int"),
        ({"total_steps": 10**12}, rf"says that it holds 6,000.0 GB, more than the 4 GB .* put {LIMIT}=6000 before"),
        ({"total_episodes": 10**12}, "says that it holds 6,000.0 GB"),
        ({"total_steps": 3 * 10**8}, "data says that it holds 4.8 GB"),
        ({"author": 5}, "'author' is '5'"),
        ({"author": [{}]}, "'author' is"),
        ({"requirements": None}, "'requirements' is 'None'"),
        ({"dataset_id": "../../x"}, "is no readable Minari data set"),
        ({"observation_space": "[" * 100_000}, "nested too deeply"),
        ({"action_space": '{"type": "Dict", "subspaces": {"a": ' * 300 + "1" + "}}" * 300}, "nested more than"),
        ({"env_spec": "[" * 100_000}, "nested too deeply"),
        ({"env_spec": "[]"}, "no object with fields"),
        ({"env_spec": json.dumps(SPEC | {"id": "a b c"})}, "is no readable Minari data set"),
        ({"env_spec": json.dumps(SPEC | {"kwargs": []})}, "'kwargs' is"),
        ({"eval_env_spec": json.dumps(SPEC | {"max_episode_steps": "x"})}, "'max_episode_steps' is 'x'"),
        ({"eval_env_spec": json.dumps({"id": "FrankaKitchen-v1", "kwargs": {"tasks_to_complete": [[]]},
                                       "max_episode_steps": 5})}, "'tasks_to_complete' is"),
        ({"ref_min_score": "0"}, "'ref_min_score' is '0'"),
        ({"ref_max_score": float("inf")}, "a reference score is infinite"),
    ],
)  # fmt: skip
def test_metadata_of_other_types_and_sizes_are_refused(root: Path, changed: dict[str, Any], message: str) -> None:
    store()
    change_metadata(root, **changed)
    refused(root, message)


def test_metadata_that_are_no_object_or_nested_deeply_are_refused(root: Path) -> None:
    store()
    path = root / ID / "data/metadata.json"
    for content, message in (("[]", "no object"), ("[" * 100_000, "nested too deeply"), ('{"a": 1, "a": 2}', "twice")):
        path.write_text(content)
        refused(root, message)
        refused(root, message, environment_of)


def test_options_may_be_infinite(root: Path) -> None:
    store()
    spec = json.loads(gymnasium.spec("Hopper-v5").to_json()) | {"kwargs": {"healthy_z_range": [0.7, float("inf")]}}
    change_metadata(root, eval_env_spec=json.dumps(spec), ref_min_score=float("nan"))
    found = environment_of(ID, root)
    assert found is not None
    assert found.options == spec["kwargs"]


@pytest.mark.parametrize("data_format", ["hdf5", "arrow"])
def test_links_and_pipes_in_the_place_of_files_are_refused(root: Path, data_format: str, tmp_path: Path) -> None:
    store(data_format=data_format)
    data = next(path for path in (root / ID / "data").rglob("*.*") if path.suffix in (".hdf5", ".arrow"))
    for path in (data, root / ID / "data/metadata.json"):
        kept = path.rename(tmp_path / path.name)
        path.symlink_to(kept)
        refused(root, f"{path.name} is a link that leads out of")
        path.unlink()
        os.mkfifo(path)
        refused(root, f"{path.name} is a named pipe where a regular file belongs")
        path.unlink()
        path.symlink_to("/dev/zero")
        refused(root, f"{path.name} is a device")
        path.unlink()
        shutil.move(kept, path)
    assert read(ID, root, "own").num_steps == 8


def test_an_array_in_another_file_is_refused(root: Path, tmp_path: Path) -> None:
    store()
    with h5py.File(tmp_path / "secret.hdf5", "w") as file:
        file["rewards"] = np.arange(4.0)
    with h5py.File(root / ID / "data/main_data.hdf5", "r+") as file:
        del file["episode_1/rewards"]
        file["episode_1/rewards"] = h5py.ExternalLink(str(tmp_path / "secret.hdf5"), "rewards")
    refused(root, "keeps 'episode_1/rewards' in another file, which is not followed")


@pytest.mark.parametrize("data_format", ["hdf5", "arrow", "parquet"])
def test_the_limit_is_on_what_is_declared_and_can_be_raised(
    root: Path, data_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(data_format=data_format)
    monkeypatch.setenv(LIMIT, "3e-7")  # 300 bytes: 8 steps of 20, but the files have 5 of 3 numbers and more, twice
    refused(root, "says that it holds 0.0 GB, more than the 3e-07 GB that are read from one file")
    monkeypatch.setenv(LIMIT, "1e-6")
    assert read(ID, root, "own").num_steps == 8
