import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from lamobench.datasets.catalog import file_of, find_dataset, find_task
from lamobench.datasets.environments.simulators import make_environment
from lamobench.datasets.errors import UserError
from lamobench.datasets.kitchen import ELEMENTS
from lamobench.datasets.sources.d4rl import check_file, episode_ends, read
from lamobench.datasets.trajectories import Trajectories
from lamobench.datasets.windows import returns_to_go

from .d4rl_files import EPISODES, STEPS, kitchen, locomotion, write

SUB_GOALS = find_task("kitchen").sub_goals
MICROWAVE, KETTLE, LIGHT, SLIDE = SUB_GOALS


def read_as(name: str, path: Path, source: str = "auto") -> Trajectories:
    dataset = find_dataset(name)
    return read(path, dataset, file_of(dataset, source))


@pytest.mark.parametrize(("version", "name"), [(2, "hopper-medium"), (1, "hopper-medium-v1")])
def test_locomotion_is_read_whole(tmp_path: Path, version: int, name: str) -> None:
    arrays = locomotion(tmp_path / f"hopper_medium-v{version}.hdf5", version)
    data = read_as(name, tmp_path / f"hopper_medium-v{version}.hdf5")
    assert list(data.lengths) == [length for length, _ in EPISODES]
    for field in ("observations", "actions", "rewards"):
        np.testing.assert_array_equal(getattr(data, field), arrays[field], strict=True)
    ends = data.offsets[1:] - 1
    np.testing.assert_array_equal(data.last_observations, arrays["next_observations"][ends], strict=True)
    inside = np.setdiff1d(np.arange(STEPS), ends)
    np.testing.assert_array_equal(data.observations[inside + 1], arrays["next_observations"][inside])
    assert list(data.terminals[ends]) == [True, False, True, False]
    assert list(data.timeouts[ends]) == [False, True, False, True]
    assert data.provenance.env_id == f"hopper-medium-v{version}"
    assert "the end of the file cuts the last episode after 4 steps" in data.provenance.origin


def test_a_last_episode_that_ends_is_not_said_to_be_cut(tmp_path: Path) -> None:
    timeouts = np.zeros(STEPS, bool)
    timeouts[[11, STEPS - 1]] = True
    locomotion(tmp_path / "file.hdf5", timeouts=timeouts)
    data = read_as("hopper-medium", tmp_path / "file.hdf5")
    assert list(data.lengths) == [length for length, _ in EPISODES]
    assert "cuts" not in data.provenance.origin


def test_a_step_that_is_both_terminal_and_timeout_is_terminal(tmp_path: Path) -> None:
    timeouts = np.zeros(STEPS, bool)
    timeouts[[4, 11]] = True
    locomotion(tmp_path / "file.hdf5", timeouts=timeouts)
    data = read_as("hopper-medium", tmp_path / "file.hdf5")
    assert (data.terminals[4], data.timeouts[4]) == (True, False)


def test_version_0_has_no_next_observations_and_says_so(tmp_path: Path) -> None:
    arrays = locomotion(tmp_path / "hopper_medium.hdf5", version=0)
    data = read_as("hopper-medium-v0", tmp_path / "hopper_medium.hdf5")
    assert list(data.lengths) == [length for length, _ in EPISODES]
    np.testing.assert_array_equal(data.last_observations, arrays["observations"][data.offsets[1:] - 1])
    np.testing.assert_allclose(data.returns.sum(), arrays["rewards"].sum(), rtol=1e-5)
    assert "no next observations are stored: the last ones stand in" in data.provenance.origin


def test_files_without_timeouts_are_cut_at_the_horizon() -> None:
    terminals = np.zeros(12, bool)
    terminals[3] = True
    assert list(np.flatnonzero(episode_ends(terminals, None, horizon=4))) == [3, 7, 11]
    assert list(np.flatnonzero(episode_ends(terminals, None, horizon=3))) == [2, 3, 6, 9]
    assert list(np.flatnonzero(episode_ends(terminals, None, horizon=None))) == [3]
    assert not terminals[4:].any(), "the flags are left as they were"


def test_a_locomotion_file_without_timeouts_keeps_every_step(tmp_path: Path) -> None:
    locomotion(tmp_path / "file.hdf5", version=0, timeouts=None)
    data = read_as("hopper-medium-v0", tmp_path / "file.hdf5")
    assert list(data.lengths) == [5, 8, 4]
    assert list(np.flatnonzero(data.timeouts)) == [16]


def test_columns_and_float_flags_are_read_as_d4rl_reads_them(tmp_path: Path) -> None:
    arrays = locomotion(tmp_path / "plain.hdf5")
    columns = {name: arrays[name].astype(np.float32)[:, None] for name in ("rewards", "terminals", "timeouts")}
    locomotion(tmp_path / "columns.hdf5", **columns)
    plain, other = (read_as("hopper-medium", tmp_path / f"{name}.hdf5") for name in ("plain", "columns"))
    assert plain.content_hash == other.content_hash


def demonstrations() -> list[list[set[str]]]:
    return [
        [set(), {MICROWAVE}, {MICROWAVE}, {MICROWAVE, KETTLE}, {MICROWAVE, KETTLE, LIGHT, SLIDE}, {LIGHT, SLIDE}],
        [set(), {KETTLE}, set(), {LIGHT}, {LIGHT}],  # the kettle comes undone, then another sub-goal is done
        [{SLIDE}, {SLIDE}, set()],  # done at the start: the environment pays for it on the first step
        [set()],
    ]


def test_kitchen_rewards_pay_once_per_sub_goal(tmp_path: Path) -> None:
    kitchen(tmp_path / "kitchen.hdf5", demonstrations(), SUB_GOALS)
    data = read_as("kitchen-complete", tmp_path / "kitchen.hdf5")
    assert list(data.lengths) == [6, 5, 3, 1], "nothing is dropped"
    assert list(data.returns) == [4, 2, 1, 0]
    assert list(data.rewards[:6]) == [1, 0, 1, 2, 0, 0], "paid on the step that leads to the observation"
    assert list(data.rewards[6:11]) == [1, 0, 1, 0, 0]
    assert list(data.rewards[11:]) == [1, 0, 0, 0]
    assert list(np.flatnonzero(data.terminals)) == [5, 10, 13, 14]
    assert not data.timeouts.any()
    assert returns_to_go(data)[0] == 4
    np.testing.assert_array_equal(data.last_observations, data.observations[data.offsets[1:] - 1])
    assert "stored counts" not in data.provenance.origin


def test_kitchen_legacy_keeps_the_stored_counts(tmp_path: Path) -> None:
    kitchen(tmp_path / "kitchen.hdf5", demonstrations(), SUB_GOALS)
    data = read_as("kitchen-complete", tmp_path / "kitchen.hdf5", "d4rl-legacy")
    assert list(data.rewards[:6]) == [0, 1, 1, 2, 4, 2]
    assert data.provenance.source == "d4rl-legacy"


def test_kitchen_counts_that_the_observations_contradict_pay_at_new_maxima(tmp_path: Path) -> None:
    counts = np.array([0, 1, 0, 1, 2, 1, 2, 3, 0, 0, 0], np.float32)
    nothing: list[list[set[str]]] = [[set()] * 8, [set()] * 3]
    kitchen(tmp_path / "kitchen.hdf5", nothing, SUB_GOALS, rewards=counts)
    data = read_as("kitchen-partial", tmp_path / "kitchen.hdf5")
    assert list(data.rewards) == [1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0]
    assert "the stored counts of 1 of 2 episodes are not those of the observations" in data.provenance.origin


def test_mixed_has_a_sub_goal_of_its_own(tmp_path: Path) -> None:
    sub_goals = find_task("kitchen-mixed").sub_goals
    kitchen(tmp_path / "kitchen.hdf5", [[set(), {"bottom burner"}, {"bottom burner", SLIDE}]], sub_goals)
    data = read_as("kitchen-mixed", tmp_path / "kitchen.hdf5")
    assert list(data.rewards) == [1, 0, 0], "the slide cabinet is no sub-goal there"


def test_kitchen_returns_agree_with_the_environment(tmp_path: Path) -> None:
    """The environment is played, and a file is written of it as D4RL's script would: counts of each observation."""
    env = make_environment(find_task("kitchen"))
    seen = [env.reset(seed=1)[0]]
    paid = []
    terminated = False
    moves = iter([(), (SLIDE,), (), (MICROWAVE,), (KETTLE,), (LIGHT,), (), ()])
    while not terminated:
        for name in next(moves, ()):
            entries, wanted = ELEMENTS[name]
            env.unwrapped.data.qpos[entries] = wanted
        after, reward, terminated, truncated, _ = env.step(np.zeros(9))
        assert not truncated
        seen.append(after)
        paid.append(reward)
    observations = np.array(seen, np.float32)
    targets = [(entries, np.array(wanted)) for entries, wanted in (ELEMENTS[name] for name in SUB_GOALS)]
    counts = [sum(np.linalg.norm(o[entries] - wanted) < 0.3 for entries, wanted in targets) for o in observations]
    ends = np.arange(len(seen)) == len(seen) - 1
    actions = np.zeros((len(seen), 9), np.float32)
    arrays = {"observations": observations, "actions": actions, "rewards": np.array(counts, float), "terminals": ends}
    write(tmp_path / "kitchen.hdf5", arrays)
    data = read_as("kitchen-complete", tmp_path / "kitchen.hdf5")
    assert list(data.rewards[:-1]) == paid
    assert data.returns[0] == sum(paid) == 4


def test_another_versions_file_is_refused_by_its_name(tmp_path: Path) -> None:
    locomotion(tmp_path / "hopper_medium.hdf5", version=0)
    with pytest.raises(UserError, match=r"is D4RL's hopper-medium-v0, not hopper-medium-v2; type: .* --from /"):
        read_as("hopper-medium", tmp_path / "hopper_medium.hdf5")


def without(*names: str) -> Callable[[Path], object]:
    return lambda path: locomotion(path, **dict.fromkeys(names))


def nan_reward(path: Path) -> None:
    rewards = np.zeros(STEPS, np.float32)
    rewards[6] = np.nan
    locomotion(path, rewards=rewards)


def flags_of(value: Any) -> Callable[[Path], object]:
    return lambda path: locomotion(path, terminals=np.array([value] * STEPS))


def cut_short(path: Path) -> None:
    locomotion(path)
    path.write_bytes(path.read_bytes()[:-100])


def flipped_bit(path: Path) -> None:
    locomotion(path)
    with h5py.File(path) as file:
        offset = file["observations"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[offset + 30] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without("actions"), "has no actions; a D4RL file has observations, actions, rewards, terminals"),
        (without("rewards", "terminals"), "has no rewards and no terminals"),
        (nan_reward, r"rewards\[6\] is not a finite number"),
        (lambda path: locomotion(path, sizes=(17, 6)), r"observations of shape \(17, 17\), but hopper-medium-v2 has"),
        (lambda path: locomotion(path, actions=np.zeros((16, 3))), r"actions of shape \(16, 3\)"),
        (lambda path: locomotion(path, terminals=np.zeros(16)), r"terminals of shape \(16,\), expected \(17,\)"),
        (lambda path: locomotion(path, next_observations=np.zeros((3, 11))), r"next_observations of shape \(3, 11\)"),
        (
            lambda path: write(path, {name: np.zeros((0, 3)) for name in ("rewards", "terminals")}),
            "has no observations",
        ),
        (lambda path: locomotion(path, rewards=np.float32(1)), "has no array of steps as its rewards"),
        (lambda path: locomotion(path, rewards=np.array([b"one"] * STEPS)), "rewards holds .S3, expected real numbers"),
        (lambda path: locomotion(path, rewards=np.array(["one"] * STEPS, object)), "rewards holds object, expected"),
        (lambda path: locomotion(path, actions=np.full((STEPS, 3), 1 + 2j)), "actions holds complex128, expected real"),
        (lambda path: locomotion(path, rewards=np.full(STEPS, 1e39)), r"rewards\[0\] is not a finite number"),
        (lambda path: locomotion(path, **{"timeouts": None, "timeouts/a": np.zeros(3)}), "no array of steps as its t"),
        (flags_of(np.nan), "terminals has the value nan, expected 0 or 1"),
        (flags_of(2.0), "terminals has the value 2, expected 0 or 1"),
        (flags_of(0.5), "terminals has the value 0.5, expected 0 or 1"),
        (flags_of(b"yes"), "terminals holds .S3, expected real numbers"),
        (lambda path: os.mkfifo(path), "is a named pipe where a regular file belongs"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device where a regular file belongs"),
        (lambda path: path.mkdir(), "is a folder where a regular file belongs"),
        (lambda path: path.write_text("<html>"), "is damaged"),
        (cut_short, "is damaged"),
        (flipped_bit, "is damaged"),
    ],
)
def test_a_file_that_is_no_good_is_refused_in_one_line(
    tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(tmp_path / "file.hdf5")
    with pytest.raises(UserError, match=message) as caught:
        read_as("hopper-medium", tmp_path / "file.hdf5")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reward", [5.0, 0.5, -1.0, np.nan])
def test_kitchen_rewards_that_are_no_counts_are_refused(tmp_path: Path, reward: float) -> None:
    kitchen(tmp_path / "kitchen.hdf5", [[set(), set()]], SUB_GOALS, rewards=np.array([0, reward], np.float32))
    with pytest.raises(UserError, match=r"rewards there count sub-goals, 0 to 4"):
        read_as("kitchen-complete", tmp_path / "kitchen.hdf5")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_text("<html>not found"), r"is no HDF5 file: it begins with b'<html>"),
        (lambda path: path.write_bytes(b""), "is no HDF5 file"),
        (lambda path: None, "no file"),
        (lambda path: os.mkfifo(path), "is a named pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device"),
        (cut_short, "is damaged or cut short"),
        (flipped_bit, "is damaged or cut short"),
    ],
)
def test_check_file_finds_damage(tmp_path: Path, spoil: Callable[[Path], Any], message: str) -> None:
    spoil(tmp_path / "file.hdf5")
    with pytest.raises(UserError, match=message):
        check_file(tmp_path / "file.hdf5")


def test_check_file_accepts_what_is_whole(tmp_path: Path) -> None:
    locomotion(tmp_path / "file.hdf5")
    assert check_file(tmp_path / "file.hdf5") is None  # and raises nothing
