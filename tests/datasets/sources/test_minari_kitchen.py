"""Minari's kitchen data: FrankaKitchen-v1's dictionaries, and rewards paid at every step."""

import copy
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
import pytest
from gymnasium import spaces
from minari.data_collector import EpisodeBuffer

from lamobench.datasets import catalog
from lamobench.datasets.environments.simulators import make_environment
from lamobench.datasets.errors import UserError
from lamobench.datasets.kitchen import ELEMENTS, goal_vector
from lamobench.datasets.sources.imported import import_dataset
from lamobench.datasets.sources.minari import read

pytestmark = pytest.mark.filterwarnings("ignore:.*(is set to None|env_spec is None)")
SUB_GOALS = catalog.find_task("kitchen").sub_goals
MICROWAVE, KETTLE, LIGHT, SLIDE = SUB_GOALS


@pytest.fixture
def root(tmp_path: Path, lamobench_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "minari"


def place(env: gymnasium.Env, names: tuple[str, ...]) -> None:
    for name in names:
        entries, wanted = ELEMENTS[name]
        env.unwrapped.data.qpos[entries] = wanted


def test_what_minari_recorded_is_what_the_task_s_environment_pays(root: Path) -> None:
    """The same play twice: recorded as D4RL/kitchen/* were, and in the task's environment."""
    make_environment(catalog.find_task("kitchen")).close()  # registers it
    options = {"terminate_on_tasks_completed": False, "remove_task_when_completed": False, "max_episode_steps": 9}
    order = [LIGHT, SLIDE, KETTLE, MICROWAVE]
    collector = minari.DataCollector(gymnasium.make("FrankaKitchen-v1", tasks_to_complete=order, **options))
    play = [(), (SLIDE,), (), (MICROWAVE,), (KETTLE,), (LIGHT,), (), (), ()]
    stored = []
    collector.reset(seed=1)
    for names in play:
        place(collector, names)
        stored.append(collector.step(np.zeros(9))[1])
    collector.create_dataset("me/kitchen/try-v0")
    collector.close()
    env = make_environment(catalog.find_task("kitchen"))
    seen = [env.reset(seed=1)[0]]
    paid = []
    terminated = False
    for names in play:
        if not terminated:
            place(env, names)
            after, reward, terminated, *_ = env.step(np.zeros(9))
            seen.append(after)
            paid.append(reward)
    data = import_dataset("my-kitchen", "me/kitchen/try-v0")
    assert sum(stored) > 4 == data.returns[0], "a sub-goal was paid at every step"
    assert data.rewards[: len(paid)].tolist() == paid
    assert not data.rewards[len(paid) :].any()
    np.testing.assert_allclose(data.observations[: len(seen)], seen, atol=1e-6)
    assert "observations brought into D4RL's 60 numbers; rewards, stored at every step," in data.provenance.origin
    assert "stored counts" not in data.provenance.origin
    assert catalog.find_dataset("my-kitchen").task == "kitchen"
    assert catalog.load("my-kitchen").content_hash == data.content_hash


def episode(done: list[set[str]], rewards: list[float], sub_goals: tuple[str, ...]) -> EpisodeBuffer:
    """An episode from what each observation, the first included, satisfies."""
    states = np.full((len(done), 59), 5.0)
    goals = {name: np.full((len(done), len(ELEMENTS[name][1])), 5.0) for name in sub_goals}
    for t, names in enumerate(done):
        for name in names:
            entries, wanted = ELEMENTS[name]
            states[t, entries.start + 9 : entries.stop + 9] = wanted
            goals[name][t] = wanted
    steps = len(rewards)
    return EpisodeBuffer(
        observations={"observation": states, "achieved_goal": goals, "desired_goal": goals},
        actions=np.zeros((steps, 9)),
        rewards=rewards,
        terminations=[False] * steps,
        truncations=[False] * steps,
        infos={},
    )


def write(root: Path, buffers: list[EpisodeBuffer], sub_goals: tuple[str, ...] = SUB_GOALS, **options: Any) -> str:
    root.mkdir(exist_ok=True)
    make_environment(catalog.find_task("kitchen")).close()
    spec = copy.deepcopy(gymnasium.spec("FrankaKitchen-v1"))  # not to change what is registered
    spec.kwargs = {"tasks_to_complete": list(sub_goals), "remove_task_when_completed": False} | options
    goals = spaces.Dict({name: spaces.Box(-np.inf, np.inf, (len(ELEMENTS[name][1]),)) for name in sub_goals})
    state = spaces.Box(-np.inf, np.inf, (59,), np.float64)
    minari.create_dataset_from_buffers(
        "me/kitchen-v0",
        buffers,
        env=spec,
        observation_space=spaces.Dict({"observation": state, "achieved_goal": goals, "desired_goal": goals}),
        action_space=spaces.Box(-1, 1, (9,), np.float64),
    )
    return "me/kitchen-v0"


def test_a_sub_goal_that_comes_undone_is_not_paid_again(root: Path) -> None:
    done = [set(), {KETTLE}, set(), {LIGHT}, {LIGHT, KETTLE}]
    data = read(write(root, [episode(done, [1, 0, 1, 2], SUB_GOALS)]), root, "own")
    assert data.rewards.tolist() == [1, 0, 1, 0]
    np.testing.assert_array_equal(data.observations[0, 30:], goal_vector(SUB_GOALS).astype(np.float32))


def test_counts_that_contradict_what_was_seen_pay_at_new_maxima_and_it_is_said(root: Path) -> None:
    nothing: list[set[str]] = [set()] * 5
    buffers = [episode(nothing, [0, 1, 0, 2], SUB_GOALS), episode(nothing, [0] * 4, SUB_GOALS)]
    data = read(write(root, buffers), root, "own")
    assert data.rewards.tolist() == [0, 1, 0, 1, 0, 0, 0, 0]
    assert "the stored counts of 1 of 2 episodes are not those of the observations" in data.provenance.origin


def test_rewards_that_are_paid_once_stay(root: Path) -> None:
    buffers = [episode([set()] * 4, [1, 0, 1], SUB_GOALS)]
    data = read(write(root, buffers, remove_task_when_completed=True), root, "own")
    assert data.rewards.tolist() == [1, 0, 1]
    assert "paid once" not in data.provenance.origin


@pytest.mark.parametrize(("removed", "rewards"), [(True, [1, 2, 2]), (False, [0, 0.5, 0]), (False, [5, 0, 0])])
def test_rewards_that_contradict_the_metadata_are_refused(root: Path, removed: bool, rewards: list[float]) -> None:
    minari_id = write(root, [episode([set()] * 4, rewards, SUB_GOALS)], remove_task_when_completed=removed)
    with pytest.raises(UserError, match=r"episode 0: rewards .* its metadata say, but they reach .* with 4 sub-goals"):
        read(minari_id, root, "own")


def test_the_sub_goals_decide_between_the_kitchen_tasks(root: Path) -> None:
    sub_goals = catalog.find_task("kitchen-mixed").sub_goals
    import_dataset("mixed", write(root, [episode([set()] * 3, [0, 0], sub_goals[::-1])], sub_goals[::-1]))
    assert catalog.find_dataset("mixed").task == "kitchen-mixed"


def test_sub_goals_of_no_task_are_a_task_of_their_own(root: Path) -> None:
    sub_goals = (KETTLE, LIGHT)
    data = import_dataset("two", write(root, [episode([set()] * 3, [0, 1], sub_goals)], sub_goals))
    assert data.observations.shape[1] == 59 + 2 * (7 + 2)
    task = catalog.find_task(catalog.find_dataset("two").task)
    env = make_environment(task)
    assert (task.name, env.reset()[0].shape, task.target_returns) == ("two", (77,), (1.0,))
    env.close()
