from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from lamobench.datasets.fractions import Subset, take_fraction
from lamobench.datasets.trajectories import Trajectories
from lamobench.datasets.windows import ContextSampler, TransitionSampler, returns_to_go

Make = Callable[..., Trajectories]


def naive_window(data: Trajectories, episode: int, start: int, context: int) -> dict[str, np.ndarray]:
    """What one window must hold, written as one would explain it."""
    first, end = int(data.offsets[episode]), int(data.offsets[episode + 1])
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
