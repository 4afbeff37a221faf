import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lamobench.datasets import cache, catalog, entries, storage
from lamobench.datasets.errors import UserError
from lamobench.datasets.sources import fetched
from lamobench.datasets.sources.fetched import download_folder, fetch_dataset
from lamobench.datasets.sources.removed import remove_dataset

from . import dqn_replay_files
from .d4rl_files import kitchen, locomotion

NAME = "hopper-medium"
FILE = "hopper_medium-v2.hdf5"


@pytest.fixture
def served(served_folder: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that a server offers, in place of D4RL's."""
    folder, place = served_folder
    dataset = catalog.DATASETS[NAME]
    file = replace(catalog.file_of(dataset), address=f"{place}/{FILE}")
    monkeypatch.setitem(catalog.DATASETS, NAME, replace(dataset, sources=(file,)))
    return folder


def stamps(home: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_a_file_is_downloaded_and_opens_from_the_cache(served: Path, lamobench_home: Path) -> None:
    arrays = locomotion(served / FILE)
    data = fetch_dataset(NAME)
    opened = catalog.load(NAME)
    assert opened.content_hash == data.content_hash
    np.testing.assert_array_equal(opened.rewards, arrays["rewards"])
    assert opened.provenance.origin.startswith(f"{FILE}; sha256 ")
    before = stamps(lamobench_home)
    (served / FILE).unlink()
    assert fetch_dataset(NAME).content_hash == data.content_hash, "it is there already, and not asked for again"
    assert stamps(lamobench_home) == before


def test_the_four_files_of_dqn_replay_are_downloaded(
    served: Path, lamobench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = catalog.file_of(catalog.find_dataset("breakout-medium"))
    here = catalog.file_of(catalog.find_dataset(NAME)).address.rpartition("/")[0]
    monkeypatch.setattr(entries, "DQN_REPLAY_SERVER", here)
    folder = served / source.folder
    dqn_replay_files.write(folder, dqn_replay_files.rows(dqn_replay_files.games()), terminal=None)
    with pytest.raises(UserError, match=r"terminal.*can't be downloaded: the server says 404") as caught:
        fetch_dataset("breakout-medium")
    assert f"curl -fLO '{here}/{source.folder}/$store$_{{observation,action,reward,terminal}}_ckpt.10.gz'" in str(
        caught.value
    )
    assert str(caught.value).endswith("type: lamobench data fetch breakout-medium --from FOLDER")
    assert len([path for path in (download_folder() / source.folder).iterdir() if path.suffix == ".gz"]) == 3
    dqn_replay_files.write(folder, dqn_replay_files.rows(dqn_replay_files.games()))
    (folder / source.file_names["observation"]).unlink()  # it is there, and not asked for again
    data = fetch_dataset("breakout-medium")
    assert catalog.load("breakout-medium").content_hash == data.content_hash
    assert [path.suffix for path in remove_dataset("breakout-medium")] == ["", ".gz", ".gz", ".gz", ".gz"]


def test_a_page_in_the_place_of_frames_leaves_what_was_there(
    served: Path, lamobench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = catalog.file_of(catalog.find_dataset("breakout-medium"))
    monkeypatch.setattr(
        entries, "DQN_REPLAY_SERVER", catalog.file_of(catalog.find_dataset(NAME)).address[: -len(FILE) - 1]
    )
    dqn_replay_files.write(served / source.folder, dqn_replay_files.rows(dqn_replay_files.games()))
    first = fetch_dataset("breakout-medium")
    before = stamps(lamobench_home)
    (served / source.folder / source.file_names["observation"]).write_text("<html>moved</html>")
    with pytest.raises(UserError, match=r"gave a file that is no good: .*Not a gzipped file"):
        fetch_dataset("breakout-medium", force=True)
    assert stamps(lamobench_home) == before
    assert cache.verify(cache.folder_of("breakout-medium", "dqn_replay")).content_hash == first.content_hash


def test_a_lost_cache_is_made_from_the_downloaded_file(served: Path, lamobench_home: Path) -> None:
    locomotion(served / FILE)
    first = fetch_dataset(NAME)
    cache.remove(NAME, "d4rl")
    (served / FILE).unlink()
    assert fetch_dataset(NAME).content_hash == first.content_hash


def test_force_takes_the_place_of_both(served: Path, lamobench_home: Path) -> None:
    locomotion(served / FILE)
    first = fetch_dataset(NAME)
    locomotion(served / FILE, rewards=np.ones(17, np.float32))
    assert fetch_dataset(NAME, force=True).content_hash != first.content_hash
    assert catalog.load(NAME).rewards.sum() == 17


def test_a_failed_download_says_what_to_do_and_leaves_what_was_there(served: Path, lamobench_home: Path) -> None:
    locomotion(served / FILE)
    first = fetch_dataset(NAME)
    before = stamps(lamobench_home)
    for spoil in (lambda path: path.unlink(), lambda path: path.write_text("<html>moved</html>")):
        spoil(served / FILE)
        with pytest.raises(UserError, match=r"; type it again, or on a connected machine: curl -fLO http.*") as caught:
            fetch_dataset(NAME, force=True)
        assert str(caught.value).endswith(f"type: lamobench data fetch {NAME} --from {FILE}")
        assert "\n" not in str(caught.value)
        assert stamps(lamobench_home) == before
    assert cache.verify(cache.folder_of(NAME, "d4rl")).content_hash == first.content_hash


def test_a_file_brought_by_hand_stays_where_it_is(tmp_path: Path, lamobench_home: Path) -> None:
    locomotion(tmp_path / FILE)
    data = fetch_dataset(NAME, path=tmp_path / FILE)
    assert (tmp_path / FILE).exists()
    assert not download_folder().exists()
    assert catalog.load("hopper-medium-v2").content_hash == data.content_hash


def test_importing_other_data_over_it_needs_force(tmp_path: Path, lamobench_home: Path) -> None:
    locomotion(tmp_path / FILE)
    first = fetch_dataset(NAME, path=tmp_path / FILE)
    assert fetch_dataset(NAME, path=tmp_path / FILE).content_hash == first.content_hash
    locomotion(tmp_path / FILE, rewards=np.ones(17, np.float32))
    with pytest.raises(UserError, match="holds other data"):
        fetch_dataset(NAME, path=tmp_path / FILE)
    assert catalog.load(NAME).content_hash == first.content_hash
    fetch_dataset(NAME, path=tmp_path / FILE, force=True)
    assert catalog.load(NAME).rewards.sum() == 17


def test_kitchen_comes_in_two_sources_from_one_file(tmp_path: Path, lamobench_home: Path) -> None:
    sub_goals = catalog.find_task("kitchen").sub_goals
    kitchen(tmp_path / "file.hdf5", [[set(), {"kettle"}, {"kettle"}]], sub_goals)
    fetch_dataset("kitchen-complete", source="d4rl-legacy", path=tmp_path / "file.hdf5")
    with pytest.raises(UserError, match=r"type: lamobench data fetch kitchen-complete, or: .*record kitchen-complete$"):
        catalog.load("kitchen-complete")
    fetch_dataset("kitchen-complete-v0", path=tmp_path / "file.hdf5")
    assert list(catalog.load("kitchen-complete").returns) == [1]
    assert list(catalog.load("kitchen-complete", "d4rl-legacy").returns) == [2]


@pytest.mark.parametrize("force", [False, True])
def test_a_full_disk_is_one_line_and_leaves_what_was_there(
    tmp_path: Path, lamobench_home: Path, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    locomotion(tmp_path / FILE)
    if force:
        fetch_dataset(NAME, path=tmp_path / FILE)
    before = stamps(lamobench_home)

    def full(path: Path, *args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(UserError, match=r"no space left for .*; free some, or set LAMOBENCH_HOME to a larger disk"):
            fetch_dataset(NAME, path=tmp_path / FILE, force=force)
    assert stamps(lamobench_home) == before
    assert not [path for path in lamobench_home.rglob(".*") if path.is_dir()], "no temporary folder is left"


def test_a_disk_that_fills_during_a_download_is_one_line(
    served: Path, lamobench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lamobench.datasets.download._transfer", full)
    with pytest.raises(UserError, match=r"no space left for "):
        fetch_dataset(NAME)
    assert not (download_folder() / FILE).exists()


def test_other_disk_errors_are_not_hidden() -> None:
    with pytest.raises(OSError, match="I/O error"), storage.plain_disk_errors():
        raise OSError(5, "I/O error")
    with pytest.raises(UserError, match="can't be read or written"), storage.plain_disk_errors():
        raise PermissionError(13, "Permission denied", "/file")


@pytest.mark.parametrize(
    "words", ["Not enough free space to write 9 bytes after offset 8", "9 requested and 8 written"]
)
def test_numpy_s_words_for_a_full_disk_are_known(words: str) -> None:
    with pytest.raises(UserError, match="no space left for"), storage.plain_disk_errors():
        raise OSError(words)


def test_bad_names_fetch_nothing(lamobench_home: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'hopper-medium'"):
        fetch_dataset("hoper-medium")
    with pytest.raises(UserError, match=r"'reacher2d-medium' can't be fetched; .* lamobench data record"):
        fetch_dataset("reacher2d-medium")
    with pytest.raises(UserError, match="no file"):
        fetch_dataset(NAME, path=lamobench_home / "absent.hdf5")
    assert not lamobench_home.exists()


RACER = """
import sys, time
from pathlib import Path
from lamobench.datasets import cache
from lamobench.datasets.sources.fetched import fetch_dataset

file, mine, other = map(Path, sys.argv[1:])
meta = cache._meta

def when_both_write(trajectories):
    mine.touch()
    deadline = time.monotonic() + 60
    while not other.exists():
        assert time.monotonic() < deadline, "the other process never began"
        time.sleep(0.01)
    return meta(trajectories)

cache._meta = when_both_write
print(fetch_dataset("NAME", path=file, force=FORCE).content_hash)
"""


@pytest.mark.parametrize("name", [NAME, "breakout-medium"])
@pytest.mark.parametrize("force", [False, True])
def test_two_processes_importing_at_once_both_succeed(
    tmp_path: Path, lamobench_home: Path, force: bool, name: str
) -> None:
    dqn_replay_files.write(tmp_path, dqn_replay_files.rows(dqn_replay_files.games()))
    locomotion(tmp_path / FILE)
    path = tmp_path / FILE if name == NAME else tmp_path
    flags = [str(tmp_path / "a"), str(tmp_path / "b")]
    code = RACER.replace("FORCE", str(force)).replace("NAME", name)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), *order],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for order in (flags, flags[::-1])
    ]
    results = [racer.communicate(timeout=120) for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0], results
    verified = cache.verify(cache.folder_of(name, "d4rl" if name == NAME else "dqn_replay"))
    assert [result[0].strip() for result in results] == [verified.content_hash] * 2
    assert not [path for path in lamobench_home.rglob(".*") if path.is_dir()], "no temporary folder is left"


def test_the_download_folder_is_below_the_home(lamobench_home: Path) -> None:
    assert fetched.download_folder() == lamobench_home / "downloads"
