import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from lamobench.benchmark.offline.survey import COLUMNS, survey, survey_row
from lamobench.datasets import catalog
from lamobench.datasets.entries import Dataset, Recorded
from lamobench.datasets.errors import UserError
from lamobench.datasets.kitchen import ELEMENTS
from lamobench.datasets.recording import collect
from lamobench.datasets.recording.collect import Player
from lamobench.datasets.recording.part import Part
from lamobench.datasets.trajectories import Provenance, Trajectories

Rows = Callable[[Path], list[dict[str, str]]]


def still(env: gymnasium.Env, grade: str, part: Part) -> None:
    """An episode of `part.number + 1` steps of doing nothing."""
    env.reset(seed=part.number)
    for _ in range(part.number + 1):
        env.step(np.zeros(2, np.float32))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalog of two small data sets that can be recorded at once and one that can't."""
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "home"))
    entries = [
        Dataset(name, "reacher2d", "A test", (Recorded(episodes, f"test/{name}-v0", seed, "still"),), ())
        for seed, (name, episodes) in enumerate({"second": 2, "first": 3}.items())
    ]
    other = catalog.UNLISTED["hopper-medium-v1"]  # public only
    monkeypatch.setattr(catalog, "DATASETS", {entry.name: entry for entry in (*reversed(entries), other)})
    monkeypatch.setattr("lamobench.benchmark.offline.survey.DATASETS", catalog.DATASETS)
    monkeypatch.setitem(collect.PLAYERS, "reacher2d", Player("doing nothing", still))
    return tmp_path / "home"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "results" / "recorded_data.csv"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("home")
def test_what_is_missing_is_recorded_and_measured(table: Path) -> None:
    rows = list(survey((), table))
    assert read(table) == rows
    assert tuple(rows[0]) == COLUMNS
    assert [row["dataset"] for row in rows] == ["first", "second"]  # not what can't be recorded
    first = rows[0]
    assert (first["player"], first["grade"], first["record_seed"]) == ("doing nothing", "still", "1")
    assert (first["episodes"], first["steps"], first["done_kettle"], first["done_all"]) == ("3", "6", "", "")
    assert first["return_mean"] == f"{catalog.load('first').returns.mean():.3f}"
    assert first["simulator"].startswith("mujoco ")


@pytest.mark.usefixtures("home")
def test_a_second_survey_writes_the_same_bytes(table: Path) -> None:
    list(survey((), table))
    before = table.read_bytes()
    list(survey((), table))
    assert table.read_bytes() == before
    assert [file.name for file in table.parent.iterdir()] == [table.name]


@pytest.mark.usefixtures("home")
def test_a_survey_of_one_keeps_the_others_in_catalog_order(table: Path) -> None:
    list(survey(["second"], table))
    list(survey(["first"], table))
    assert [row["dataset"] for row in read(table)] == ["first", "second"]


def test_names_are_checked_before_anything_is_recorded(home: Path, table: Path) -> None:
    with pytest.raises(UserError, match="'hopper-medium-v1' can't be recorded"):
        list(survey(["first", "hopper-medium-v1"], table))
    assert not home.exists()
    assert not table.exists()


@pytest.mark.usefixtures("home")
def test_a_recording_that_fails_leaves_the_rows_before_it(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        raise UserError("no")

    list(survey(["first"], table))
    before = table.read_bytes()
    monkeypatch.setattr("lamobench.benchmark.offline.survey.record_dataset", broken)
    with pytest.raises(UserError, match="no"):
        list(survey(["second"], table))
    assert table.read_bytes() == before


def kitchen(*episodes: list[tuple[str, ...]]) -> Trajectories:
    """Episodes of observations, each given by the sub-goals that it satisfies; the last one follows the last action."""
    observations = np.zeros((sum(map(len, episodes)), 60), np.float32)
    rows = iter(observations)
    for episode in episodes:
        for names in episode:
            row = next(rows)
            row[23:30] = 9.0  # a kettle far from everywhere
            for name in names:
                entries, wanted = ELEMENTS[name]
                row[entries] = wanted
    ends = np.cumsum([len(episode) for episode in episodes]) - 1
    last = np.isin(np.arange(len(observations)), ends)
    steps = len(observations) - len(ends)
    return Trajectories(
        observations=observations[~last],
        actions=np.zeros((steps, 9), np.float32),
        rewards=np.zeros(steps, np.float32),
        terminals=np.zeros(steps, bool),
        timeouts=np.zeros(steps, bool),
        offsets=np.concatenate([[0], ends - np.arange(len(ends))]),
        last_observations=observations[last],
        provenance=Provenance("kitchen-partial", "recorded", "a test", "FrankaKitchen-v1", "mujoco 3.3.0"),
    )


def test_sub_goals_are_counted_by_the_episodes_in_which_they_were_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(collect.PLAYERS, "kitchen", Player("a test", still))
    partial = catalog.DATASETS["kitchen-partial"]
    dataset = replace(partial, sources=(Recorded(4, "test/kitchen-v0", 0),))
    every = ("microwave", "kettle", "light switch", "slide cabinet")
    data = kitchen(
        [(), ("microwave",), ("microwave",)],
        [(), ("microwave",), ()],  # undone later: it was done all the same
        [(), (), every],  # by the last action
        [(), (), (), ("bottom burner",)],  # no sub-goal of this task
    )
    row = survey_row(dataset, data)
    done = {name: row[f"done_{name}"] for name in ("microwave", "kettle", "light_switch", "slide_cabinet", "all")}
    assert done == {
        "microwave": "0.750",
        "kettle": "0.250",
        "light_switch": "0.250",
        "slide_cabinet": "0.250",
        "all": "0.250",
    }
    assert row["done_bottom_burner"] == ""
