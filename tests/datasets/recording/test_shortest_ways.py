from dataclasses import fields, replace
from pathlib import Path

import h5py
import minari
import numpy as np
import pytest

from lamobench.datasets.environments.demonstrations import Demonstrations, play
from lamobench.datasets.environments.grid_relay import MAZE, GridRelay
from lamobench.datasets.environments.staged_tasks import find_staged_task
from lamobench.datasets.errors import UserError
from lamobench.datasets.recording import collect, shortest_ways
from lamobench.datasets.recording.shortest_ways import Ways, recorded_ways, recording_of
from lamobench.datasets.sources.recorded import minari_root

pytestmark = pytest.mark.usefixtures("home")
TASK = find_staged_task("grid-relay")
WAYS = Ways(steps=1501, wandering=0.3, mistaken=0.2, seed=4, part=1)


def folder_of(ways: Ways, stage: int) -> Path:
    return minari_root() / recording_of(TASK, ways, stage).minari_id / "data"


@pytest.mark.parametrize("stage", [0, MAZE])
def test_what_is_read_back_is_what_was_played(stage: int, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = GridRelay(goals=2)
    found = recorded_ways(environment, TASK, WAYS, stage)
    played = play(environment, WAYS.steps, [WAYS.seed, WAYS.part], stage=stage, wandering=0.3, mistaken=0.2)
    dones = played.episode_ended.astype(np.float32)
    columns = (played.observations, played.choices, played.rewards, played.next_observations, dones, played.stages)
    expected = Demonstrations(*(column.reshape(-1, *column.shape[2:])[: WAYS.steps] for column in columns))
    for field in fields(Demonstrations):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name))
    assert found.hash == expected.hash
    monkeypatch.setattr(shortest_ways, "play", None)  # whoever would record anew, fails
    assert recorded_ways(environment, TASK, WAYS, stage).hash == found.hash


def test_it_is_a_minari_data_set_of_visits_to_stages() -> None:
    recorded_ways(GridRelay(goals=2), TASK, WAYS, 0)
    data = minari.MinariDataset(folder_of(WAYS, 0))
    episodes = list(data.iterate_episodes())
    assert data.total_steps >= WAYS.steps
    assert {int(episode.infos["stage"][0]) for episode in episodes} == {0, 1}
    for episode in episodes:
        assert len(set(episode.infos["stage"])) == 1
        assert not episode.terminations[:-1].any()
        assert episode.terminations[-1] != episode.truncations[-1]
    assert sum((episode.actions != episode.infos["choice"]).sum() for episode in episodes) > 200


def test_recordings_of_other_plans_have_other_names() -> None:
    plans = [
        replace(WAYS, **{name: value}) for name, value in (("steps", 9), ("wandering", 0.0), ("seed", 1), ("part", 0))
    ]
    assert len({recording_of(TASK, ways, 1).minari_id for ways in [WAYS, *plans]}) == 5


def test_a_recording_of_other_steps_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortest_ways, "recording_of", lambda *_: recording_of(TASK, WAYS, 0))
    recorded_ways(GridRelay(), TASK, WAYS, 0)
    with pytest.raises(UserError, match=r"is not the play of 800 steps that was to be recorded; delete the folder /"):
        recorded_ways(GridRelay(), TASK, replace(WAYS, steps=800), 0)


def test_fewer_steps_than_environments_are_as_many_as_were_asked_for() -> None:
    assert len(recorded_ways(GridRelay(), TASK, replace(WAYS, steps=5), 0).actions) == 5


@pytest.mark.parametrize(
    ("name", "values", "line"),
    [
        ("choice", 4, "is not the play of 1512 steps that was to be recorded"),
        ("stage", -1, "is not the play of 1512 steps that was to be recorded"),
        ("ended", 2, "is not the play of 1512 steps that was to be recorded"),
        ("choice", 0.5, "infos 'choice'"),
        ("choice", None, r"infos 'choice' have the shape \(0,\), expected \(\d+,\)"),
    ],
)
def test_infos_that_can_t_be_are_refused(name: str, values: float | None, line: str) -> None:
    recorded_ways(GridRelay(), TASK, WAYS, 0)
    with h5py.File(folder_of(WAYS, 0) / "main_data.hdf5", "r+") as file:
        infos = file["episode_3"]["infos"]
        length = len(infos[name])
        del infos[name]
        if values is not None:
            infos[name] = np.full(length, values)
    with pytest.raises(UserError, match=rf"{line}.*; delete the folder /.*, and it is recorded anew"):
        recorded_ways(GridRelay(), TASK, WAYS, 0)


def test_a_damaged_recording_says_how_to_mend_it() -> None:
    recorded_ways(GridRelay(), TASK, WAYS, 0)
    (folder_of(WAYS, 0) / "main_data.hdf5").write_bytes(b"no HDF5")
    with pytest.raises(UserError, match=r"damaged.*; delete the folder /.*, and it is recorded anew"):
        recorded_ways(GridRelay(), TASK, WAYS, 0)


def test_a_limit_of_file_sizes_is_one_line_before_hdf5_meets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """HDF5 would take the process down."""
    monkeypatch.setattr(collect.resource, "getrlimit", lambda _: (16_500_000, 16_500_000))
    with pytest.raises(UserError, match=r"a file may have 16\.5 MB here, .* or more; raise the limit \(ulimit -f\)"):
        recorded_ways(GridRelay(), TASK, WAYS, MAZE)
    assert not folder_of(WAYS, MAZE).exists()
