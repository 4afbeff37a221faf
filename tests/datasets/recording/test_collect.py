import os
import warnings
from dataclasses import replace
from pathlib import Path

import gymnasium
import minari
import numpy as np
import pytest

from lamobench.datasets import cache, storage
from lamobench.datasets.catalog import recording_of
from lamobench.datasets.entries import DATASETS, Dataset
from lamobench.datasets.recording import collect
from lamobench.datasets.recording.part import Part
from lamobench.datasets.sources.minari import read

MEDIUM = DATASETS["reacher2d-medium"]
MINARI_ID = recording_of(MEDIUM).minari_id


def small(seed: int = 11, episodes: int = 3) -> Dataset:
    return replace(MEDIUM, sources=(replace(recording_of(MEDIUM), record_seed=seed, episodes=episodes),))


@pytest.fixture(scope="module")
def sixty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty episodes of a seed that neither tuning nor the catalog uses."""
    root = tmp_path_factory.mktemp("minari")
    collect.record(small(seed=77, episodes=60), root)
    return root


def test_the_mean_return_is_near_the_published_one_and_spreads_widely(sixty: Path) -> None:
    data = read(MINARI_ID, sixty, "reacher2d-medium", "recorded")
    assert (data.num_episodes, set(data.lengths)) == (60, {100})
    assert 30 < data.returns.mean() < 42
    assert 15 < data.returns.std() < 27
    assert np.abs(data.actions).max() <= 1
    assert not data.terminals.any()
    assert data.timeouts.sum() == 60


def test_it_is_a_minari_data_set_for_minari_itself(sixty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(sixty))
    assert list(minari.list_local_datasets()) == [MINARI_ID]
    data = minari.load_dataset(MINARI_ID)
    assert (data.total_episodes, data.total_steps) == (60, 6000)
    env = data.recover_environment()
    assert env.spec is not None
    assert env.spec.id == "lamobench/Reacher2d-v0"
    assert f"mujoco=={__import__('mujoco').__version__}" in data.storage.metadata["requirements"]
    assert not data.storage.jpeg_encoding, "images would be stored with losses"
    first = data[0]
    observation, _ = env.reset(seed=next(iter(data.storage.get_episode_metadata([0])))["seed"])
    np.testing.assert_array_equal(observation, first.observations[0])
    for action, expected in zip(first.actions, first.observations[1:], strict=True):
        np.testing.assert_array_equal(env.step(action)[0], expected)


def test_the_same_seed_gives_the_same_content(tmp_path: Path) -> None:
    def content(name: str, seed: int) -> str:
        collect.record(small(seed), tmp_path / name)
        return read(MINARI_ID, tmp_path / name, "reacher2d-medium").content_hash

    assert content("a", seed=11) == content("b", seed=11) != content("c", seed=12)


def test_worker_processes_record_what_one_process_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collect.record(small(), tmp_path / "one")
    monkeypatch.setattr(collect, "WORTH_A_PROCESS", 100)
    monkeypatch.setattr(collect, "cores", lambda: 2)
    collect.record(small(), tmp_path / "two")
    one, two = (read(MINARI_ID, tmp_path / name, "reacher2d-medium").content_hash for name in ("one", "two"))
    assert one == two


def test_an_episode_that_its_player_leaves_early_is_truncated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leaves(env: gymnasium.Env, grade: str, part: Part) -> None:
        env.reset(seed=part.number)
        for _ in range(3 + part.number):
            env.step(env.action_space.sample())

    monkeypatch.setitem(collect.PLAYERS, "reacher2d", collect.Player("bored", leaves))
    data = collect.record(small(), tmp_path)
    assert data.lengths.tolist() == [3, 4, 5]
    assert np.flatnonzero(data.timeouts).tolist() == [2, 6, 11]


def test_every_data_set_that_can_be_recorded_has_a_player() -> None:
    recorded = {dataset.task for dataset in DATASETS.values() if "recorded" in dataset.source_names}
    assert recorded <= collect.PLAYERS.keys()


def test_episode_seeds_are_nested_for_one_recording_and_disjoint_between_two() -> None:
    def seeds(record_seed: int, episodes: int) -> list[int]:
        return [part.seed for part in collect.parts(record_seed, episodes)]

    assert seeds(5, 20) == seeds(5, 50)[:20]
    assert len({*seeds(5, 50), *seeds(6, 50)}) == 100


def test_recording_says_nothing_and_leaves_nothing_but_the_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINARI_DATASETS_PATH", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        collect.record(small(), tmp_path)
    assert "MINARI_DATASETS_PATH" not in os.environ
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert files == [
        "lamobench/namespace_metadata.json",
        "lamobench/reacher2d/medium-v0/data/main_data.hdf5",
        "lamobench/reacher2d/medium-v0/data/metadata.json",
        "lamobench/reacher2d/namespace_metadata.json",
    ]


@pytest.mark.parametrize("place", [storage.whole_folder, cache.replaced_folder])
def test_a_recording_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: cache.Place
) -> None:
    collect.record(small(), tmp_path)
    before = sorted(path for path in tmp_path.rglob("*"))
    content = read(MINARI_ID, tmp_path, "reacher2d-medium").content_hash

    def falls_over(env: gymnasium.Env, grade: str, part: Part) -> None:
        env.reset(seed=0)
        raise RuntimeError("the player fell over")

    monkeypatch.setitem(collect.PLAYERS, "reacher2d", collect.Player("clumsy", falls_over))
    with pytest.raises(RuntimeError, match="fell over"):
        collect.record(small(seed=12), tmp_path, place=place)
    assert sorted(path for path in tmp_path.rglob("*")) == before
    assert read(MINARI_ID, tmp_path, "reacher2d-medium").content_hash == content


def test_placing_keeps_or_replaces(tmp_path: Path) -> None:
    def content() -> str:
        return read(MINARI_ID, tmp_path, "reacher2d-medium").content_hash

    collect.record(small(seed=11), tmp_path)
    first = content()
    collect.record(small(seed=12), tmp_path)
    assert content() == first
    collect.record(small(seed=12), tmp_path, place=cache.replaced_folder)
    assert content() != first
