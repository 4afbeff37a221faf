import math

import numpy as np
import pytest
from scipy import stats

from lamobench.benchmark.scores.statistics import _draws, iqm, mean, std, stratified_bootstrap, summarise
from lamobench.datasets.trajectories import Array
from lamobench.tests.benchmark.scores.interval_coverage import of_two_levels


def column(*seed_means: float) -> Array:
    """Seeds with one episode each."""
    return np.asarray(seed_means, float)[:, None]


def test_mean_and_std_by_hand() -> None:
    scores = np.asarray([[0.0, 2.0], [4.0, 6.0], [8.0, 10.0]])  # seeds' means 1, 5, 9
    assert mean(scores) == 5.0
    assert std(scores) == pytest.approx(4.0)  # sqrt((16 + 0 + 16) / 2)


def test_iqm_cuts_a_quarter_of_the_seeds_at_either_end() -> None:
    assert iqm(column(0.0, 10.0, 20.0, 1000.0)) == 15.0
    assert iqm(column(-500.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 900.0)) == 3.5  # 2, 3, 4, 5
    assert iqm(column(0.0, 10.0, 50.0)) == 20.0  # below four seeds nothing is cut


def test_iqm_weighs_runs_not_episodes() -> None:
    scores = np.asarray([[0.0, 0.0, 0.0, 100.0]] * 4)  # over episodes it would be 16.7
    assert iqm(scores) == 25.0


def test_interval_of_two_seeds_by_hand() -> None:
    # The drawn mean is 0, 5 or 10 with odds 1 : 2 : 1, so the unscaled quantiles are the seeds themselves. Scaled
    # by sqrt(2 / (2 - 1)) t / z with t = 12.706 (1 degree of freedom) and z = 1.960.
    reach = 5.0 * math.sqrt(2.0) * 12.7062 / 1.95996
    assert stratified_bootstrap(column(0.0, 10.0)) == pytest.approx((5.0 - reach, 5.0 + reach), rel=1e-4)


def test_interval_of_seeds_that_agree_is_that_of_their_episodes() -> None:
    scores = np.tile(np.arange(100.0), (4, 1))  # equal means: only the noise of 400 episodes is left
    low, high = stratified_bootstrap(scores, resamples=20_000)
    reach = 1.95996 * scores[0].std(ddof=1) / math.sqrt(400)
    assert (low, high) == pytest.approx((49.5 - reach, 49.5 + reach), abs=0.15)


def test_interval_of_many_seeds_is_the_textbook_one() -> None:
    scores = np.random.default_rng(0).normal(10.0, 3.0, (60, 5)) + np.random.default_rng(1).normal(0.0, 4.0, (60, 1))
    spread = scores.mean(axis=1).std(ddof=1) / math.sqrt(60)
    expected = scores.mean() + np.asarray([-1, 1]) * stats.t.ppf(0.975, 59) * spread
    assert stratified_bootstrap(scores, resamples=20_000) == pytest.approx(tuple(expected), abs=0.05 * spread * 2)


def test_interval_equals_a_loop_over_resamples() -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(0.0, 10.0, (3, 7)) + np.asarray([[-20.0], [0.0], [15.0]])
    drawn, counts = _draws(3, 7, 500, seed=4)
    # Davison and Hinkley's condition, written out: both levels together have the variance (t / z)^2 S^2 / N.
    wanted = (4.30265 / 1.95996) ** 2 * scores.mean(axis=1).var(ddof=1) / 3
    within_variance = np.mean([row.var(ddof=1) for row in scores]) / (3 * 7)
    stretch = math.sqrt((wanted - within_variance) / (scores.mean(axis=1).var() / 3))
    means = []
    for resample in range(500):
        places = []
        for place in range(3):
            row = scores[drawn[resample, place]]
            episodes = np.repeat(row, counts[place, resample].astype(int))
            assert len(episodes) == 7
            noise = math.sqrt(7 / 6) * (episodes.mean() - row.mean())
            places.append(scores.mean() + stretch * (row.mean() - scores.mean()) + noise)
        means.append(np.mean(places))
    assert stratified_bootstrap(scores, resamples=500, seed=4) == pytest.approx(
        np.quantile(means, [0.025, 0.975]), rel=1e-4
    )


def test_one_seed_has_neither_spread_nor_interval() -> None:
    summary = summarise(np.asarray([[1.0, 2.0, 3.0]]))
    assert (summary.seeds, summary.mean, summary.iqm) == (1, 2.0, 2.0)
    assert math.isnan(summary.std)
    assert math.isnan(summary.ci_low)
    assert math.isnan(summary.ci_high)


def test_constant_scores_have_an_interval_of_no_width() -> None:
    assert stratified_bootstrap(np.full((3, 10), 7.0)) == (7.0, 7.0)


def test_interval_depends_on_the_seed_alone_and_moves_with_the_scores() -> None:
    scores = np.random.default_rng(0).normal(size=(3, 20))
    assert stratified_bootstrap(scores) == stratified_bootstrap(scores)
    assert stratified_bootstrap(scores) != stratified_bootstrap(scores, seed=1)
    low, high = stratified_bootstrap(scores)
    assert stratified_bootstrap(100.0 + 2.0 * scores) == pytest.approx((100.0 + 2.0 * low, 100.0 + 2.0 * high))


@pytest.mark.parametrize("bad", [np.zeros((0, 3)), np.zeros(3), np.asarray([[1.0, math.nan]])])
def test_scores_that_are_no_finite_matrix_are_refused(bad: Array) -> None:
    with pytest.raises(ValueError, match="finite"):
        summarise(bad)


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_coverage_of_the_95_percent_interval(seeds: int, spread: float) -> None:
    ours, plain = of_two_levels(spread, seeds, trials=600)
    assert 92.0 <= ours <= 98.0
    assert plain < 86.0 or (spread, seeds) != (3.0, 3)  # resampling both levels as they are covers too little
