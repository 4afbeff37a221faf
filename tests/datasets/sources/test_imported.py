import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gymnasium
import h5py
import minari
import numpy as np
import pytest

from lamobench.datasets import cache, catalog
from lamobench.datasets.errors import UserError
from lamobench.datasets.sources.exported import export_to_minari
from lamobench.datasets.sources.fetched import download_folder, fetch_dataset
from lamobench.datasets.sources.imported import import_dataset
from lamobench.datasets.sources.minari import read
from lamobench.datasets.sources.recorded import minari_root, record_dataset
from lamobench.datasets.sources.removed import remove_dataset
from lamobench.datasets.trajectories import Trajectories

from .d4rl_files import kitchen, locomotion

pytestmark = pytest.mark.filterwarnings("ignore:.*(is set to None|env_spec is None)")
Make = Callable[..., Trajectories]


@pytest.fixture
def minari_folder(tmp_path: Path, lamobench_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Minari's own folder, and an empty home."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    (tmp_path / "minari").mkdir()
    return tmp_path / "minari"


def own_recording(env_id: str, minari_id: str = "me/hopper/try-v0") -> str:
    """Three short episodes that somebody recorded with Minari and nothing of ours."""
    collector = minari.DataCollector(gymnasium.make(env_id, max_episode_steps=5))
    collector.action_space.seed(0)
    for seed in range(3):
        collector.reset(seed=seed)
        ended = False
        while not ended:
            *_, terminated, truncated, _ = collector.step(collector.action_space.sample())
            ended = terminated or truncated
    collector.create_dataset(minari_id)
    return minari_id


def test_ones_own_minari_data_set_is_a_data_set_like_any_other(minari_folder: Path) -> None:
    data = import_dataset("my-hopper", own_recording("Hopper-v5"))
    opened = catalog.load("my-hopper")
    assert opened.content_hash == data.content_hash
    assert (opened.num_episodes, opened.provenance.source, opened.provenance.env_id) == (3, "minari", "Hopper-v5")
    assert catalog.find_dataset("my-hopper").task == "hopper"
    row = catalog.status()[-1]
    assert (row["dataset"], row["state"], row["task"], row["episodes"]) == ("my-hopper", "ready", "hopper", 3)
    assert row["score_mean"] == pytest.approx(catalog.find_task("hopper").normalise(data.returns.mean()))
    with pytest.raises(UserError, match=r"did you mean 'my-hopper'\?"):
        catalog.load("my-hoper")


def test_a_damaged_import_is_listed_with_what_to_type(minari_folder: Path) -> None:
    import_dataset("my-hopper", own_recording("Hopper-v5"))
    (cache.folder_of("my-hopper", "minari") / "meta.json").write_text("{")
    row = catalog.status()[-1]
    expected = ("my-hopper", "damaged", "lamobench data import my-hopper --minari ID --force")
    assert (row["dataset"], row["state"], row["command"]) == expected
    with pytest.raises(UserError, match=r"meta\.json is damaged"):
        catalog.load("my-hopper")
    import_dataset("my-hopper", "me/hopper/try-v0", force=True)
    assert catalog.status()[-1]["state"] == "ready"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hopper-medium", "is a name of the catalog; give the import another name"),
        ("hopper-medium-v0", "is a name of the catalog"),
        ("../hopper", "is no name for a data set"),
        ("", "is no name for a data set"),
        ("mine", "no Minari data set 'me/absent-v0'"),
    ],
)
def test_imports_that_can_not_be_are_refused(
    minari_folder: Path, lamobench_home: Path, name: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        import_dataset(name, "me/absent-v0")
    assert not lamobench_home.exists()


@pytest.fixture
def server(minari_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Minari's server, which has one data set; Minari's own folder is empty."""
    own_recording("Hopper-v5")
    minari_folder.rename(tmp_path / "server")
    minari_folder.mkdir()

    def download(minari_id: str) -> None:
        if not (tmp_path / "server" / minari_id).is_dir():
            raise ValueError(f"Couldn't find any version for dataset {minari_id}\nin the remote Farama server.")
        shutil.copytree(tmp_path / "server" / minari_id, Path(os.environ["MINARI_DATASETS_PATH"]) / minari_id)

    monkeypatch.setattr(minari, "download_dataset", download)
    return tmp_path / "server"


def test_a_remote_data_set_is_downloaded_and_imported(server: Path, minari_folder: Path, lamobench_home: Path) -> None:
    data = import_dataset("theirs", "me/hopper/try-v0", remote=True)
    assert catalog.load("theirs").content_hash == data.content_hash
    assert data.content_hash == import_dataset("here", "me/hopper/try-v0", root=server).content_hash
    assert list(minari_folder.iterdir()) == []
    assert [path.name for path in lamobench_home.iterdir()] == ["datasets"], "the download is not kept"
    assert os.environ["MINARI_DATASETS_PATH"] == str(minari_folder)
    with pytest.raises(UserError, match="--remote downloads the data set, --root says where it is already"):
        import_dataset("theirs", "me/hopper/try-v0", root=server, remote=True)


@pytest.mark.usefixtures("server")
def test_a_download_that_fails_says_what_to_do(lamobench_home: Path) -> None:
    with pytest.raises(UserError, match=r"'me/no-v0' can't be downloaded: Couldn't find .* in the remote") as caught:
        import_dataset("theirs", "me/no-v0", remote=True)
    assert "type: minari download me/no-v0; then bring Minari's folder here" in str(caught.value)
    assert str(caught.value).endswith("and import it with --root FOLDER instead of --remote")
    assert "\n" not in str(caught.value)
    assert not list(lamobench_home.iterdir())


def test_without_a_network_minari_s_own_downloader_ends_in_one_line(
    minari_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"'D4RL/kitchen/complete-v2' can't be downloaded: .*offline") as caught:
        import_dataset("theirs", "D4RL/kitchen/complete-v2", remote=True)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("server")
def test_a_disk_that_fills_during_a_download_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(minari_id: str) -> None:
        raise OSError(28, "No space left on device", "file")

    monkeypatch.setattr(minari, "download_dataset", full)
    with pytest.raises(UserError, match="no space left for file"):
        import_dataset("theirs", "me/hopper/try-v0", remote=True)


def test_an_export_read_back_has_the_same_content(
    minari_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locomotion(tmp_path / "file.hdf5")
    data = fetch_dataset("hopper-medium", path=tmp_path / "file.hdf5")
    minari_id, root = export_to_minari("hopper-medium")
    assert (minari_id, root) == ("lamobench/hopper-medium/d4rl-v0", minari_folder)
    assert read(minari_id, root, "copy").content_hash == data.content_hash
    assert list(minari.list_local_datasets()) == [minari_id]
    theirs = minari.load_dataset(minari_id)
    assert theirs.recover_environment().spec.id == "Hopper-v5"
    assert minari.get_normalized_score(theirs, np.array([3234.3])) == pytest.approx(1.0)
    with pytest.raises(UserError, match="is there already; delete it with `minari delete"):
        export_to_minari("hopper-medium")
    assert [path.name for path in minari_folder.iterdir() if path.name.startswith(".exp")] == []


def test_kitchen_is_exported_too(minari_folder: Path, tmp_path: Path) -> None:
    kitchen(tmp_path / "file.hdf5", [[set(), {"kettle"}], [set()]], catalog.find_task("kitchen").sub_goals)
    data = fetch_dataset("kitchen-complete", path=tmp_path / "file.hdf5")
    minari_id, root = export_to_minari("kitchen-complete")
    assert read(minari_id, root, "copy").content_hash == data.content_hash


@pytest.mark.usefixtures("lamobench_home")
def test_frames_are_exported_without_loss_and_small(frame_trajectories: Trajectories, tmp_path: Path) -> None:
    cache.save(frame_trajectories)
    minari_id, root = export_to_minari("breakout-medium", root=tmp_path / "minari")
    again = read(minari_id, root, "breakout-medium")
    assert again.content_hash == frame_trajectories.content_hash
    assert (again.provenance.env_id, again.provenance.simulator) == ("ALE/Breakout-v5", "ale-py 0.12.1")
    with h5py.File(root / minari_id / "data" / "main_data.hdf5") as file:
        assert file["episode_0/observations"].compression == "gzip"


def test_what_is_not_at_hand_is_not_exported(minari_folder: Path) -> None:
    with pytest.raises(
        UserError,
        match=r"to get it, type: lamobench data fetch hopper-medium, or: lamobench data record hopper-medium$",
    ):
        export_to_minari("hopper-medium")
    assert list(minari_folder.iterdir()) == []


def test_removing_takes_copies_and_downloads_but_not_what_was_brought(
    minari_folder: Path, lamobench_home: Path, tmp_path: Path
) -> None:
    brought = tmp_path / "hopper_medium-v2.hdf5"
    locomotion(brought)
    fetch_dataset("hopper-medium", path=brought)
    import_dataset("mine", own_recording("Hopper-v5"))
    download_folder().mkdir()
    for name in (brought.name, f"{brought.name}.part"):
        (download_folder() / name).write_bytes(b"downloaded")
    gone = remove_dataset("hopper-medium-v2")
    assert [path.name for path in gone] == ["d4rl", brought.name, f"{brought.name}.part"]
    assert not any(path.exists() for path in gone)
    assert brought.exists()
    assert catalog.load("mine").num_episodes == 3
    remove_dataset("mine")
    assert (minari_folder / "me/hopper/try-v0").is_dir()
    for name, message in (("mine", "unknown data set"), ("hopper-medium", "nothing of data set 'hopper-medium'")):
        with pytest.raises(UserError, match=message):
            remove_dataset(name)


def test_removing_takes_the_recording(lamobench_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = catalog.DATASETS["reacher2d-medium"]
    shorter = replace(catalog.recording_of(dataset), episodes=2)
    monkeypatch.setitem(catalog.DATASETS, dataset.name, replace(dataset, sources=(shorter,)))
    record_dataset(dataset.name)
    assert remove_dataset(dataset.name) == [
        cache.folder_of(dataset.name, "recorded"),
        minari_root() / shorter.minari_id,
    ]
    assert catalog.status()[0]["state"] == "absent"
