import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lamobench.datasets import cache, catalog
from lamobench.datasets.errors import UserError
from lamobench.datasets.trajectories import Trajectories

Make = Callable[..., Trajectories]


def test_importing_the_catalog_loads_nothing_heavy() -> None:
    code = "import sys, lamobench.datasets.catalog; print(sorted({'numpy', 'torch', 'gymnasium'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_entries_are_consistent() -> None:
    for name, dataset in catalog.DATASETS.items():
        assert name == dataset.name
        assert dataset.task in catalog.TASKS
        assert dataset.sources
        assert all(0 < fraction <= 1 for fraction in dataset.published_fractions)
    ids_and_seeds = [(dataset.minari_id, dataset.record_seed) for dataset in catalog.DATASETS.values()]
    assert len(set(ids_and_seeds)) == len({i for i, _ in ids_and_seeds}) == len({s for _, s in ids_and_seeds})


def test_reacher2d_is_as_published() -> None:
    task, dataset = catalog.find_task("reacher2d"), catalog.find_dataset("reacher2d-medium")
    assert (task.horizon, task.target_returns, task.return_scale) == (100, (76.0, 40.0), 10.0)
    assert (dataset.episodes, dataset.published_fractions) == (50, (0.1, 0.3, 1.0))
    assert [task.normalise(value) for value in (0.0, 36.0, 100.0)] == [0.0, 36.0, 100.0]


def test_normalise_is_linear_between_the_reference_scores() -> None:
    hopper = replace(catalog.find_task("reacher2d"), reference_scores=(-20.0, 3230.0))
    assert [hopper.normalise(value) for value in (-20.0, 1605.0, 3230.0, 6480.0)] == [0.0, 50.0, 100.0, 200.0]


def test_unknown_names_are_answered_with_the_closest() -> None:
    with pytest.raises(UserError, match=r"unknown data set 'reacher2d-medum'; did you mean 'reacher2d-medium'\?"):
        catalog.find_dataset("reacher2d-medum")
    with pytest.raises(UserError, match=r"unknown task 'reacher'.*valid: reacher2d"):
        catalog.find_task("reacher")


def test_loading_what_is_not_there_says_what_to_type(lamobench_home: Path) -> None:
    with pytest.raises(UserError, match=r"type: lamobench data record reacher2d-medium-large$"):
        catalog.load("reacher2d-medium-large")
    with pytest.raises(UserError, match=r"unknown source of data set 'reacher2d-medium' 'd4rl'.*auto, recorded"):
        catalog.load("reacher2d-medium", source="d4rl")
    assert not lamobench_home.exists()


@pytest.mark.usefixtures("lamobench_home")
def test_auto_takes_the_first_source_that_is_there(make_trajectories: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    several = replace(catalog.DATASETS["reacher2d-medium"], sources=("d4rl", "minari", "recorded"))
    monkeypatch.setitem(catalog.DATASETS, several.name, several)
    cache.save(make_trajectories(source="recorded"))
    assert catalog.load(several.name).provenance.source == "recorded"
    cache.save(make_trajectories(source="minari"))
    assert catalog.load(several.name).provenance.source == "minari"
    assert catalog.load(several.name, source="recorded").provenance.source == "recorded"
    with pytest.raises(UserError, match=r"type: lamobench data fetch reacher2d-medium --source d4rl$"):
        catalog.load(several.name, source="d4rl")


@pytest.mark.usefixtures("lamobench_home")
def test_status_tells_ready_absent_and_damaged(make_trajectories: Make) -> None:
    data = make_trajectories()
    folder = cache.save(data)
    ready, absent = catalog.status()
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
