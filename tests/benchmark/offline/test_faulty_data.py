"""Faults of data and evaluation, each by what it does to them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lamobench.benchmark.offline.build import training_subset
from lamobench.benchmark.offline.faulty_data import evaluation_view, faulty_subset, shift_episodes, training_view
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.datasets import cache
from lamobench.datasets.catalog import find_task
from lamobench.datasets.errors import UserError
from lamobench.datasets.fractions import take_fraction
from lamobench.datasets.kitchen import goal_vector
from lamobench.datasets.trajectories import Array, Provenance, Trajectories
from lamobench.datasets.windows import ContextSampler, View, returns_to_go

Requests = Callable[..., RunRequest]
LIMIT = 6  # the horizon of the episodes below


def episodes(*lengths_and_ends: tuple[int, str], source: str = "recorded") -> Trajectories:
    """Episodes whose observations and rewards tell the step, counted over all of them from 0."""
    lengths = [length for length, _ in lengths_and_ends]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    steps = np.arange(offsets[-1], dtype=np.float32)
    terminals = np.zeros(len(steps), bool)
    timeouts = np.zeros(len(steps), bool)
    for end, (_, kind) in zip(offsets[1:] - 1, lengths_and_ends, strict=True):
        (terminals if kind == "terminal" else timeouts)[end] = True
    return Trajectories(
        observations=steps[:, None],
        actions=-steps[:, None],
        rewards=steps,
        terminals=terminals,
        timeouts=timeouts,
        offsets=offsets,
        last_observations=1000 + np.arange(len(lengths), dtype=np.float32)[:, None],
        provenance=Provenance("some", source, "a test", "some", "none"),
    )


def as_published(data: Trajectories, limit: int | None) -> list[list[int]]:
    """The steps of each episode by `qlearning_dataset` and the loop of `download_d4rl_datasets.py`, as they are."""
    ends = data.terminals | data.timeouts if limit is None else data.terminals
    kept = [i for i in range(data.num_steps - 1) if limit is None or not data.timeouts[i]]
    paths = []
    path = []
    episode_step = 0
    for i in kept:
        path.append(i)
        if ends[i] or episode_step == (1000 if limit is None else limit) - 1:
            episode_step = 0
            paths.append(path)
            path = []
        episode_step += 1
    return paths


CASES = {
    "all time out": episodes(*[(LIMIT, "timeout")] * 9),
    "the first ends early": episodes((3, "terminal"), (LIMIT, "timeout"), (LIMIT, "timeout"), (4, "terminal")),
    "mixed": episodes((LIMIT, "timeout"), (LIMIT, "timeout"), (2, "terminal"), (LIMIT, "timeout"), (5, "terminal")),
    "terminals alone": episodes((3, "terminal"), (1, "terminal"), (LIMIT, "terminal"), (2, "terminal")),
}


@pytest.mark.parametrize("case", CASES)
def test_episodes_are_cut_as_the_published_loops_cut_them(case: str) -> None:
    data = CASES[case]
    shifted, origins = shift_episodes(data, LIMIT)
    expected = as_published(data, LIMIT)
    cut = np.split(shifted.rewards.astype(int), shifted.offsets[1:-1])
    assert [part.tolist() for part in cut] == expected
    assert origins.tolist() == [int(np.searchsorted(data.offsets, part[0], side="right")) - 1 for part in expected]
    np.testing.assert_array_equal(shifted.actions, -shifted.observations)


def test_random_data_are_cut_as_the_published_loops_cut_them() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        chosen = rng.random(int(rng.integers(3, 12))) < 0.6
        data = episodes(
            *((LIMIT, "timeout") if late else (int(rng.integers(1, LIMIT + 1)), "terminal") for late in chosen)
        )
        if expected := as_published(data, LIMIT):
            shifted, _ = shift_episodes(data, LIMIT)
            assert [part.tolist() for part in np.split(shifted.rewards, shifted.offsets[1:-1])] == expected


def test_episodes_that_time_out_end_with_the_first_step_of_the_next() -> None:
    """HalfCheetah's 1000 episodes of 1000 steps become 999, of which the first has 1000 steps and the rest 999."""
    shifted, origins = shift_episodes(episodes(*[(1000, "timeout")] * 1000), 1000)
    assert shifted.num_episodes == 999
    assert shifted.lengths.tolist() == [1000] + [999] * 998
    last_steps = shifted.rewards[shifted.offsets[1:] - 1]
    assert (last_steps == 1000 * np.arange(1, 1000)).all()
    assert origins.tolist() == list(range(999))
    assert (shifted.last_observations[:, 0] == last_steps + 1).all()
    assert shifted.timeouts.sum() == 999


def test_kitchen_data_lose_the_last_demonstration_alone() -> None:
    data = episodes((3, "terminal"), (9, "timeout"), (2, "terminal"), (4, "terminal"))
    shifted, origins = shift_episodes(data, None)
    assert shifted.lengths.tolist() == [3, 9, 2]
    assert origins.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(shifted.last_observations, data.last_observations[:3])
    assert shifted.terminals.sum() == 2
    with pytest.raises(UserError, match="leaves nothing of 1 episode;"):
        shift_episodes(episodes((3, "terminal")), None)


def test_a_shifted_subset_has_the_same_episodes_as_the_subset() -> None:
    data = episodes(*[(100, "timeout")] * 20)
    subset = take_fraction(data, 0.3, 4)
    shifted = faulty_subset(subset, find_task("reacher2d"), ["shifted-episodes"])
    assert shifted.episodes.tolist() == [episode for episode in subset.episodes if episode < 19]
    assert shifted.hash != subset.hash
    assert shifted.trajectories.num_episodes == 19


def test_the_best_episode_is_dropped_and_no_other(tiny_request: Requests, reacher_data: Trajectories) -> None:
    for fraction in (0.5, 1.0):
        default, faulty = (
            training_subset(resolve(tiny_request("dt", fraction=fraction, legacy=legacy)))
            for legacy in ((), ("drop-best",))
        )
        (dropped,) = set(default.episodes) - set(faulty.episodes)
        assert reacher_data.returns[dropped] == reacher_data.returns[default.episodes].max()
        assert faulty.hash != default.hash
        assert not set(faulty.episodes) - set(default.episodes)


def test_the_only_episode_is_not_dropped(tiny_request: Requests) -> None:
    with pytest.raises(UserError, match=r"would leave nothing of 1 episode; give a larger fraction"):
        resolve(tiny_request("dt", fraction=0.1, legacy=("drop-best",)))


def test_the_configuration_knows_what_is_trained_on(tiny_request: Requests) -> None:
    config = resolve(tiny_request("dt", legacy=("drop-best",)))
    assert config.episodes_in_subset == 7
    assert config.subset_hash == training_subset(config).hash
    assert config.dataset_hash == resolve(tiny_request("dt")).dataset_hash


def test_late_returns_leave_out_the_step_s_own_reward(tiny_request: Requests) -> None:
    data = episodes((3, "terminal"), (2, "timeout"), (1, "terminal"))  # rewards 0 1 2, 3 4, 5
    subset = take_fraction(data, 1.0, 0)
    faulty = faulty_subset(subset, find_task("reacher2d"), ["late-returns"])
    assert returns_to_go(data).tolist() == [3, 3, 2, 7, 4, 5]
    assert returns_to_go(faulty.trajectories).tolist() == [3, 2, 0, 4, 0, 0]
    assert faulty.hash != subset.hash
    assert data.rewards.tolist() == [0, 1, 2, 3, 4, 5], "the data set itself is left alone"

    # and so in the windows of a run
    default, faulty_run = (
        training_subset(resolve(tiny_request("dt", legacy=legacy))) for legacy in ((), ("late-returns",))
    )
    one, other = (ContextSampler(part, 3).sample(64, np.random.default_rng(0)) for part in (default, faulty_run))
    rewards = default.trajectories.rewards
    steps = [
        int(np.flatnonzero((default.trajectories.observations == seen).all(1))[0])
        for seen in one.observations[:, 0].numpy()
    ]
    less = one.returns_to_go[:, 0].numpy() - rewards[steps]
    np.testing.assert_allclose(other.returns_to_go[:, 0].numpy(), less, atol=1e-5)
    assert (rewards[steps] != 0).any()


def test_the_best_is_dropped_by_the_rewards_that_are_stored() -> None:
    data = episodes((2, "terminal"), (1, "terminal"), (2, "terminal"))  # returns 1, 2, 7; late ones 1, 0, 4
    swapped = replace(data, rewards=np.array([0, 3, 9, 0, 4], np.float32))  # returns 3, 9, 4; late ones 3, 0, 4
    both = faulty_subset(take_fraction(swapped, 1.0, 0), find_task("reacher2d"), ["late-returns", "drop-best"])
    assert both.episodes.tolist() == [0, 2]
    assert both.trajectories.returns[both.episodes].tolist() == [3, 4]


def games() -> Trajectories:
    """Two games of 5 and 3 steps, whose frames tell the step, from 1, and which pay at every step."""
    data = episodes((5, "terminal"), (3, "terminal"))
    frames = np.tile(np.arange(1, 9, dtype=np.uint8)[:, None, None], (1, 2, 2))
    return replace(
        data,
        observations=frames,
        actions=np.arange(11, 19),
        rewards=np.full(8, 4.0, np.float32),
        last_observations=np.zeros((2, 2, 2), np.uint8),
    )


def test_padding_steps_are_rows_of_zeros_before_each_episode() -> None:
    """The published code trains on the same windows as those of data that have such rows as steps."""
    data = games()
    view = View(frames=4, clip_rewards=True)
    rows = np.concatenate([np.full(3, -1), np.arange(5), np.full(3, -1), np.arange(5, 8)])
    padded = replace(
        data,
        observations=np.where((rows < 0)[:, None, None], 0, data.observations[rows]).astype(np.uint8),
        actions=np.where(rows < 0, 0, data.actions[rows]),
        rewards=np.where(rows < 0, 0, data.rewards[rows]).astype(np.float32),
        terminals=(rows >= 0) & data.terminals[rows],
        timeouts=np.zeros(14, bool),
        offsets=np.array([0, 8, 14]),
    )
    seen = training_view(view, ["padding-steps"])
    assert (seen.padding_steps, training_view(view, ["drop-best"])) == (3, view)
    ours = ContextSampler(take_fraction(data, 1.0, 0), 4, seen)
    theirs = ContextSampler(take_fraction(padded, 1.0, 0), 4, view)
    starts = np.array([*range(-3, 5), *range(2, 8)])  # every step of both games: those of the second begin in the first
    first, end = (np.repeat(values, [8, 6]) for values in ([0, 5], [5, 8]))
    batch = ours.windows(starts, first, end)
    expected = theirs.windows(np.arange(14), np.repeat([0, 8], [8, 6]), np.repeat([8, 14], [8, 6]))
    for name, wanted in vars(expected).items():
        np.testing.assert_array_equal(getattr(batch, name), wanted, err_msg=name)
    assert batch.returns_to_go[:4, 0].tolist() == [5, 5, 5, 5]
    assert batch.timesteps[3].tolist() == [3, 4, 5, 6]
    drawn, same = (sampler.sample(256, np.random.default_rng(0)) for sampler in (ours, theirs))
    for name, wanted in vars(same).items():
        np.testing.assert_array_equal(getattr(drawn, name), wanted, err_msg=name)
    black = (drawn.observations[:, 3] == 0).all((-1, -2))
    assert 0.3 < float(black.float().mean()) < 0.55  # 6 of the 14 steps


@pytest.fixture
def kitchen_data() -> Trajectories:
    """Three demonstrations in which the microwave is opened at step 2 and the kettle is moved at step 5 of 8."""
    task = find_task("kitchen")
    wanted = goal_vector(task.sub_goals)
    state = np.zeros((8, 30))
    state[2:, 22] = wanted[22]
    state[5:, 23:30] = wanted[23:30]
    observations = np.tile(np.hstack([state, np.tile(wanted, (8, 1))]), (3, 1)).astype(np.float32)
    rewards = np.tile([0, 1, 0, 0, 1, 0, 0, 0], 3).astype(np.float32)
    ends = np.tile(np.arange(8) == 7, 3)
    return Trajectories(
        observations=observations,
        actions=np.zeros((24, 9), np.float32),
        rewards=rewards,
        terminals=ends,
        timeouts=np.zeros(24, bool),
        offsets=np.arange(0, 25, 8),
        last_observations=observations[7::8],
        provenance=Provenance("kitchen-complete", "d4rl", "a test", "kitchen-complete-v0", "mujoco-py"),
    )


def test_kitchen_counts_pay_a_sub_goal_at_every_step(kitchen_data: Trajectories) -> None:
    task = find_task("kitchen")
    subset = take_fraction(kitchen_data, 0.7, 0)
    faulty = faulty_subset(subset, task, ["kitchen-counts"])
    assert faulty.episodes.tolist() == subset.episodes.tolist()
    assert faulty.hash != subset.hash
    assert faulty.trajectories.rewards[:8].tolist() == [0, 0, 1, 1, 1, 2, 2, 2]
    assert returns_to_go(faulty.trajectories)[:8].tolist() == [9, 9, 9, 8, 7, 6, 4, 2]  # of 4 sub-goals
    assert returns_to_go(kitchen_data)[:8].tolist() == [2, 2, 1, 1, 1, 0, 0, 0]
    legacy_source = replace(kitchen_data, provenance=replace(kitchen_data.provenance, source="d4rl-legacy"))
    with pytest.raises(UserError, match="source 'd4rl-legacy' has counts for rewards already"):
        faulty_subset(take_fraction(legacy_source, 1.0, 0), task, ["kitchen-counts"])


def test_a_run_on_kitchen_data_is_trained_on_counts(kitchen_data: Trajectories, home: Any) -> None:
    cache.save(kitchen_data)
    trained = training_subset(resolve(RunRequest("kitchen-complete", "dt", legacy=("kitchen-counts",))))
    assert trained.trajectories.rewards.sum() == 3 * 9
    assert training_subset(resolve(RunRequest("kitchen-complete", "dt"))).trajectories.rewards.sum() == 3 * 2


def test_evaluation_sees_unclipped_rewards_and_training_does_not() -> None:
    view = View(frames=4, clip_rewards=True)
    rewards: Array = np.array([4.0, -7.0])
    assert view.rewards(rewards).tolist() == [1.0, -1.0]
    assert evaluation_view(view, ["unclipped-evaluation"]).rewards(rewards).tolist() == [4.0, -7.0]
    assert evaluation_view(view, ["drop-best"]) == view


def test_without_a_fault_nothing_is_touched(reacher_data: Trajectories) -> None:
    subset = take_fraction(reacher_data, 0.5, 0)
    assert faulty_subset(subset, find_task("reacher2d"), []) is subset
    others = [
        "no-positions",
        "tanh-logits",
        "cumulative-schedule",
        "unclipped-evaluation",
        "padding-steps",
        "best-target",
    ]
    assert faulty_subset(subset, find_task("reacher2d"), others) is subset
