import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lamobench.datasets import cache
from lamobench.datasets.errors import UserError
from lamobench.datasets.trajectories import Trajectories

Make = Callable[..., Trajectories]
AGAIN = "lamobench data record reacher2d-medium --force"
pytestmark = pytest.mark.usefixtures("lamobench_home")


def folders_beside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.parent.iterdir())


def without(folder: Path, key: str) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    del meta[key]
    (folder / "meta.json").write_text(json.dumps(meta))


def test_round_trip_is_exact_and_read_only(make_trajectories: Make) -> None:
    data = make_trajectories()
    opened = cache.open_cached(cache.save(data))
    for name in Trajectories.ARRAYS:
        array = getattr(opened, name)
        np.testing.assert_array_equal(array, getattr(data, name), strict=True)
        assert isinstance(array, np.memmap)
        assert not array.flags.writeable
    assert opened.provenance == data.provenance
    assert opened.known_hash == opened.content_hash == data.content_hash


def test_the_content_hash_does_not_depend_on_the_source(make_trajectories: Make) -> None:
    recorded = cache.open_cached(cache.save(make_trajectories(source="recorded")))
    imported = cache.open_cached(cache.save(make_trajectories(source="minari")))
    assert recorded.content_hash == imported.content_hash != make_trajectories(seed=1).content_hash


@pytest.mark.parametrize("name", Trajectories.ARRAYS)
def test_a_truncated_array_is_named(make_trajectories: Make, name: str) -> None:
    file = cache.save(make_trajectories()) / f"{name}.npy"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UserError, match=rf"{name}\.npy is damaged or cut short .*{AGAIN}$") as caught:
        cache.open_cached(file.parent)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", Trajectories.ARRAYS)
def test_a_flipped_bit_is_found_and_named(make_trajectories: Make, name: str) -> None:
    folder = cache.save(make_trajectories())
    assert cache.verify(folder).num_steps == 11
    file = folder / f"{name}.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    cache.open_cached(folder)
    with pytest.raises(UserError, match=rf"{name}\.npy is damaged: its content has changed; .*{AGAIN}$"):
        cache.verify(folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "actions.npy").unlink(), "actions.npy is missing"),
        (lambda folder: (folder / "actions.npy").write_bytes(b""), "actions.npy is damaged or cut short"),
        (lambda folder: np.save(folder / "actions.npy", np.zeros((11, 2))), "actions.npy is damaged: it holds .*<f8"),
        (
            lambda folder: np.save(folder / "actions.npy", np.zeros((9, 2), np.float32)),
            r"it holds .*\[9, 2\].*\[11, 2\]",
        ),
        (lambda folder: (folder / "meta.json").unlink(), "meta.json is missing"),
        (lambda folder: (folder / "meta.json").write_text("{"), "meta.json is damaged"),
        (lambda folder: (folder / "meta.json").write_text("[]"), "meta.json is damaged"),
        (lambda folder: without(folder, "provenance"), r"meta.json is damaged \(it has no 'provenance'\)"),
        (lambda folder: without(folder, "return_best"), r"meta.json is damaged \(it has no 'return_best'\)"),
    ],
)
def test_other_damage_is_named(make_trajectories: Make, spoil: Callable[[Path], object], message: str) -> None:
    folder = cache.save(make_trajectories())
    spoil(folder)
    with pytest.raises(UserError, match=message):
        cache.open_cached(folder)


@pytest.mark.parametrize(("key", "value"), [("format", 0), ("content_hash", "0" * 64)])
def test_an_altered_meta_is_found(make_trajectories: Make, key: str, value: object) -> None:
    folder = cache.save(make_trajectories())
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | {key: value}))
    with pytest.raises(UserError, match=r"meta\.json is (of format 0|damaged)"):
        cache.verify(folder)


TASK = {  # of an imported data set
    "name": "mine", "env_id": "Hopper-v5", "simulator": "mujoco", "horizon": 5, "reference_scores": [0, 1.5],
    "score_source": "", "target_returns": [1.0], "return_scale": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"format": "1"}, "'format' is '1', expected int"),
        ({"steps": "11"}, "'steps' is '11', expected int"),
        ({"episodes": True}, "'episodes' is 'True', expected int"),
        ({"return_mean": None}, "'return_mean' is 'None', expected float"),
        ({"content_hash": 5}, "'content_hash' is '5', expected str"),
        ({"provenance": []}, "'provenance' is"),
        ({"provenance": {"dataset": 5}}, "it has no"),
        ({"arrays": {"actions": {}}}, "it has no 'observations'"),
        ({"arrays": None}, "'arrays' is"),
        ({"task": 5}, "'task' is '5'"),
        ({"task": TASK | {"horizon": "5"}}, "'horizon' is '5', expected int"),
        ({"task": TASK | {"reference_scores": [0, "1"]}}, "'reference_scores' is"),
        ({"task": TASK | {"reference_scores": [0]}}, "'reference_scores' is"),
        ({"task": TASK | {"colour": 1}}, "a field 'colour', which is not known here"),
        ({"task": {"name": "mine"}}, "it has no"),
    ],
)
def test_a_meta_of_other_types_is_damaged(make_trajectories: Make, changed: dict[str, object], message: str) -> None:
    folder = cache.save(make_trajectories(), task=TASK)
    path = folder / "meta.json"
    assert cache.read_meta(folder)["task"] == TASK
    meta = json.loads(path.read_text())
    path.write_text(json.dumps(meta | changed))
    with pytest.raises(UserError, match=rf"meta.json is damaged \(.*{message}.*{AGAIN}$") as caught:
        cache.open_cached(folder)
    assert "\n" not in str(caught.value)
    actions = meta["arrays"]["actions"]
    for wrong in ({"shape": "11"}, {"shape": [11, None]}, {"dtype": "<c8"}, {"dtype": 4}, {"sha256": None}):
        path.write_text(json.dumps(meta | {"arrays": meta["arrays"] | {"actions": actions | wrong}}))
        with pytest.raises(UserError, match=r"meta\.json is damaged"):
            cache.open_cached(folder)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, '{"format": 1, "format": 1}', '{"format": NaN}'])
def test_a_meta_that_is_no_good_json_is_damaged(make_trajectories: Make, content: str) -> None:
    folder = cache.save(make_trajectories())
    (folder / "meta.json").write_text(content)
    with pytest.raises(UserError, match=rf"meta\.json is damaged .*{AGAIN}$"):
        cache.open_cached(folder)


@pytest.mark.parametrize("name", ["meta.json", "actions.npy"])
def test_pipes_and_devices_in_the_place_of_files_are_named(make_trajectories: Make, name: str) -> None:
    path = cache.save(make_trajectories()) / name
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UserError, match=f"{name} is a named pipe"):
        cache.open_cached(path.parent)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(UserError, match=f"{name} is a device"):
        cache.open_cached(path.parent)


@pytest.mark.parametrize("store", [cache.save, cache.replace])
def test_bad_data_are_refused_and_nothing_changes(make_trajectories: Make, store: Callable[..., Path]) -> None:
    good = make_trajectories()
    folder = cache.save(good)
    rewards = good.rewards.copy()
    rewards[7] = np.nan
    with pytest.raises(UserError, match=r"rewards\[7\] is not a finite number"):
        store(replace(good, rewards=rewards))
    assert cache.verify(folder).content_hash == good.content_hash


def test_saving_keeps_the_same_content_and_refuses_other(make_trajectories: Make) -> None:
    folder = cache.save(make_trajectories())
    inode = folder.stat().st_ino
    assert cache.save(make_trajectories()) == folder
    with pytest.raises(UserError, match=f"holds other data .*{AGAIN}$"):
        cache.save(make_trajectories(seed=1))
    assert folder.stat().st_ino == inode
    assert cache.verify(folder).content_hash == make_trajectories().content_hash
    assert folders_beside(folder) == ["recorded"]


def test_replacing_leaves_only_the_new_one_and_spares_open_maps(make_trajectories: Make) -> None:
    before = cache.open_cached(cache.save(make_trajectories()))
    folder = cache.replace(make_trajectories(seed=1))
    assert cache.verify(folder).content_hash == make_trajectories(seed=1).content_hash
    assert folders_beside(folder) == ["recorded"]
    np.testing.assert_array_equal(before.observations, make_trajectories().observations)


def test_a_full_disk_leaves_the_old_cache(make_trajectories: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cache.save(make_trajectories())

    def disk_full(path: Path, *args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", disk_full)
        with pytest.raises(OSError, match="No space left"):
            cache.replace(make_trajectories(seed=1))
    assert cache.verify(folder).content_hash == make_trajectories().content_hash
    assert folders_beside(folder) == ["recorded"]


def test_a_failed_last_rename_brings_the_old_cache_back(
    make_trajectories: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cache.save(make_trajectories())
    rename = os.rename
    calls = []

    def fails_the_second_time(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise PermissionError(13, "Permission denied")
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fails_the_second_time)
        with pytest.raises(PermissionError):
            cache.replace(make_trajectories(seed=1))
    assert len(calls) == 3
    assert cache.verify(folder).content_hash == make_trajectories().content_hash
    assert folders_beside(folder) == ["recorded"]


def test_remove(make_trajectories: Make) -> None:
    folder = cache.save(make_trajectories())
    cache.remove("reacher2d-medium", "recorded")
    assert folders_beside(folder) == []
    with pytest.raises(UserError, match="'reacher2d-medium' from 'recorded' is not in the cache"):
        cache.remove("reacher2d-medium", "recorded")
