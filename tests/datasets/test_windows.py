from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from lamobench.datasets.fractions import Subset, take_fraction
from lamobench.datasets.trajectories import Trajectories
from lamobench.datasets.windows import (
    ChainedSampler,
    ContextSampler,
    GoalSampler,
    StepSampler,
    TransitionSampler,
    View,
    returns_to_go,
    reward_rates,
    reward_scale,
)

Make = Callable[..., Trajectories]


def naive_window(data: Trajectories, episode: int, start: int, context: int) -> dict[str, np.ndarray]:
    """The content of one window, written as one would explain it."""
    first = int(data.offsets[episode])
    end = int(data.offsets[episode + 1])
    window = {
        "observations": np.zeros((context, 12), np.float32),
        "actions": np.zeros((context, 2), np.float32),
        "returns_to_go": np.zeros(context, np.float32),
        "timesteps": np.zeros(context, np.int64),
        "mask": np.zeros(context, bool),
    }
    for k in range(context):
        step = first + start + k
        if step >= end:
            break
        window["observations"][k] = data.observations[step]
        window["actions"][k] = data.actions[step]
        window["returns_to_go"][k] = sum(float(r) for r in data.rewards[step:end])
        window["timesteps"][k] = start + k
        window["mask"][k] = True
    return window


@pytest.mark.parametrize("context", [1, 3, 20])
def test_every_window_equals_the_naive_loop_borders_and_padding_included(make_trajectories: Make, context: int) -> None:
    data = make_trajectories()
    sampler = ContextSampler(take_fraction(data, 1.0, 0), context)
    cases = [(n, t) for n in range(data.num_episodes) for t in range(int(data.lengths[n]))]
    starts = np.array([data.offsets[n] + t for n, t in cases])
    episodes = np.array([n for n, _ in cases])
    batch = sampler.windows(starts, data.offsets[episodes], data.offsets[episodes + 1])
    for row, (episode, start) in enumerate(cases):
        for name, expected in naive_window(data, episode, start, context).items():
            assert_array_equal(
                getattr(batch, name)[row].numpy(), expected, err_msg=f"{name} of episode {episode} step {start}"
            )


def test_discrete_actions_stay_integers(make_trajectories: Make) -> None:
    from dataclasses import replace

    data = replace(make_trajectories(), actions=np.arange(11, dtype=np.int64))
    batch = ContextSampler(take_fraction(data, 1.0, 0), 4).sample(8, np.random.default_rng(0))
    assert batch.actions.dtype == torch.int64
    assert batch.actions.shape == (8, 4)


def test_steps_of_the_subset_are_drawn_uniformly_and_no_others(make_trajectories: Make) -> None:
    data = make_trajectories()
    subset = Subset(data, np.array([0, 2]), 0.5, "")  # lengths 4 and 6
    sampler = TransitionSampler(subset)
    observations = sampler.sample(20_000, np.random.default_rng(0)).observations.numpy()
    wanted = data.observations[np.r_[0:4, 5:11]]
    counts = (observations[:, None, 0] == wanted[None, :, 0]).sum(0)
    assert counts.sum() == 20_000
    np.testing.assert_allclose(counts / 20_000, np.full(10, 0.1), atol=0.01)


def test_transitions_lead_to_the_next_or_the_last_observation(make_trajectories: Make) -> None:
    data = make_trajectories()
    sampler = TransitionSampler(take_fraction(data, 1.0, 0))
    batch = sampler.sample(500, np.random.default_rng(1))
    seen = set()
    for row in range(500):
        step = int(np.flatnonzero((data.observations == batch.observations[row].numpy()).all(1))[0])
        episode = int(np.searchsorted(data.offsets, step, side="right")) - 1
        last = step + 1 == data.offsets[episode + 1]
        following = data.last_observations[episode] if last else data.observations[step + 1]
        assert_array_equal(batch.next_observations[row].numpy(), following)
        assert float(batch.terminals[row]) == float(data.terminals[step])  # a timeout is no terminal
        assert_array_equal(batch.actions[row].numpy(), data.actions[step])
        seen.add(step)
    assert seen == set(range(11))


def test_the_same_generator_gives_the_same_batches(make_trajectories: Make) -> None:
    sampler = ContextSampler(take_fraction(make_trajectories(), 1.0, 0), 3)
    first, second = (sampler.sample(16, np.random.default_rng(7)) for _ in range(2))
    for name in ("observations", "actions", "returns_to_go", "timesteps", "mask"):
        assert torch.equal(getattr(first, name), getattr(second, name))


def test_returns_to_go_are_suffix_sums_and_exact_for_integers(make_trajectories: Make) -> None:
    data = make_trajectories(3)
    expected = [
        data.rewards[t : data.offsets[n + 1]].sum()
        for n in range(3)
        for t in range(data.offsets[n], data.offsets[n + 1])
    ]
    assert_array_equal(returns_to_go(data), expected)


def test_sampling_leaves_the_data_set_as_it_was(make_trajectories: Make) -> None:
    data = make_trajectories()
    before = data.content_hash
    for array in (data.observations, data.actions, data.rewards, data.last_observations):
        array.setflags(write=False)  # as memory maps are
    for sampler in (ContextSampler(take_fraction(data, 1.0, 0), 4), TransitionSampler(take_fraction(data, 1.0, 0))):
        sampler.sample(64, np.random.default_rng(0))
    assert make_trajectories().content_hash == before


def levels(frames: torch.Tensor) -> list[int]:
    """The one grey level of each frame (..., 2, 2)."""
    assert (frames == frames[..., :1, :1]).all()
    return frames[..., 0, 0].flatten().tolist()


def test_windows_of_frames_hold_each_frame_once_with_those_before_it(frame_trajectories: Trajectories) -> None:
    sampler = ContextSampler(take_fraction(frame_trajectories, 1.0, 0), 3, View(frames=4))
    starts = np.array([0, 2, 6, 7, 8])
    firsts = np.array([0, 0, 0, 7, 7])
    ends = np.array([7, 7, 7, 10, 10])
    batch = sampler.windows(starts, firsts, ends)
    assert batch.observations.dtype == torch.uint8
    assert batch.observations.shape == (5, 3 + 3, 2, 2)
    assert [levels(window) for window in batch.observations] == [
        [0, 0, 0, 1, 2, 3],  # black before the first
        [0, 1, 2, 3, 4, 5],
        [4, 5, 6, 7, 0, 0],  # padding after the last
        [0, 0, 0, 9, 10, 11],  # nothing of the episode before
        [0, 0, 9, 10, 11, 0],
    ]
    assert batch.mask.tolist() == [[True] * 3, [True] * 3, [True, False, False], [True] * 3, [True, True, False]]
    assert batch.actions[2].tolist() == [2, 0, 0]


def test_transitions_of_frames_end_in_the_last_observation(frame_trajectories: Trajectories) -> None:
    sampler = TransitionSampler(take_fraction(frame_trajectories, 1.0, 0), View(frames=4, clip_rewards=True))
    batch = sampler.sample(200, np.random.default_rng(0))
    newest = batch.observations[:, -1, 0, 0].tolist()
    seen = {level: row for row, level in enumerate(newest)}
    assert sorted(seen) == [1, 2, 3, 4, 5, 6, 7, 9, 10, 11]
    pairs = {n: (levels(batch.observations[i]), levels(batch.next_observations[i])) for n, i in seen.items()}
    assert pairs[1] == ([0, 0, 0, 1], [0, 0, 1, 2])
    assert pairs[7] == ([4, 5, 6, 7], [5, 6, 7, 8])
    assert pairs[9] == ([0, 0, 0, 9], [0, 0, 9, 10])
    assert pairs[11] == ([0, 9, 10, 11], [9, 10, 11, 12])
    assert {n: float(batch.rewards[i]) for n, i in seen.items()} == {
        1: 0, 2: 1, 3: 0, 4: -1, 5: 0, 6: 0, 7: 1, 9: 0.5, 10: 1, 11: 0
    }  # fmt: skip


@pytest.mark.parametrize("view", [View(), View(frames=4)])
def test_steps_alone_are_those_of_transitions(
    make_trajectories: Make, frame_trajectories: Trajectories, view: View
) -> None:
    subset = take_fraction(frame_trajectories if view.frames else make_trajectories(), 1.0, 0)
    steps, transitions = (
        sampler(subset, view).sample(50, np.random.default_rng(3)) for sampler in (StepSampler, TransitionSampler)
    )
    assert vars(steps).keys() == {"observations", "actions"}
    for name, tensor in vars(steps).items():
        assert torch.equal(tensor, getattr(transitions, name))


def test_clipping_changes_returns_to_go_but_not_the_data(frame_trajectories: Trajectories) -> None:
    clipped = returns_to_go(frame_trajectories, View(frames=4, clip_rewards=True))
    assert clipped.tolist() == [1, 1, 0, 0, 1, 1, 1, 1.5, 1, 0]
    assert returns_to_go(frame_trajectories)[0] == -2
    assert frame_trajectories.returns.tolist() == [-2, 20.5]


def test_sampling_frames_copies_no_more_than_the_batch(frame_trajectories: Trajectories, tmp_path: Path) -> None:
    """The data stays a memory map on disk, of which only the pages of drawn frames are read."""
    from dataclasses import replace

    path = tmp_path / "frames.npy"
    np.save(path, frame_trajectories.observations)
    mapped = replace(frame_trajectories, observations=np.load(path, mmap_mode="r"))
    sampler = ContextSampler(take_fraction(mapped, 1.0, 0), 3, View(frames=4))
    assert np.shares_memory(sampler.data.observations, mapped.observations), "the data set is not copied"
    batch = sampler.sample(4, np.random.default_rng(0))
    assert batch.observations.numpy().nbytes == 4 * 6 * 4


def test_next_actions_are_the_episodes_own(make_trajectories: Make) -> None:
    data = make_trajectories()
    subset = take_fraction(data, 1.0, 0)
    batch = ChainedSampler(subset).sample(200, np.random.default_rng(0))
    plain = TransitionSampler(subset).sample(200, np.random.default_rng(0))
    assert_array_equal(batch.observations, plain.observations)
    assert_array_equal(batch.terminals, plain.terminals)
    last = set(data.offsets[1:] - 1)
    for row in range(200):
        (step,) = np.flatnonzero((data.observations == batch.observations[row].numpy()).all(axis=1))
        assert batch.goes_on[row] == (step not in last)
        if step not in last:
            assert_array_equal(batch.next_actions[row], data.actions[step + 1])


def test_goals_are_of_the_same_episode_at_the_step_or_later(make_trajectories: Make) -> None:
    data = make_trajectories()
    subset = take_fraction(data, 1.0, 0)
    batch = GoalSampler(subset).sample(500, np.random.default_rng(0))
    seen = set()
    for row in range(500):
        (now,) = np.flatnonzero((data.observations == batch.observations[row].numpy()).all(axis=1))
        (then,) = np.flatnonzero((data.observations == batch.goals[row].numpy()).all(axis=1))
        assert_array_equal(batch.actions[row], data.actions[now])
        episode = np.searchsorted(data.offsets, now, side="right") - 1
        assert now <= then < data.offsets[episode + 1]
        seen.add((now, then))
    assert len(seen) == sum(length * (length + 1) // 2 for length in data.lengths)  # every pair there is


def test_rewards_are_multiplied_by_the_scale(make_trajectories: Make) -> None:
    subset = take_fraction(make_trajectories(), 1.0, 0)
    plain, scaled = (TransitionSampler(subset, reward_scale=s).sample(50, np.random.default_rng(0)) for s in (1.0, 2.5))
    torch.testing.assert_close(scaled.rewards, 2.5 * plain.rewards)
    assert scaled.rewards.dtype == torch.float32


def test_the_reward_scale_sets_returns_1000_apart(make_trajectories: Make) -> None:
    data = make_trajectories()
    subset = take_fraction(data, 1.0, 0)
    assert reward_scale(subset) == pytest.approx(1000.0 / (data.returns.max() - data.returns.min()))
    assert reward_scale(take_fraction(data, 0.01, 0)) == 1.0  # one episode


def test_reward_rates_are_over_the_rest_of_the_horizon(make_trajectories: Make) -> None:
    data = make_trajectories()
    subset = take_fraction(data, 0.5, 0)
    assert 0 < len(subset.episodes) < data.num_episodes
    rates = []
    for n in subset.episodes:
        first = int(data.offsets[n])
        end = int(data.offsets[n + 1])
        rates += [float(data.rewards[t:end].sum()) / (30 - (t - first)) for t in range(first, end)]
    assert reward_rates(subset, 30) == pytest.approx((min(rates), max(rates)))
