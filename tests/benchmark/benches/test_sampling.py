from pathlib import Path

import numpy as np
import pytest

from lamobench.benchmark.benches import sampling, seeds
from lamobench.benchmark.benches.harness import Settings
from lamobench.benchmark.benches.suite import empty_home
from lamobench.datasets.fractions import take_fraction
from lamobench.datasets.windows import ContextSampler, View

QUICK = Settings(clock="cpu", rounds=1, seconds=1e-6)


@pytest.mark.parametrize("name", sampling.MEASUREMENTS)
def test_windows_are_measured_after_they_were_found_equal(name: str) -> None:
    (row,) = sampling.MEASUREMENTS[name](QUICK, Path(), 4)  # type: ignore[call-arg]
    assert row.wanted == "30 times faster"
    assert row.ratio is not None
    assert row.ratio > 1


def test_other_windows_are_noticed() -> None:
    data = sampling.random_vectors("hopper-medium", "Hopper-v5", (3, 2), episodes=4, steps=50)
    subset = take_fraction(data, 1.0, 0)
    sampler = ContextSampler(subset, sampling.CONTEXT)
    published = sampling.PublishedSampler(data, subset)
    sampling.check_same(sampler, published)
    sampler._returns_to_go = sampler._returns_to_go + 1
    with pytest.raises(AssertionError, match="not close"):
        sampling.check_same(sampler, published)


def test_other_frames_are_noticed() -> None:
    data = sampling.random_frames(episodes=8, steps=30)
    subset = take_fraction(data, 1.0, 0)
    published = sampling.PublishedFrames(data, subset)
    published.frames[1::2] += 1
    with pytest.raises(AssertionError, match="not close"):
        sampling.check_same_frames(ContextSampler(subset, sampling.CONTEXT, View(frames=4)), published)


def test_sums_of_what_follows() -> None:
    rewards = np.array([1.0, 2.0, 4.0])
    np.testing.assert_array_equal(sampling.discounted_sums(rewards, 1.0), [7, 6, 4])
    np.testing.assert_array_equal(sampling.discounted_sums(rewards, 0.5), [3, 4, 4])


def test_seeds_and_the_share_of_sampling_are_measured() -> None:
    with empty_home() as scratch:
        rows = seeds.seeds_together(QUICK, scratch, ("bc",))
        (share,) = seeds.sampling_share(QUICK, scratch, ("bc",))
    assert [row.what for row in rows] == [
        "5 seeds of BC in one pass, hopper-medium",
        "5 seeds of BC in one pass, reacher2d-medium-large",
    ]
    assert all(row.other_name == "one by one" and row.ours > 0 for row in rows)
    # One draw beside one step says nothing of the share itself: either may have waited for a processor.
    assert share.what.startswith("share of its batch in a training step")
    assert share.unit == "%"
    assert share.ours > 0
