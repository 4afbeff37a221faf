from itertools import pairwise

import numpy as np
import pytest

from lamobench.datasets.errors import UserError
from lamobench.datasets.fractions import take_fraction
from lamobench.datasets.trajectories import Provenance, Trajectories


def many_episodes(count: int = 200, seed: int = 0) -> Trajectories:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 8, count)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    steps = int(offsets[-1])
    ends = np.zeros(steps, bool)
    ends[offsets[1:] - 1] = True
    return Trajectories(
        rng.normal(2.0, 3.0, (steps, 4)).astype(np.float32),
        rng.normal(size=(steps, 2)).astype(np.float32),
        rng.normal(size=steps).astype(np.float32),
        np.zeros(steps, bool),
        ends,
        offsets,
        rng.normal(size=(count, 4)).astype(np.float32),
        Provenance("a", "recorded", "", "", ""),
    ).check()


@pytest.mark.parametrize("seed", [0, 1, 17])
def test_smaller_fractions_lie_inside_larger_ones(seed: int) -> None:
    data = many_episodes()
    subsets = [set(take_fraction(data, f, seed).episodes.tolist()) for f in (0.01, 0.1, 0.3, 1.0)]
    assert [len(s) for s in subsets] == [2, 20, 60, 200]
    for smaller, larger in pairwise(subsets):
        assert smaller < larger


def test_a_fraction_depends_on_content_and_seed_alone() -> None:
    data = many_episodes()
    chosen = take_fraction(data, 0.1, 0)
    again = take_fraction(many_episodes(), 0.1, 0)
    assert chosen.episodes.tolist() == again.episodes.tolist()
    assert chosen.hash == again.hash
    assert take_fraction(data, 0.1, 1).hash != chosen.hash
    assert take_fraction(many_episodes(seed=5), 0.1, 0).episodes.tolist() != chosen.episodes.tolist()


def test_the_choice_of_today_is_the_choice_for_ever() -> None:
    # published rows name subsets by hash: a change here would orphan them all
    offsets = np.arange(21) * 2
    ends = np.arange(40) % 2 == 1
    data = Trajectories(
        np.zeros((40, 1), np.float32),
        np.zeros((40, 1), np.float32),
        np.zeros(40, np.float32),
        np.zeros(40, bool),
        ends,
        offsets,
        np.zeros((20, 1), np.float32),
        Provenance("", "", "", "", ""),
    )
    assert take_fraction(data, 0.25, 3).episodes.tolist() == FROZEN


FROZEN = [3, 4, 5, 14, 16]


def test_at_least_one_whole_episode_is_kept() -> None:
    data = many_episodes()
    subset = take_fraction(data, 0.0001, 0)
    assert len(subset.episodes) == 1
    assert subset.num_steps == data.lengths[subset.episodes[0]]


@pytest.mark.parametrize("fraction", [0.0, -0.1, 2.0, float("nan")])
def test_a_fraction_outside_its_range_is_refused(fraction: float) -> None:
    with pytest.raises(UserError, match=r"is outside \(0, 1\]"):
        take_fraction(many_episodes(10), fraction, 0)


def test_moments_are_those_of_the_chosen_steps() -> None:
    data = many_episodes()
    subset = take_fraction(data, 0.3, 0)
    rows = np.concatenate([np.arange(data.offsets[n], data.offsets[n + 1]) for n in subset.episodes])
    mean, std = subset.observation_moments()
    np.testing.assert_allclose(mean, data.observations[rows].mean(0), rtol=1e-5)
    np.testing.assert_allclose(std, data.observations[rows].std(0), rtol=1e-5)
