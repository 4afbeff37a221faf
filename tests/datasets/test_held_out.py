"""The steps that are held out, and the windows that end at them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lamobench.datasets.catalog import find_dataset, recording_of
from lamobench.datasets.entries import DATASETS, SECOND_RECORDINGS, Recorded
from lamobench.datasets.fractions import Subset, take_fraction
from lamobench.datasets.held_out import HeldOutSteps, HeldOutWindows, held_out_steps, second_recording
from lamobench.datasets.recording import collect
from lamobench.datasets.trajectories import Trajectories
from lamobench.datasets.windows import View, returns_to_go

Make = Callable[..., Trajectories]


def without(data: Trajectories, *left: int) -> Subset:
    """The subset that leaves these episodes out."""
    episodes = np.setdiff1d(np.arange(data.num_episodes), left)
    return replace(take_fraction(data, 1.0, 0), episodes=episodes)


def found(subset: Subset, limit: int = 256) -> HeldOutSteps:
    steps = held_out_steps(subset, limit)
    assert steps is not None
    return steps


def test_they_are_all_steps_of_the_episodes_that_are_left_out(make_trajectories: Make) -> None:
    data = make_trajectories()
    steps = found(without(data, 0, 1))
    assert sorted(steps.steps.tolist()) == [0, 1, 2, 3, 4]
    assert dict(zip(steps.steps.tolist(), steps.starts.tolist(), strict=True)) == {0: 0, 1: 0, 2: 0, 3: 0, 4: 4}
    assert_array_equal(steps.actions(), data.actions[steps.steps])


def test_the_data_alone_decide_their_order(make_trajectories: Make) -> None:
    """The steps that two subsets leave out come in one order, so runs on them share as many as there are."""
    data = make_trajectories()
    order = found(without(data, 0, 1, 2)).steps
    for left in ((0,), (2,), (0, 2)):
        own = found(without(data, *left)).steps
        assert_array_equal(own, [step for step in order if step in own])
        assert_array_equal(found(without(data, *left), limit=3).steps, own[:3])
    assert not np.array_equal(order, found(without(make_trajectories(seed=1), 0, 1, 2)).steps)
    keys = np.random.Philox(key=int(data.content_hash[:32], 16)).random_raw(11)
    assert_array_equal(order, sorted(range(11), key=keys.tolist().__getitem__))


@pytest.mark.parametrize("context", [1, 3, 20])
def test_windows_equal_the_naive_loop(make_trajectories: Make, context: int) -> None:
    data = make_trajectories()
    steps = found(without(data, 0, 2))
    told = returns_to_go(data)
    seen = []
    for rows, windows in HeldOutWindows(steps, context, View()).batches(2):
        assert len(rows) <= 2
        assert windows.mask.all()
        for place, row in enumerate(rows):
            start = int(steps.starts[row])
            end = int(steps.steps[row])
            first = max(start, end - context + 1)
            assert_array_equal(windows.observations[place], data.observations[first : end + 1])
            assert_array_equal(windows.actions[place], data.actions[first : end + 1])
            assert_array_equal(windows.returns_to_go[place], told[first : end + 1])
            assert_array_equal(windows.timesteps[place], np.arange(first - start, end - start + 1))
            seen.append(row)
    assert sorted(seen) == list(range(10))


def test_frames_come_with_those_that_they_are_stacked_with(frame_trajectories: Trajectories) -> None:
    steps = HeldOutSteps(frame_trajectories, np.array([2, 8]), np.array([0, 7]))
    (_, second), (_, third) = HeldOutWindows(steps, 3, View(frames=3, clip_rewards=True)).batches(32)
    assert second.observations[0, :, 0, 0].tolist() == [0, 0, 9, 10]  # step 8 is the second of its episode
    assert third.observations[0, :, 0, 0].tolist() == [0, 0, 1, 2, 3]
    assert third.returns_to_go[0].tolist() == [1.0, 1.0, 0.0]  # rewards 0, 1, 0, -1, 0, 0, 1 once clipped


def test_previous_actions_stop_at_an_episodes_beginning(make_trajectories: Make) -> None:
    data = make_trajectories()
    steps = HeldOutSteps(data, np.array([0, 3, 4]), np.array([0, 0, 4]))
    before = steps.previous_actions(np.array([5.0, 6.0], np.float32))
    assert_array_equal(before, [[5.0, 6.0], data.actions[2], [5.0, 6.0]])


def test_data_that_are_no_catalog_recording_have_no_second_one(make_trajectories: Make, lamobench_home: Path) -> None:
    for source in ("recorded", "d4rl"):
        data = make_trajectories(dataset="kitchen-complete", source=source)
        assert second_recording(data) is None
        assert held_out_steps(take_fraction(data, 1.0, 0)) is None
    assert not lamobench_home.exists()


def test_all_of_a_recording_is_measured_on_a_second_one(
    make_trajectories: Make, lamobench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_trajectories()
    origin = f"minari {recording_of(find_dataset('reacher2d-medium')).minari_id}; a note"
    data = replace(data, provenance=replace(data.provenance, origin=origin))
    steps = found(take_fraction(data, 1.0, 0))
    assert steps.trajectories.provenance.dataset == "reacher2d-medium-held-out"
    assert (len(steps.steps), steps.trajectories.num_episodes) == (256, 10)
    assert (lamobench_home / "datasets" / "reacher2d-medium-held-out" / "recorded").is_dir()
    monkeypatch.setattr(collect, "record", None)  # what is there is not recorded again
    assert_array_equal(found(take_fraction(data, 1.0, 0)).steps, steps.steps)


def test_second_recordings_differ_from_the_first_in_their_seeds() -> None:
    recorded = [d for d in DATASETS.values() if any(isinstance(source, Recorded) for source in d.sources)]
    assert len(SECOND_RECORDINGS) == 2 * len(recorded) > 40
    known = [recording_of(d) for d in (*recorded, *SECOND_RECORDINGS.values())]
    assert len({(recording.minari_id, recording.record_seed) for recording in known}) == 3 * len(recorded)
    for dataset in recorded:
        first = recording_of(dataset)
        for purpose, episodes in (("held-out", 10), ("tuning", first.episodes)):
            second = find_dataset(f"{dataset.name}-{purpose}")
            own = recording_of(second)
            assert (second.task, own.grade, own.episodes) == (dataset.task, first.grade, episodes)
            assert own.record_seed != first.record_seed
