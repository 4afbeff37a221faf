from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from lamobench.datasets import fractions
from lamobench.datasets.errors import UserError
from lamobench.datasets.fractions import (
    Subset,
    best_episodes,
    take_fraction,
    take_fraction_by_length,
    take_weighted_fraction,
)
from lamobench.datasets.trajectories import Array, Provenance, Trajectories


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


@pytest.mark.parametrize("take", [take_fraction, take_fraction_by_length, take_weighted_fraction])
@pytest.mark.parametrize("fraction", [0.0, -0.1, 2.0, float("nan")])
def test_a_fraction_outside_its_range_is_refused(take: Callable[..., Subset], fraction: float) -> None:
    with pytest.raises(UserError, match=r"is outside \(0, 1\]"):
        take(many_episodes(10), fraction, 0)


@pytest.mark.parametrize("seed", [0, 1, 17])
def test_fractions_by_length_are_nested_and_have_the_steps(seed: int) -> None:
    data = many_episodes()
    subsets = [take_fraction_by_length(data, f, seed) for f in (0.01, 0.1, 0.3, 1.0)]
    for subset in subsets:
        wanted = subset.fraction * data.num_steps
        assert wanted <= subset.num_steps < wanted + data.lengths.max()
    for smaller, larger in pairwise(subsets):
        assert set(smaller.episodes) < set(larger.episodes)
    assert subsets[-1].episodes.tolist() == list(range(200))
    assert subsets[1].hash == take_fraction_by_length(many_episodes(), 0.1, seed).hash
    assert subsets[1].hash != take_fraction_by_length(data, 0.1, seed + 1).hash


@pytest.mark.parametrize("seed", [0, 1, 17])
def test_weighted_fractions_are_nested_and_have_the_episodes(seed: int) -> None:
    data = many_episodes()
    shares = (0.001, 0.019, 0.1, 0.3, 1.0)
    subsets = [take_weighted_fraction(data, share, seed) for share in shares]
    assert [len(subset.episodes) for subset in subsets] == [1, 3, 20, 60, 200]  # rounded down, at least one
    for smaller, larger in pairwise(subsets):
        assert set(smaller.episodes) < set(larger.episodes)
    # the same draws as by length, which stops at the share of the steps
    by_length = take_fraction_by_length(data, 0.3, seed)
    assert set(by_length.episodes) < set(subsets[3].episodes)


def published_choice(lengths: Array, fraction: float, rng: np.random.Generator, weighted: bool) -> list[int]:
    """Episodes without replacement, each with probability proportional to its length: LaMo's draw, or by steps."""
    if weighted:
        count = int(np.floor(len(lengths) * fraction))
        return [int(n) for n in rng.choice(len(lengths), size=count, p=lengths / lengths.sum(), replace=False)]
    chosen: list[int] = []
    while lengths[chosen].sum() < fraction * lengths.sum():
        left = np.setdiff1d(np.arange(len(lengths)), chosen)
        chosen.append(int(rng.choice(left, p=lengths[left] / lengths[left].sum())))
    return chosen


@pytest.mark.parametrize("take", [take_fraction_by_length, take_weighted_fraction])
def test_episodes_are_chosen_as_often_as_in_the_published_draws(take: Callable[..., Subset]) -> None:
    data = many_episodes(6)
    draws = 2000
    rng = np.random.default_rng(0)
    ours = np.zeros(6)
    published = np.zeros(6)
    weighted = take is take_weighted_fraction
    for seed in range(draws):
        ours[take(data, 0.4, seed).episodes] += 1 / draws
        published[published_choice(data.lengths, 0.4, rng, weighted)] += 1 / draws
    assert np.abs(ours - published).max() < 5 * np.sqrt(2 * 0.25 / draws)
    assert ours[data.lengths.argmax()] > 2 * ours[data.lengths.argmin()], "and that is not uniform"


def test_the_best_episodes_are_those_with_the_highest_returns() -> None:
    subset = take_fraction(many_episodes(), 0.5, 3)
    best = best_episodes(subset, 0.1)
    returns = subset.trajectories.returns
    assert len(best.episodes) == 10
    assert set(best.episodes) <= set(subset.episodes)
    assert returns[best.episodes].min() >= np.sort(returns[subset.episodes])[-10]
    assert best.hash != subset.hash
    assert (np.diff(best.episodes) > 0).all()
    assert best_episodes(best, 0.01).episodes == [max(best.episodes, key=returns.__getitem__)]  # at least one


def test_the_background_is_of_the_chosen_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    data = many_episodes(20)
    frames = np.random.default_rng(0).integers(0, 4, (data.num_steps, 6, 6), np.uint8) * 10
    subset = take_fraction(replace(data, observations=frames), 0.3, 0)
    rows = np.concatenate([np.arange(data.offsets[n], data.offsets[n + 1]) for n in subset.episodes])
    assert subset.background() == np.bincount(frames[rows].ravel()).argmax() / 255
    monkeypatch.setattr(fractions, "FRAMES", len(rows) // 2)
    every = -(-len(rows) // (len(rows) // 2))
    frames[rows[::every]] = 77
    assert subset.background() == 77 / 255
