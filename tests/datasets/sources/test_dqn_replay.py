import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lamobench.datasets import cache, catalog
from lamobench.datasets.errors import UserError
from lamobench.datasets.fractions import take_fraction
from lamobench.datasets.sources import dqn_replay
from lamobench.datasets.sources.fetched import fetch_dataset
from lamobench.datasets.trajectories import Trajectories
from lamobench.datasets.windows import ContextSampler

from .dqn_replay_files import GAMES, SOURCE, games, rows, write

NAME = "breakout-medium"
BREAKOUT = catalog.DATASETS[NAME]


def read(folder: Path, scratch: Path) -> Trajectories:
    scratch.mkdir(exist_ok=True)
    return dqn_replay.read(folder, BREAKOUT, SOURCE, scratch)


def test_the_catalog_names_the_public_files() -> None:
    source = catalog.file_of(BREAKOUT)
    assert source == SOURCE
    path, address = next(iter(source.files.items()))
    assert len(source.files) == 4
    assert path == "dqn/Breakout/1/replay_logs/$store$_observation_ckpt.10.gz"
    assert address == f"https://storage.googleapis.com/atari-replay-datasets/{path}"
    assert source.address.endswith("/$store$_{observation,action,reward,terminal}_ckpt.10.gz")


def test_what_is_read_is_what_was_played(tmp_path: Path) -> None:
    played = games()
    write(tmp_path, rows(played))
    data = read(tmp_path, tmp_path / "scratch")
    assert tuple(data.lengths) == GAMES
    for name, kind in (("observations", "observation"), ("actions", "action"), ("rewards", "reward")):
        np.testing.assert_array_equal(getattr(data, name), np.concatenate(played[kind]))
    assert (data.observations.dtype, data.actions.dtype, data.rewards.dtype) == (np.uint8, np.int64, np.float32)
    np.testing.assert_array_equal(data.last_observations, [frames[-1] for frames in played["observation"]])
    assert np.flatnonzero(data.terminals).tolist() == [4, 11, 12]
    assert np.flatnonzero(data.timeouts).tolist() == [16]
    assert (data.provenance.env_id, data.provenance.source) == ("BreakoutNoFrameskip-v0", "dqn_replay")
    assert "9 rows of padding and the last row, which is of another time, are left out" in data.provenance.origin
    assert "rewards were stored clipped" in data.provenance.origin
    assert "the end of the file cuts the last episode" in data.provenance.origin
    assert isinstance(data.observations, np.memmap)


@pytest.mark.parametrize("block", [3, 4, 4096])
def test_blocks_of_any_size_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    write(tmp_path, rows(games()))
    whole = read(tmp_path, tmp_path / "whole").content_hash
    monkeypatch.setattr(dqn_replay, "BLOCK", block)
    assert read(tmp_path, tmp_path / "blocks").content_hash == whole


def test_black_frames_that_are_no_padding_are_kept(tmp_path: Path) -> None:
    played = games((4, 6, 2))
    played["observation"][1][:2] = 0  # black, but after the padding
    played["observation"][2][:] = 0
    played["action"][2][:] = 1
    played["reward"][2][:] = 0
    write(tmp_path, rows(played))
    assert read(tmp_path, tmp_path / "scratch").lengths.tolist() == [4, 6, 2]


def test_files_without_padding_lose_no_step(tmp_path: Path) -> None:
    played = games((4, 6))
    arrays = {kind: np.concatenate([*parts, parts[0][:1]]) for kind, parts in played.items()}
    write(tmp_path, arrays, terminal=(np.arange(11) == 3).astype(np.uint8))
    data = read(tmp_path, tmp_path / "scratch")
    assert data.lengths.tolist() == [4, 6]
    np.testing.assert_array_equal(data.rewards, np.concatenate(played["reward"]))


def test_a_file_that_is_cut_inside_padding_has_no_episode_of_it(tmp_path: Path) -> None:
    arrays = rows(games((4, 6, 2)))
    write(tmp_path, {kind: np.concatenate([array[: 4 + 3 + 6 + 2], array[:1]]) for kind, array in arrays.items()})
    data = read(tmp_path, tmp_path / "scratch")
    assert data.lengths.tolist() == [4, 6]
    assert not data.timeouts.any()
    assert "cuts" not in data.provenance.origin
    assert len(data.last_observations) == 2


def test_the_row_of_another_time_may_hold_anything(tmp_path: Path) -> None:
    arrays = rows(games())
    arrays["action"][-1] = -7
    arrays["reward"][-1] = np.nan
    arrays["terminal"][-1] = 9
    write(tmp_path, arrays)
    assert read(tmp_path, tmp_path / "scratch").num_steps == sum(GAMES)


@pytest.mark.usefixtures("lamobench_home")
def test_a_folder_brought_by_hand_opens_from_the_cache(tmp_path: Path) -> None:
    write(tmp_path / "brought", rows(games()))
    data = fetch_dataset(NAME, path=tmp_path / "brought")
    opened = catalog.load(NAME)
    assert opened.content_hash == data.content_hash
    assert cache.verify(cache.folder_of(NAME, "dqn_replay")).num_steps == sum(GAMES)
    assert len(list((tmp_path / "brought").iterdir())) == 4
    assert [path.name for path in cache.folder_of(NAME, "dqn_replay").parent.iterdir()] == ["dqn_replay"]
    (row,) = [row for row in catalog.status() if row["dataset"] == NAME and row["source"] == "dqn_replay"]
    assert (row["state"], row["episodes"]) == ("ready", 4)
    sampler = ContextSampler(take_fraction(opened, 1.0, 0), 5)
    assert sampler.sample(3, np.random.default_rng(0)).observations.shape[:2] == (3, 5)


@pytest.mark.usefixtures("lamobench_home")
def test_force_takes_the_place_of_other_data_and_nothing_else_does(tmp_path: Path) -> None:
    for seed in (0, 1):
        write(tmp_path / str(seed), rows(games(seed=seed)))
    first = fetch_dataset(NAME, path=tmp_path / "0").content_hash
    with pytest.raises(UserError, match=rf"holds other data .* type: lamobench data fetch {NAME} --force$"):
        fetch_dataset(NAME, path=tmp_path / "1")
    assert cache.verify(cache.folder_of(NAME, "dqn_replay")).content_hash == first
    assert fetch_dataset(NAME, path=tmp_path / "1", force=True).content_hash != first
    assert [path.name for path in cache.folder_of(NAME, "dqn_replay").parent.iterdir()] == ["dqn_replay"]


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flipped_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def longer(path: Path) -> None:
    with gzip.open(path, "ab") as file:
        file.write(b"more")


def promises_more(path: Path) -> None:
    with gzip.open(path) as file:
        content = file.read()
    with gzip.open(path, "wb") as file:
        file.write(content[:-1])


def array(**changed: np.ndarray) -> Callable[[Path], None]:
    return lambda path: write(path.parent, rows(games()), **changed)


def says(shape: str, descr: str = "|u1") -> Callable[[Path], object]:
    """A file of some bytes that says it has that shape."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return lambda path: path.write_bytes(gzip.compress(b"\x93NUMPY\x01\x00\x76\x00" + header.encode() + bytes(999)))


@pytest.mark.parametrize("kind", ["observation", "action", "reward", "terminal"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut_short, r"is damaged or cut short \(.*\); download or copy it again"),
        (flipped_bit, "is damaged or cut short|holds"),
        (longer, r"holds more than the 27 rows it says"),
        (promises_more, r"is damaged or cut short \(fewer rows than it says\)"),
        (lambda path: path.write_text("<html>"), "is damaged or cut short .*Not a gzipped file"),
        (lambda path: path.write_bytes(b""), "holds no NumPy array"),
        (lambda path: path.write_bytes(gzip.compress(b"no array")), "holds no NumPy array; is it a file of DQN replay"),
        (says("(10000000000,)"), r"says that it has 10000000000 rows; a checkpoint of DQN replay has 1000000"),
        (says("(-1,)"), "holds no NumPy array"),
        (says("(((((1"), "holds no NumPy array"),
        (says("(2,)", "|O"), "holds no NumPy array"),
        (says("()"), r"holds \(\) uint8, expected rows of numbers"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "is a named pipe where a regular file belongs"),
        (lambda path: (path.unlink(), path.symlink_to("/dev/zero")), "is a device where a regular file belongs"),
        (lambda path: path.unlink(), r"no file .*; give the folder with the files \$store\$_observation_ckpt.10.gz,"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(
    tmp_path: Path, lamobench_home: Path, kind: str, spoil: Callable[[Path], object], message: str
) -> None:
    write(tmp_path / "files", rows(games()))
    path = tmp_path / "files" / SOURCE.file_names[kind]
    spoil(path)
    with pytest.raises(UserError, match=message) as caught:
        fetch_dataset(NAME, path=tmp_path / "files")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not [path for path in lamobench_home.rglob("*") if path.name != NAME and path.name != "datasets"]
    if path.exists():
        with pytest.raises(UserError, match=r"damaged|holds|says|regular file"):
            dqn_replay.check_file(path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            array(observation=np.zeros((27, 84, 84), np.float32)),
            r"observation.* holds \(27, 84, 84\) float32, expected",
        ),
        (array(observation=np.zeros((27, 80, 80), np.uint8)), r"holds \(27, 80, 80\) uint8, expected \(27, 84, 84\)"),
        (array(observation=np.zeros((9, 84, 84), np.uint8)), r"holds \(9, 84, 84\) uint8, expected \(27, 84, 84\)"),
        (array(action=np.zeros(9, np.int32)), r"action_ckpt.10.gz has 9 rows, but \$store\$_terminal.* has 27"),
        (array(action=np.zeros(27, np.float32)), r"action_ckpt.10.gz holds \(27,\) float32, expected one action a row"),
        (array(action=np.full(27, 18)), "has actions from 18 to 18, expected 0 to 17"),
        (array(reward=np.full(27, np.nan, np.float32)), r"rewards\[0\] is not a finite number"),
        (array(reward=np.full(27, 1e39)), r"rewards\[0\] is not a finite number"),
        (array(reward=np.zeros(27, complex)), r"reward_ckpt.10.gz holds \(27,\) complex128"),
        (array(reward=np.zeros((27, 2), np.float32)), r"reward_ckpt.10.gz holds \(27, 2\) float32"),
        (array(terminal=np.full(27, 2, np.uint8)), "has the value 2, expected 0 or 1"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(
    tmp_path: Path, lamobench_home: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(tmp_path / "files" / "file")
    with pytest.raises(UserError, match=message):
        fetch_dataset(NAME, path=tmp_path / "files")
    assert not list(lamobench_home.glob("datasets/*/*"))


LIMITED = """
import resource, sys
from pathlib import Path
import lamobench.datasets.sources.fetched as fetched
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
data = fetched.fetch_dataset("breakout-medium", path=Path(sys.argv[1]))
print(data.num_steps, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.usefixtures("lamobench_home")
def test_reading_takes_far_less_memory_than_the_frames(tmp_path: Path) -> None:
    """30,000 frames, 212 MB: neither reading nor hashing may hold them."""
    steps = 30_001
    tmp_path.joinpath("files").mkdir()
    write(
        tmp_path / "files",
        {
            "action": np.ones(steps, np.int32),
            "reward": np.zeros(steps, np.float32),
            "terminal": (np.arange(steps) % 1000 == 999).astype(np.uint8),
        },
    )
    with gzip.open(tmp_path / "files" / SOURCE.file_names["observation"], "wb", compresslevel=1) as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (steps, 84, 84)}
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(0, steps - 1, 1000):
            file.write(bytes(1000 * 84 * 84))
        file.write(bytes(84 * 84))
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "files")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    read_steps, grown = map(int, done.stdout.split())
    assert read_steps == 30_000
    assert grown < 130_000 * (1024 if sys.platform == "darwin" else 1), "kilobytes"
