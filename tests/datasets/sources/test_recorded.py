import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lamobench.datasets import cache, catalog
from lamobench.datasets.errors import UserError
from lamobench.datasets.recording import collect
from lamobench.datasets.sources import recorded
from lamobench.datasets.sources.recorded import record_dataset

NAME = "reacher2d-medium"


@pytest.fixture
def home(lamobench_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and a catalog in which the data set has three episodes only."""
    shorter = replace(catalog.recording_of(catalog.DATASETS[NAME]), episodes=3)
    monkeypatch.setitem(catalog.DATASETS, NAME, replace(catalog.DATASETS[NAME], sources=(shorter,)))
    return lamobench_home


@pytest.mark.usefixtures("lamobench_home")
def test_the_small_data_set_is_what_the_catalog_says() -> None:
    data = record_dataset(NAME)
    assert (data.num_episodes, data.num_steps) == (50, 5000)
    assert abs(data.returns.mean() - 36) < 3, "within 1 with the simulator of constraints.txt"
    assert data.provenance.source == "recorded"
    assert data.provenance.env_id == "lamobench/Reacher2d-v0"
    assert data.provenance.simulator.startswith("mujoco 3.")
    assert catalog.load(NAME).content_hash == data.content_hash


def test_what_is_there_is_opened_and_not_made_again(home: Path) -> None:
    first = record_dataset(NAME)
    stamps = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    assert record_dataset(NAME).content_hash == first.content_hash
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == stamps


def test_a_lost_cache_is_made_from_the_recording(home: Path) -> None:
    first = record_dataset(NAME)
    recording = home / "minari" / catalog.recording_of(catalog.DATASETS[NAME]).minari_id
    inode = recording.stat().st_ino
    cache.remove(NAME, "recorded")
    assert record_dataset(NAME).content_hash == first.content_hash
    assert recording.stat().st_ino == inode


def test_force_mends_damaged_files(home: Path) -> None:
    first = record_dataset(NAME)
    damaged = [home / "minari" / catalog.recording_of(catalog.DATASETS[NAME]).minari_id / "data" / "main_data.hdf5"]
    damaged.append(cache.folder_of(NAME, "recorded") / "rewards.npy")
    for path in damaged:
        path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(UserError, match=r"rewards\.npy is damaged"):
        record_dataset(NAME)
    assert record_dataset(NAME, force=True).content_hash == first.content_hash
    assert cache.verify(cache.folder_of(NAME, "recorded")).num_steps == 300


def test_a_forced_recording_that_is_no_good_replaces_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = record_dataset(NAME)
    stamps = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}

    def unreadable(*args: object, **kwargs: object) -> None:
        raise UserError("rewards[0] is not a finite number")

    with monkeypatch.context() as patch:
        patch.setattr(collect, "read", unreadable)
        with pytest.raises(UserError, match="not a finite number"):
            record_dataset(NAME, force=True)
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()} == stamps
    assert cache.verify(cache.folder_of(NAME, "recorded")).content_hash == first.content_hash
    assert not [path for path in home.rglob(".*") if path.is_dir()]


def test_bad_names_record_nothing(home: Path) -> None:
    with pytest.raises(UserError, match="unknown data set 'reacher3d-medium'; did you mean"):
        record_dataset("reacher3d-medium")
    with pytest.raises(UserError, match="'hopper-medium-v1' can't be recorded, only read from: d4rl"):
        record_dataset("hopper-medium-v1")
    assert not home.exists()


RACER = """
import sys, time
from dataclasses import replace
from pathlib import Path
from lamobench.datasets import catalog
from lamobench.datasets.recording import collect
from lamobench.datasets.sources.recorded import record_dataset

name, mine, other = "reacher2d-medium", Path(sys.argv[1]), Path(sys.argv[2])
shorter = replace(catalog.recording_of(catalog.DATASETS[name]), episodes=3)
catalog.DATASETS[name] = replace(catalog.DATASETS[name], sources=(shorter,))
player = collect.PLAYERS["reacher2d"]

def play_when_both_record(env, grade, part):
    mine.touch()
    deadline = time.monotonic() + 60
    while not other.exists():
        assert time.monotonic() < deadline, "the other process never began"
        time.sleep(0.01)
    player.play(env, grade, part)

collect.PLAYERS["reacher2d"] = replace(player, play=play_when_both_record)
print(record_dataset(name).content_hash)
"""


@pytest.mark.parametrize("force", [False, True], ids=["first time", "force"])
def test_two_processes_recording_at_once_both_succeed(home: Path, tmp_path: Path, force: bool) -> None:
    code = RACER.replace("(name)", "(name, force=True)") if force else RACER
    expected = record_dataset(NAME).content_hash if force else ""
    flags = [str(tmp_path / "a"), str(tmp_path / "b")]
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code, *order], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for order in (flags, flags[::-1])
    ]
    results = [racer.communicate(timeout=120) for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0], results
    assert results[0][0] == results[1][0]
    verified = cache.verify(cache.folder_of(NAME, "recorded"))
    assert results[0][0].strip() == verified.content_hash == (expected or verified.content_hash)
    assert not [path for path in home.rglob(".*") if path.is_dir()], "no temporary folder is left"


def test_recordings_live_below_the_home(home: Path) -> None:
    data = record_dataset(NAME)
    assert recorded.minari_root() == home / "minari"
    assert np.isfinite(data.observations).all()


def test_a_data_set_recorded_by_another_of_its_names_is_the_same(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalog.ALIASES, "reacher2d-other", NAME)
    data = record_dataset("reacher2d-other")
    assert data.provenance.dataset == NAME
    assert sorted(path.name for path in (home / "datasets").iterdir()) == [NAME]
    assert record_dataset(NAME).content_hash == data.content_hash


def test_a_damaged_copy_is_made_again_from_the_recording_which_stays(home: Path) -> None:
    first = record_dataset(NAME)
    recording = home / "minari" / catalog.recording_of(catalog.DATASETS[NAME]).minari_id
    inode = recording.stat().st_ino
    damaged = cache.folder_of(NAME, "recorded") / "rewards.npy"
    damaged.write_bytes(damaged.read_bytes()[:-7])
    assert recorded.mend_recorded(NAME).content_hash == first.content_hash
    assert catalog.load(NAME).content_hash == first.content_hash
    assert recording.stat().st_ino == inode
