import json
import tracemalloc
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
import pytest
from gymnasium import spaces
from minari.data_collector import EpisodeBuffer

from lamobench.datasets.errors import UserError
from lamobench.datasets.sources.minari import local_root, read

pytestmark = pytest.mark.filterwarnings("ignore:.*(is set to None|env_spec is None)")
BOX = spaces.Box(-np.inf, np.inf, (3,), np.float64)
DISCRETE = spaces.Discrete(4)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path


class Countdown(gymnasium.Env):  # type: ignore[misc]
    """An environment that ends after as many steps as its seed: terminated if that is even, truncated if it is odd."""

    def __init__(self, action_space: gymnasium.Space) -> None:
        self.observation_space = BOX
        self.action_space = action_space
        self.log: list[Any] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        assert seed is not None
        self.left = seed
        self.even = seed % 2 == 0
        observation = np.random.default_rng(seed).normal(size=3)
        self.log.append([(observation, None, None, None, None)])
        return observation, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.left -= 1
        observation = np.random.default_rng(100 * self.left).normal(size=3)
        reward = float(np.sum(action)) + self.left
        ends = (self.left == 0 and self.even, self.left == 0 and not self.even)
        self.log[-1].append((observation, action, reward, *ends))
        return observation, reward, *ends, {}


def stored(
    buffers: list[EpisodeBuffer],
    observations: gymnasium.Space = BOX,
    actions: gymnasium.Space = DISCRETE,
    **options: Any,
) -> str:
    spaces_of = {"observation_space": observations, "action_space": actions}
    minari.create_dataset_from_buffers("test/set-v0", buffers, **spaces_of, **options)
    return "test/set-v0"


def episode(steps: int = 4, **changed: Any) -> EpisodeBuffer:
    values: dict[str, Any] = {
        "observations": list(np.arange(3.0 * (steps + 1)).reshape(-1, 3)),
        "actions": [1] * steps,
        "rewards": [1.0] * steps,
        "terminations": [False] * steps,
        "truncations": [False] * (steps - 1) + [True],
        "infos": {},
    }
    return EpisodeBuffer(**(values | changed))


@pytest.mark.parametrize(
    "action_space", [DISCRETE, spaces.Box(-1, 1, (2,), np.float32)], ids=["discrete", "continuous"]
)
def test_what_is_read_is_what_was_played(root: Path, action_space: gymnasium.Space) -> None:
    env = Countdown(action_space)
    collector = minari.DataCollector(env)
    lengths = [3, 4, 1]
    for length in lengths:
        collector.reset(seed=length)
        for _ in range(length):
            collector.step(action_space.sample())
    collector.create_dataset("test/countdown-v0")
    data = read("test/countdown-v0", root, dataset="own")
    assert list(data.offsets) == [0, 3, 7, 8]
    steps = [step for played in env.log for step in played[1:]]
    before = [step[0] for played in env.log for step in played[:-1]]
    np.testing.assert_array_equal(data.observations, np.array(before, np.float32), strict=True)
    np.testing.assert_array_equal(
        data.last_observations, np.array([e[-1][0] for e in env.log], np.float32), strict=True
    )
    np.testing.assert_array_equal(data.actions, np.array([step[1] for step in steps]), strict=True)
    np.testing.assert_array_equal(data.rewards, np.array([step[2] for step in steps], np.float32), strict=True)
    np.testing.assert_array_equal(data.terminals, [step[3] for step in steps])
    np.testing.assert_array_equal(data.timeouts, [step[4] for step in steps])
    assert data.terminals.sum() == 1
    assert data.actions.dtype == (np.int64 if data.discrete else np.float32)
    assert data.provenance.origin == "minari test/countdown-v0"
    assert (data.provenance.env_id, data.provenance.simulator) == ("unknown", "unknown")


def test_an_episode_that_just_stops_is_a_timeout(root: Path) -> None:
    stops = episode(truncations=[False] * 4)
    ends = episode(truncations=[False] * 4, terminations=[False] * 3 + [True])
    data = read(stored([stops, ends]), root, dataset="own")
    assert list(np.flatnonzero(data.timeouts)) == [3]
    assert list(np.flatnonzero(data.terminals)) == [7]


def test_a_reward_that_is_not_a_number_is_refused(root: Path) -> None:
    with pytest.raises(UserError, match=r"data set 'own': rewards\[6\] is not a finite number"):
        read(stored([episode(), episode(rewards=[1.0, 1.0, float("nan"), 1.0])]), root, dataset="own")


def test_an_end_inside_an_episode_is_refused(root: Path) -> None:
    with pytest.raises(UserError, match="a terminal or timeout lies inside an episode"):
        read(stored([episode(terminations=[False, True, False, False])]), root, dataset="own")


def test_missing_observations_are_refused(root: Path) -> None:
    with pytest.raises(
        UserError, match=r"episode 0 of 4 rewards: .* have \[4, 4, 4, 4\] entries, expected \[5, 4, 4, 4\]"
    ):
        read(stored([episode(observations=list(np.zeros((4, 3))))]), root, dataset="own")


GOALS = spaces.Dict({"observation": BOX, "achieved_goal": spaces.Box(0, 1, (1,)), "desired_goal": spaces.Discrete(3)})


def goals(steps: int = 4) -> dict[str, Any]:
    rng = np.random.default_rng(steps)
    return {
        "observation": rng.normal(size=(steps + 1, 3)),
        "achieved_goal": rng.random((steps + 1, 1)).astype(np.float32),
        "desired_goal": rng.integers(0, 3, steps + 1),
    }


@pytest.mark.parametrize("data_format", ["hdf5", "arrow"])
def test_dictionaries_become_vectors_as_gymnasium_flattens_them(root: Path, data_format: str) -> None:
    parts = [goals(steps) for steps in (4, 2)]
    buffers = [episode(steps, observations=observations) for steps, observations in zip((4, 2), parts, strict=True)]
    data = read(stored(buffers, GOALS, data_format=data_format), root, dataset="own")
    flat = [
        [spaces.flatten(GOALS, {k: v[t] for k, v in part.items()}) for t in range(n)]
        for part, n in zip(parts, (5, 3), strict=True)
    ]
    np.testing.assert_array_equal(data.observations, np.array(flat[0][:-1] + flat[1][:-1], np.float32), strict=True)
    np.testing.assert_array_equal(data.last_observations, np.array([flat[0][-1], flat[1][-1]], np.float32), strict=True)
    assert "observations are the parts achieved_goal, desired_goal, observation end to end" in data.provenance.origin


@pytest.mark.parametrize(
    ("space", "observations", "message"),
    [
        (
            spaces.Tuple([BOX, BOX]),
            (np.zeros((5, 3)), np.zeros((5, 3))),
            r"observations in Tuple\(.*expected a Box or a",
        ),
        (
            spaces.Dict({"a": BOX, "b": spaces.Text(5)}),
            {"a": np.zeros((5, 3)), "b": ["x"] * 5},
            "observations in Text are",
        ),
        (GOALS, goals() | {"observation": np.zeros((4, 3))}, "parts of its observations have 4 and 5 entries"),
    ],
)
def test_observations_that_are_no_vectors_are_refused(
    root: Path, space: spaces.Space, observations: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read(stored([episode(observations=observations)], observations=space), root, dataset="own")
    assert "'test/set-v0'" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data_format", ["hdf5", "arrow"])
@pytest.mark.parametrize("shape", [(210, 160, 3), (84, 84)])
def test_images_stay_as_they_are_and_losses_are_told(root: Path, data_format: str, shape: tuple[int, ...]) -> None:
    space = spaces.Box(0, 255, shape, np.uint8)
    frames = np.random.default_rng(0).integers(0, 256, (5, *shape)).astype(np.uint8)
    images = episode(observations=list(frames))
    exact = read(stored([images], space, data_format=data_format, jpeg_encoding=False), root, dataset="own")
    np.testing.assert_array_equal(exact.observations, frames[:-1], strict=True)
    np.testing.assert_array_equal(exact.last_observations, frames[-1:], strict=True)
    assert "JPEG" not in exact.provenance.origin
    minari.delete_dataset("test/set-v0")
    lossy = read(stored([images], space, data_format=data_format), root, dataset="own")
    assert lossy.observations.shape == (4, *shape)
    assert "its images were stored as JPEG, with losses" in lossy.provenance.origin


@pytest.mark.parametrize("actions", [DISCRETE, spaces.Box(-1, 1, (2,), np.float32)])
def test_arrow_files_hold_the_same(root: Path, actions: spaces.Space) -> None:
    buffers = [episode(n, actions=[actions.sample() for _ in range(n)]) for n in (4, 1, 7)]
    hashes = set()
    for data_format in ("hdf5", "arrow", "parquet"):
        data = read(stored(buffers, actions=actions, data_format=data_format), root, dataset="own")
        assert data.lengths.tolist() == [4, 1, 7]
        hashes.add(data.content_hash)
        minari.delete_dataset("test/set-v0")
    assert len(hashes) == 1


@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_an_arrow_file_that_is_cut_short_is_named(root: Path, kept: float) -> None:
    path = next((root / stored([episode() for _ in range(3)], data_format="arrow") / "data").rglob("*.arrow"))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(UserError, match=r"test/set-v0/data is damaged .*record or fetch it again") as caught:
        read("test/set-v0", root, dataset="own")
    assert "\n" not in str(caught.value)


def change_metadata(root: Path, **changed: Any) -> None:
    path = root / "test/set-v0/data/metadata.json"
    metadata = json.loads(path.read_text()) | changed
    path.write_text(json.dumps({key: value for key, value in metadata.items() if value is not None}))


@pytest.mark.parametrize("changed", [{"total_steps": 7}, {"total_steps": 9}, {"total_episodes": 1}])
def test_metadata_that_count_wrongly_are_refused(root: Path, changed: dict[str, int]) -> None:
    stored([episode(), episode()])
    change_metadata(root, **changed)
    with pytest.raises(UserError, match=r"does not hold the . episodes? and . steps that its metadata say; record or"):
        read("test/set-v0", root, dataset="own")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"total_steps": 0}, "has no episodes"),
        ({"total_episodes": 3}, "is damaged"),
        ({"observation_space": None}, "names no observation_space; write it again with a current Minari"),
        ({"data_format": "paper"}, "is no readable Minari data set"),
        ({"minari_version": "99.0"}, "is no readable Minari data set"),
        ({"action_space": "{}"}, "is no readable Minari data set"),
    ],
)
def test_other_damaged_metadata_are_refused(root: Path, changed: dict[str, Any], message: str) -> None:
    stored([episode(), episode()])
    change_metadata(root, **changed)
    with pytest.raises(UserError, match=message) as caught:
        read("test/set-v0", root, dataset="own")
    assert "\n" not in str(caught.value)


def test_reading_needs_room_for_the_data_once(root: Path) -> None:
    """The peak is the arrays, one episode, and Minari's own small things."""
    space = spaces.Box(-np.inf, np.inf, (100,), np.float32)
    rng = np.random.default_rng(0)
    stored([episode(100, observations=rng.normal(size=(101, 100)).astype(np.float32)) for _ in range(100)], space)
    read("test/set-v0", root, dataset="own")  # what is loaded the first time is not counted
    tracemalloc.start()
    data = read("test/set-v0", root, dataset="own")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * data.observations.nbytes


def test_other_action_spaces_are_refused(root: Path) -> None:
    space = spaces.MultiDiscrete([2, 2])
    with pytest.raises(
        UserError, match=r"actions in MultiDiscrete\(\[2 2\]\); expected a Box of real numbers or a Discrete space"
    ):
        read(stored([episode(actions=[np.array([1, 1])] * 4)], actions=space), root, dataset="own")


def test_a_missing_data_set_is_named_with_its_folder(root: Path) -> None:
    with pytest.raises(UserError, match=f"no Minari data set 'test/absent-v0' in {root}"):
        read("test/absent-v0", local_root(), dataset="own")


@pytest.mark.parametrize(("file", "kept"), [("main_data.hdf5", 0.5), ("main_data.hdf5", 0.98), ("metadata.json", 0.5)])
def test_a_file_that_is_cut_short_is_named(root: Path, file: str, kept: float) -> None:
    path = root / stored([episode() for _ in range(5)]) / "data" / file
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(UserError, match=r"test/set-v0/data.*record or fetch it again") as caught:
        read("test/set-v0", root, dataset="own")
    assert "\n" not in str(caught.value)
