import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from lamobench.datasets.catalog import find_task, recording_of
from lamobench.datasets.entries import DATASETS
from lamobench.datasets.environments.simulators import make_environment
from lamobench.datasets.kitchen import DONE_WITHIN, goal_vector, satisfied
from lamobench.datasets.recording import kitchen
from lamobench.datasets.recording.collect import PLAYERS, Recorder
from lamobench.datasets.recording.kitchen_arm import Arm
from lamobench.datasets.recording.kitchen_scripts import SCRIPTS, distance
from lamobench.datasets.recording.part import Part
from lamobench.datasets.trajectories import Array

TARGET = find_task("kitchen").sub_goals
MIXED = find_task("kitchen-mixed").sub_goals


@pytest.fixture(scope="module")
def env() -> Iterator[Recorder]:
    recorder = Recorder(make_environment(find_task("kitchen")))
    yield recorder
    recorder.close()


def drawn(grade: str, episodes: int = 600) -> list[kitchen.Demonstration]:
    return [kitchen.GRADES[grade](np.random.default_rng(number), number) for number in range(episodes)]


def play(env: Recorder, grade: str, seed: int) -> tuple[Array, Array, float]:
    kitchen.play_episode(env, grade, Part(seed, number=seed, total=100))
    episode = env.episode(0)
    return np.array(episode.observations), np.array(episode.actions), float(np.sum(episode.rewards))


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_script_does_its_sub_task_and_no_other(env: Recorder, name: str) -> None:
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        env.reset(seed=seed)
        arm = Arm(env)
        undone = {other: distance(arm, other) for other in SCRIPTS}
        for action in SCRIPTS[name](arm, rng.normal(0.0, 0.01, 3)):
            env.step(np.clip(action + 0.05 * rng.standard_normal(9), -1.0, 1.0))
        assert [other for other in SCRIPTS if distance(arm, other) < DONE_WITHIN] == [name]
        assert all(distance(arm, other) == pytest.approx(undone[other], abs=0.1) for other in SCRIPTS if other != name)


def test_a_door_that_stands_half_open_is_opened(env: Recorder) -> None:
    env.reset(seed=0)
    env.unwrapped.data.qpos[22] = -0.3
    arm = Arm(env)
    for action in SCRIPTS["microwave"](arm, np.zeros(3)):
        env.step(action)
    assert distance(arm, "microwave") < DONE_WITHIN


def test_complete_episodes_do_all_four_in_order_and_end_with_the_last(env: Recorder) -> None:
    for seed in (1, 2):
        observations, actions, episode_return = play(env, "complete", seed)
        assert episode_return == 4.0
        assert env.episode(0).terminations[-1]
        assert observations.shape == (len(actions) + 1, 60)
        np.testing.assert_array_equal(observations[0, 30:], goal_vector(TARGET))
        assert np.abs(actions).max() <= 1.0
        first_done = satisfied(observations, TARGET).argmax(axis=0)
        assert list(first_done) == sorted(first_done)


def test_an_episode_depends_on_its_part_alone(env: Recorder) -> None:
    first = play(env, "partial", 6)
    second = play(env, "partial", 7)
    again = play(env, "partial", 6)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    elsewhere = Recorder(make_environment(find_task("kitchen")))
    np.testing.assert_array_equal(play(elsewhere, "partial", 7)[0], second[0])
    elsewhere.close()
    assert first[1].shape != second[1].shape or (first[1] != second[1]).any()


def test_a_demonstration_that_leaves_sub_goals_undone_stops_before_the_horizon(env: Recorder) -> None:
    def short(rng: np.random.Generator, number: int) -> kitchen.Demonstration:
        return kitchen.Demonstration(("light switch",), noise=0.02, jitter=0.0, speed=1.0, attempts=3)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(kitchen.GRADES, "short", short)
        observations, _, episode_return = play(env, "short", 0)
    episode = env.episode(0)
    assert episode_return == 1.0
    assert len(observations) < 100
    assert (any(episode.terminations), episode.truncations[-1]) == (False, True)
    still = observations[-kitchen.STILL :, :7]
    assert np.ptp(still, axis=0).max() < 0.15


def test_complete_demonstrations_are_careful_and_in_order() -> None:
    assert {(d.order, d.attempts) for d in drawn("complete", 50)} == {(TARGET, 3)}
    assert max(d.noise for d in drawn("complete", 50)) <= kitchen.CAREFUL[1]
    assert len({(d.noise, d.jitter, d.speed) for d in drawn("complete", 50)}) == 50


def test_partial_demonstrations_are_of_everything_and_a_fifth_of_them_of_the_target() -> None:
    demonstrations = drawn("partial")
    assert all(d.order == TARGET for d in demonstrations[::5])
    others = [d for number, d in enumerate(demonstrations) if number % 5]
    assert {len(d.order) for d in others} == {2, 3, 4}
    assert all(len(set(d.order)) == len(d.order) for d in others)
    pairs = {pair for d in others for pair in itertools.permutations(d.order, 2) if d.order.index(pair[0]) == 0}
    assert all((a, b) in pairs for a, b in itertools.permutations(SCRIPTS, 2) if a != "hinge cabinet")
    assert 0.2 < np.mean([d.noise > kitchen.CAREFUL[1] for d in demonstrations]) < 0.3
    assert all("hinge cabinet" not in d.order[:-1] for d in demonstrations)


def test_no_mixed_demonstration_has_all_four_sub_goals_but_every_piece_occurs() -> None:
    orders = [d.order for d in drawn("mixed")]
    assert not [order for order in orders if set(order) >= set(MIXED)]
    for piece in itertools.pairwise(MIXED):
        assert sum(piece in itertools.pairwise(order) for order in orders) > 10
    assert all(any(set(left) <= set(order) for order in orders) for left in itertools.combinations(MIXED, 3))


def test_the_catalog_records_each_quality_by_its_grade() -> None:
    for quality, episodes in (("complete", 19), ("partial", 601), ("mixed", 601)):
        dataset = DATASETS[f"kitchen-{quality}"]
        assert (recording_of(dataset).grade, recording_of(dataset).episodes) == (quality, episodes)
        assert dataset.source_names == ["d4rl", "recorded", "d4rl-legacy"]
        assert PLAYERS[dataset.task].play is kitchen.play_episode
