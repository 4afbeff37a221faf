import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lamobench.datasets import cache, catalog, entries
from lamobench.datasets.entries import D4RL, Recorded
from lamobench.datasets.errors import UserError
from lamobench.datasets.tasks import TASKS
from lamobench.datasets.trajectories import Trajectories

Make = Callable[..., Trajectories]


def test_importing_the_catalog_loads_nothing_heavy() -> None:
    code = "import sys, lamobench.datasets.catalog; print(sorted({'numpy', 'torch', 'gymnasium'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_entries_are_consistent() -> None:
    for name, dataset in catalog.DATASETS.items():
        assert name == dataset.name
        assert dataset.task in TASKS
        assert dataset.sources
        assert len(set(dataset.source_names)) == len(dataset.sources)
        assert all(0 < fraction <= 1 for fraction in dataset.published_fractions)
    sources = [source for dataset in catalog.DATASETS.values() for source in dataset.sources]
    ids_and_seeds = [(s.minari_id, s.record_seed) for s in sources if isinstance(s, Recorded)]
    assert len(set(ids_and_seeds)) == len({i for i, _ in ids_and_seeds}) == len({s for _, s in ids_and_seeds})


def test_reacher2d_is_as_published() -> None:
    task = catalog.find_task("reacher2d")
    dataset = catalog.find_dataset("reacher2d-medium")
    assert (task.horizon, task.target_returns, task.return_scale) == (100, (76.0, 40.0), 10.0)
    assert (catalog.recording_of(dataset).episodes, dataset.published_fractions) == (50, (0.1, 0.3, 1.0))
    assert [task.normalise(value) for value in (0.0, 36.0, 100.0)] == [0.0, 36.0, 100.0]


def test_normalise_is_linear_between_the_reference_scores() -> None:
    hopper = replace(catalog.find_task("reacher2d"), reference_scores=(-20.0, 3230.0))
    assert [hopper.normalise(value) for value in (-20.0, 1605.0, 3230.0, 6480.0)] == [0.0, 50.0, 100.0, 200.0]


def test_unknown_names_are_answered_with_the_closest() -> None:
    with pytest.raises(UserError, match=r"unknown data set 'reacher2d-medum'; did you mean 'reacher2d-medium'\?"):
        catalog.find_dataset("reacher2d-medum")
    with pytest.raises(UserError, match=r"unknown task 'reacher'.*valid: reacher2d"):
        catalog.find_task("reacher")
    with pytest.raises(UserError, match=r"did you mean 'walker2d-medium-replay'\?"):
        catalog.find_dataset("walker-medium-replay")


def test_loading_what_is_not_there_says_what_to_type(lamobench_home: Path) -> None:
    with pytest.raises(UserError, match=r"type: lamobench data record reacher2d-medium-large$"):
        catalog.load("reacher2d-medium-large")
    with pytest.raises(UserError, match=r"unknown source of data set 'reacher2d-medium' 'd4rl'.*auto, recorded"):
        catalog.load("reacher2d-medium", source="d4rl")
    assert not lamobench_home.exists()


@pytest.mark.usefixtures("lamobench_home")
def test_auto_takes_the_first_source_that_is_there(make_trajectories: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    own = catalog.DATASETS["reacher2d-medium"]
    file = D4RL("reacher2d-medium-v2", "http://host/reacher2d.hdf5", 12, 2)
    several = replace(own, sources=(replace(file, legacy=True), file, *own.sources))
    monkeypatch.setitem(catalog.DATASETS, several.name, several)
    cache.save(make_trajectories(source="d4rl-legacy"))
    with pytest.raises(UserError, match=r"data fetch reacher2d-medium, or: lamobench data record reacher2d-medium$"):
        catalog.load(several.name)
    cache.save(make_trajectories(source="recorded"))
    assert catalog.load(several.name).provenance.source == "recorded"
    cache.save(make_trajectories(source="d4rl"))
    assert catalog.load(several.name).provenance.source == "d4rl"
    assert catalog.load(several.name, source="recorded").provenance.source == "recorded"
    assert catalog.load(several.name, source="d4rl-legacy").provenance.source == "d4rl-legacy"
    cache.remove(several.name, "d4rl-legacy")
    with pytest.raises(UserError, match=r"type: lamobench data fetch reacher2d-medium --source d4rl-legacy$"):
        catalog.load(several.name, source="d4rl-legacy")


@pytest.mark.usefixtures("lamobench_home")
def test_status_tells_ready_absent_and_damaged(make_trajectories: Make) -> None:
    data = make_trajectories()
    folder = cache.save(data)
    ready, absent, *_ = catalog.status()
    assert (ready["dataset"], ready["state"], ready["episodes"], ready["steps"]) == ("reacher2d-medium", "ready", 3, 11)
    assert ready["score_mean"] == pytest.approx(data.returns.mean())
    assert ready["score_std"] == pytest.approx(data.returns.std())
    assert ready["score_best"] == data.returns.max()
    assert ready["command"] == ""
    assert absent["state"] == "absent"
    assert absent["command"] == "lamobench data record reacher2d-medium-large"
    assert absent.keys() == ready.keys()
    (folder / "rewards.npy").unlink()
    damaged = catalog.status()[0]
    assert (damaged["state"], damaged["command"]) == ("damaged", "lamobench data record reacher2d-medium --force")
    assert damaged.keys() == ready.keys()


# Pairs of a return and its score by D4RL's own reference returns, d4rl/infos.py.
@pytest.mark.parametrize(
    ("task", "episode_return", "score"),
    [
        ("hopper", -20.272305, 0.0),
        ("hopper", 3234.3, 100.0),
        ("hopper", 1700.0, 52.8571),  # (1700 + 20.272305) / (3234.3 + 20.272305)
        ("halfcheetah", 5000.0, 42.5300),  # (5000 + 280.178953) / 12415.178953
        ("walker2d", 4592.3, 100.0),
        ("ant", 0.0, 7.7426),  # 325.6 / 4205.3
        ("kitchen", 3.0, 75.0),
        ("kitchen-mixed", 4.0, 100.0),
    ],
)
def test_scores_of_known_returns(task: str, episode_return: float, score: float) -> None:
    assert catalog.find_task(task).normalise(episode_return) == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("hopper-medium", "gym_mujoco_v2/hopper_medium-v2.hdf5"),
        ("hopper-medium-v2", "gym_mujoco_v2/hopper_medium-v2.hdf5"),
        ("walker2d-medium-replay", "gym_mujoco_v2/walker2d_medium_replay-v2.hdf5"),
        ("walker2d-medium-replay-v1", "gym_mujoco_v1/walker2d_medium_replay-v1.hdf5"),
        ("walker2d-medium-replay-v0", "gym_mujoco/walker_mixed.hdf5"),
        ("hopper-mixed-v0", "gym_mujoco/hopper_mixed.hdf5"),
        ("halfcheetah-medium-expert-v0", "gym_mujoco/halfcheetah_medium_expert.hdf5"),
        ("kitchen-complete", "kitchen/mini_kitchen_microwave_kettle_light_slider-v0.hdf5"),
        ("kitchen-partial-v0", "kitchen/kitchen_microwave_kettle_light_slider-v0.hdf5"),
        ("kitchen-mixed", "kitchen/kitchen_microwave_kettle_bottomburner_light-v0.hdf5"),
    ],
)
def test_d4rl_names_lead_to_d4rl_files(name: str, file: str) -> None:
    assert catalog.file_of(catalog.find_dataset(name)).address == f"{entries.D4RL_SERVER}/{file}"


def test_older_versions_are_data_sets_of_their_own() -> None:
    assert catalog.find_dataset("hopper-medium-v2") is catalog.find_dataset("hopper-medium")
    older = catalog.find_dataset("hopper-medium-v0")
    assert (older.name, older.published_fractions) == ("hopper-medium-v0", ())


@pytest.mark.usefixtures("lamobench_home")
def test_older_versions_are_listed_when_they_are_at_hand(make_trajectories: Make) -> None:
    assert not [row for row in catalog.status() if row["dataset"] == "hopper-medium-v1"]
    cache.save(make_trajectories(dataset="hopper-medium-v1", source="d4rl"))
    assert [row["state"] for row in catalog.status() if row["dataset"] == "hopper-medium-v1"] == ["ready"]


def test_what_has_no_file_says_how_to_get_it() -> None:
    with pytest.raises(UserError, match=r"can't be fetched; to get it, type: lamobench data record reacher2d-medium$"):
        catalog.file_of(catalog.find_dataset("reacher2d-medium"))
    with pytest.raises(UserError, match=r"unknown file of data set 'hopper-medium' 'minari'.*valid: d4rl"):
        catalog.file_of(catalog.find_dataset("hopper-medium"), "minari")
