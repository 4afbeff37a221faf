from dataclasses import replace

import numpy as np
import pytest

from lamobench.datasets.catalog import find_task, recording_of
from lamobench.datasets.entries import DATASETS, LOCOMOTION_SIZES, Recorded
from lamobench.datasets.environments.simulators import make_environment
from lamobench.datasets.errors import UserError
from lamobench.datasets.recording import search
from lamobench.datasets.recording.actors import PLAYERS_FOLDER, play
from lamobench.datasets.recording.collect import PLAYERS, Recorder, parts
from lamobench.datasets.recording.locomotion import GRADES, choose_actor, play_episode, players
from lamobench.datasets.recording.part import Part

TASKS = list(LOCOMOTION_SIZES)


@pytest.mark.parametrize("task", TASKS)
def test_shipped_files_are_small_and_hold_what_the_search_says(task: str) -> None:
    known = players(task)
    observation_size, action_size = LOCOMOTION_SIZES[task]
    shapes = [weight.shape for weight, _ in known.expert.layers]
    assert shapes == [(64, 27 if task == "ant" else observation_size), (64, 64), (2 * action_size, 64)]
    assert (PLAYERS_FOLDER / f"{task}.safetensors").stat().st_size < 160_000
    assert known.facts["task"] == task
    assert known.facts["replay_steps"][-1] == known.facts["medium"]["step"]
    assert len(known.facts["replay_steps"]) == len(known.replay)
    curve = [
        search.Snapshot(step, known.expert, mean, find_task(task).normalise(mean))
        for step, mean in known.facts["curve"]
    ]
    assert curve[search.choose_medium(curve)].step == known.facts["medium"]["step"]
    assert max(curve, key=lambda one: one.mean_return).step == known.facts["expert"]["step"]
    assert known.facts["steps"] == search.STEPS[task]


@pytest.mark.parametrize("task", TASKS)
def test_medium_is_near_a_third_and_expert_well_above(task: str) -> None:
    facts = players(task).facts
    normalise = find_task(task).normalise
    medium, expert = (normalise(facts[name]["mean_return"]) for name in ("medium", "expert"))
    assert 20 < medium < 50
    assert expert > 1.4 * medium


@pytest.mark.parametrize("task", TASKS)
def test_a_recording_is_as_good_as_the_file_says(task: str) -> None:
    known = players(task)
    env = make_environment(find_task(task))
    for actor, facts in ((known.medium, known.facts["medium"]), (known.expert, known.facts["expert"])):
        returns = [play(env, actor, seed) for seed in range(3)]
        spread = 4 * facts["standard_deviation"] / np.sqrt(len(returns)) + 0.05 * abs(facts["mean_return"])
        assert abs(np.mean(returns) - facts["mean_return"]) < spread


def test_an_episode_follows_from_grade_and_part_alone() -> None:
    task = find_task("hopper")
    env = Recorder(make_environment(find_task("hopper")))

    def returns(parts: list[Part], grade: str = "medium") -> dict[int, list[float]]:
        played = {}
        for part in parts:
            play_episode(task.name, env, grade, part)
            played[part.number] = [step[1] for step in env.steps]
        return played

    todo = parts(7, 3)
    first = returns(todo)
    assert first == returns(todo[::-1])
    assert first != returns(parts(8, 3))
    assert first != returns([replace(part, total=1) for part in todo], "medium-expert")


def test_grades_name_the_actors_of_the_docstring() -> None:
    known = players("hopper")
    of = {grade: [choose_actor(known, grade, Part(0, n, 20)) for n in range(20)] for grade in GRADES}
    assert all(actor is known.medium for actor in of["medium"])
    assert [actor is known.medium for actor in of["medium-expert"]] == [True] * 10 + [False] * 10
    assert all(actor is known.expert for actor in of["medium-expert"][10:])
    order = [next(i for i, one in enumerate(known.replay) if one is actor) for actor in of["medium-replay"]]
    assert order == sorted(order)
    assert set(order) == set(range(len(known.replay)))
    assert max(np.bincount(order)) - min(np.bincount(order)) <= 1
    assert [choose_actor(known, "medium-expert", Part(0, n, 3)) is known.expert for n in range(3)] == [
        False,
        False,
        True,
    ]


def test_actions_are_draws_that_stay_in_their_space() -> None:
    env = Recorder(make_environment(find_task("halfcheetah")))
    play_episode("halfcheetah", env, "medium", Part(seed=1, number=0, total=1))
    actions = np.stack([step[0] for step in env.steps])
    means = np.stack([players("halfcheetah").medium.act(one) for one in env.observations[:-1]])
    assert actions.dtype == np.float32
    assert np.abs(actions).max() <= 1
    assert 0.02 < (actions - means).std() < 1
    assert abs((actions - means).mean()) < 0.1


def test_an_unknown_grade_is_named() -> None:
    with pytest.raises(UserError, match="unknown grade 'expert'"):
        choose_actor(players("hopper"), "expert", Part(0, 0, 1))


def test_every_d4rl_set_of_version_2_can_be_recorded_and_public_data_comes_first() -> None:
    for task in TASKS:
        for grade in GRADES:
            dataset = DATASETS[f"{task}-{grade}"]
            assert dataset.source_names == ["d4rl", "recorded"]
            assert recording_of(dataset).grade == grade
            assert PLAYERS[task].algorithm
    seeds = [s.record_seed for d in DATASETS.values() for s in d.sources if isinstance(s, Recorded)]
    assert len(seeds) == len(set(seeds))
