import math

import numpy as np
import pytest

from lamobench.benchmark.scores.seed_gaps import interval_of_share, seeds_below_gap, seeds_below_gaps
from lamobench.benchmark.scores.statistics import paired_difference, stratified_bootstrap, summarise
from lamobench.datasets.trajectories import Array
from lamobench.tests.benchmark.scores import collapse_coverage
from lamobench.tests.benchmark.scores.collapse_coverage import Shape, measure

SHAPES = {shape.name: shape for shape in (*collapse_coverage.ONE_PEAK, *collapse_coverage.TWO_PEAKS)}


def seeds(*means: float, error: float = 1.0) -> Array:
    """Seeds of these means, with 16 episodes each: `error` is what those leave in a mean (divisor 15)."""
    episodes = np.tile([-1.0, 1.0], 8) * error * math.sqrt(15.0)
    return np.asarray(means)[:, None] + episodes


@pytest.mark.parametrize(
    ("means", "low_seeds"),
    [
        ((80.0, 20.0, 78.0), 1),  # in whatever order
        ((80.0, 20.0, 22.0), 2),  # one far above is the others far below
        ((80.0, 78.0, 30.0, 25.0, 82.0, 28.0), 3),  # two peaks
        ((80.0, 70.0, 60.0), 0),
        ((80.0, 60.0, 1.0), 0),  # 59 is not thrice 20
        ((80.0, 60.0, 0.0), 1),  # 60 is
        ((80.0, 80.0, 40.0), 1),  # half of the score
        ((80.0, 80.0, 40.5), 0),
        ((12.0, 12.0, 2.0), 1),  # ten points
        ((12.0, 12.0, 2.5), 0),  # more than half of the score, and less than ten points
        ((-20.0, -22.0, -60.0), 1),  # below zero it is points
        ((80.0, 20.0), 0),  # of two seeds either may be the rule
        ((80.0,), 0),
        ((7.0, 7.0, 7.0), 0),
    ],
)
def test_seeds_far_below_the_others_by_hand(means: tuple[float, ...], low_seeds: int) -> None:
    assert seeds_below_gap(seeds(*means)) == low_seeds


def test_a_gap_that_episodes_explain_is_none() -> None:
    assert seeds_below_gap(seeds(80.0, 80.0, 40.0, error=10.0)) == 1  # four standard errors of a seed's mean
    assert seeds_below_gap(seeds(80.0, 80.0, 40.0, error=10.1)) == 0
    assert seeds_below_gap(np.asarray([[80.0], [80.0], [10.0]])) == 0  # of one episode it is unknown


def test_many_rows_are_marked_as_each_alone() -> None:
    rows = SHAPES["1 in 5 falls by 40"].draw(5, np.random.default_rng(0))[0][:200]
    found = seeds_below_gaps(rows)
    assert found.tolist() == [seeds_below_gap(row) for row in rows]
    assert 0 < (found > 0).sum() < 200


def test_interval_of_the_share_by_hand() -> None:
    # Of a share of 1 in 3 it is [0.0084, 0.9057]: 1 - (1 - x)^3 = 0.025, and 1 - x^3 - 3 x^2 (1 - x) = 0.025.
    least = 1 - 0.975 ** (1 / 3)
    most = 0.905701
    low, high = interval_of_share(seeds(81.0, 79.0, 20.0), 1)
    assert (low, high) == pytest.approx((80.0 - most * 60.0, 80.0 - least * 60.0), abs=1e-3)
    # Mirrored, with two low ones of three.
    assert interval_of_share(seeds(80.0, 19.0, 21.0), 2) == pytest.approx((100.0 - high, 100.0 - low))


def test_a_row_without_a_gap_keeps_its_interval_and_one_with_a_gap_spans_both() -> None:
    plain = seeds(80.0, 70.0, 60.0)
    split = seeds(*[80.0, 81.0, 79.0] * 3, 20.0)
    assert (summarise(plain).ci_low, summarise(plain).ci_high) == stratified_bootstrap(plain)
    assert summarise(plain).seeds_below_gap == 0
    (low, high) = stratified_bootstrap(split)
    (share_low, share_high) = interval_of_share(split, 1)
    assert share_low < low < share_high < high  # each brings an end
    found = summarise(split)
    assert (found.ci_low, found.ci_high, found.seeds_below_gap) == (share_low, high, 1)


def test_differences_have_no_score_to_fall_from() -> None:
    split = seeds(*[80.0, 81.0, 79.0] * 3, 20.0)
    found = paired_difference(split, np.zeros_like(split))
    assert ((found.ci_low, found.ci_high), found.seeds_below_gap) == (stratified_bootstrap(split), 0)


@pytest.mark.parametrize("count", [3, 5, 10])
@pytest.mark.parametrize("name", ["normal, mean 50, sd 5", "normal, mean 50, sd 10"])
def test_ordinary_spread_is_hardly_ever_marked(name: str, count: int) -> None:
    found = measure(SHAPES[name], count, trials=300)
    assert found.marked < 2.0
    assert 91.0 <= found.ours <= 98.0


@pytest.mark.parametrize("count", [3, 5, 10])
def test_what_is_missed_is_missed_where_no_seed_of_the_few_collapsed(count: int) -> None:
    """The limit of every interval that looks at the seeds alone."""
    found = measure(SHAPES["1 in 5 falls by 60"], count, trials=300)
    assert found.one_kind == pytest.approx(100.0 * (0.8**count + 0.2**count), abs=1.0)
    assert found.marked > 0.85 * (100.0 - found.one_kind)  # nearly all that can be seen is marked
    assert found.ours_marked > 97.0
    assert found.ours_one_kind < 60.0
    assert found.at_best - found.ours < 2.0


@pytest.mark.parametrize("name", ["two peaks, 40 apart", "two peaks, 40 apart, with sd 10"])
def test_the_share_s_interval_covers_where_the_bootstrap_does_not(name: str) -> None:
    second = {one["interval"]: one for one in measure(SHAPES[name], 10, trials=1000).second}
    assert second["bootstrap"]["alone"] < 92.0 < second["share of low seeds"]["with_bootstrap"]


def test_coverage_of_rare_rows_is_weighed_by_how_rare_they_are() -> None:
    """Against experiments taken as they come."""
    shape = Shape("", 70.0, 5.0, lambda rng, size: rng.standard_normal(size), 0.1, 60.0)
    scores, _ = shape.draw(4, np.random.default_rng(7))
    summaries = [summarise(row) for row in scores[:1000]]
    plain = 100.0 * np.mean([one.ci_low <= 64.0 <= one.ci_high for one in summaries])
    found = measure(shape, 4, trials=500)
    assert found.ours == pytest.approx(
        plain, abs=4.0 * math.hypot(found.error, math.sqrt(plain * (100 - plain) / 1000))
    )
    assert found.marked == pytest.approx(100.0 * np.mean([one.seeds_below_gap > 0 for one in summaries]), abs=5.0)
