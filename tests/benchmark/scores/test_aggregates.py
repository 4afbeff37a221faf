import math

import numpy as np
import pytest
from scipy import stats

from lamobench.benchmark.scores.aggregates import (
    METRICS,
    Estimate,
    Layout,
    Scores,
    aggregate,
    aggregate_all,
    estimate,
    iqm,
    mean,
    paired_difference,
    performance_profile,
    probability_of_improvement,
)
from lamobench.datasets.trajectories import Array
from lamobench.tests.benchmark.scores.interval_coverage import of_aggregate, of_improvement, of_profile


def runs(*scores: float) -> Array:
    return np.asarray(scores, float)


TWO: Scores = {"easy": runs(90.0, 110.0, 130.0), "hard": runs(10.0, 20.0, 60.0)}


def values(scores: Scores) -> dict[str, float]:
    return {name: found.value for name, found in aggregate(scores).items()}


def test_values_by_hand() -> None:
    # tasks' means 110 and 30; of six runs 10 20 60 90 110 130 the IQM cuts one at either end; gaps 10 0 0 | 90 80 40
    assert values(TWO) == pytest.approx({"mean": 70.0, "iqm": 70.0, "median": 70.0, "optimality_gap": 220.0 / 6.0})
    assert tuple(aggregate(TWO)) == METRICS


def test_values_of_one_task_by_hand() -> None:
    # of five runs the IQM cuts one at either end, the median is the third, gaps are 100 60 20 0 0
    scores = {"task": runs(0.0, 40.0, 80.0, 120.0, 400.0)}
    assert values(scores) == pytest.approx({"mean": 128.0, "iqm": 80.0, "median": 80.0, "optimality_gap": 36.0})


def test_the_median_is_over_tasks() -> None:
    scores = {"a": runs(0.0, 2.0), "b": runs(10.0, 30.0), "c": runs(90.0, 92.0)}  # means 1, 20, 91
    assert aggregate(scores)["median"].value == 20.0


def test_tasks_weigh_the_same_whatever_their_number_of_runs() -> None:
    uneven = {"a": runs(0.0, 0.0), "b": runs(50.0, 50.0, 50.0, 50.0)}
    assert values(uneven)["mean"] == 25.0
    assert values(uneven)["iqm"] == pytest.approx(25.0)  # half of the weight is a's
    repeated = {"a": runs(0.0, 10.0, 20.0), "b": np.repeat(runs(5.0, 15.0, 90.0), 2)}
    even = {"a": np.repeat(repeated["a"], 2), "b": repeated["b"]}
    assert iqm(np.concatenate(list(even.values()))[None], Layout((6, 6)))[0] == pytest.approx(
        stats.trim_mean(np.concatenate(list(even.values())), 0.25)
    )
    assert values(repeated)["mean"] == pytest.approx(values(even)["mean"])


def test_the_iqm_of_equal_and_of_given_weights_is_one_function() -> None:
    drawn = np.random.default_rng(0).normal(size=(50, 20))
    equal = iqm(drawn, Layout((4, 4, 4, 4, 4)))
    assert equal == pytest.approx(stats.trim_mean(drawn, 0.25, axis=1))
    nearly = Layout((5, 15))  # other weights take the other way; where both tasks are alike it is another number
    assert np.isfinite(iqm(drawn, nearly)).all()
    ones = np.concatenate([drawn[:, :4], np.repeat(drawn[:, 4:8], 2, axis=1)], axis=1)
    assert iqm(ones, Layout((4, 8))) == pytest.approx(iqm(drawn[:, :8], Layout((4, 4))))


def test_the_interval_of_the_mean_of_one_task_by_hand() -> None:
    # Of two runs the drawn mean is 0, 5 or 10 with odds 1 : 2 : 1: see the same test of `statistics.py`.
    reach = 5.0 * math.sqrt(2.0) * 12.7062 / 1.95996
    found = estimate({"task": runs(0.0, 10.0)}, mean)
    assert (found.low, found.high) == pytest.approx((5.0 - reach, 5.0 + reach), rel=0.02)


def test_the_interval_of_many_tasks_is_the_textbook_one() -> None:
    rng = np.random.default_rng(0)
    scores = {str(task): rng.normal(10.0 * task, 3.0 + task, 6) for task in range(20)}
    squares = np.asarray([task.var(ddof=1) / 6 for task in scores.values()]) / 20**2
    freedom = squares.sum() ** 2 / (squares**2 / 5).sum()  # Welch and Satterthwaite
    reach = stats.t.ppf(0.975, freedom) * math.sqrt(squares.sum())
    found = estimate(scores, mean)
    assert (found.low, found.high) == pytest.approx((found.value - reach, found.value + reach), abs=0.12 * reach)


def test_an_interval_needs_two_runs_of_every_task() -> None:
    for found in aggregate({"a": runs(1.0, 2.0), "b": runs(5.0)}).values():
        assert math.isnan(found.low)
        assert math.isnan(found.high)
        assert math.isfinite(found.value)


def test_runs_that_agree_have_an_interval_of_no_width() -> None:
    assert aggregate({"a": runs(7.0, 7.0, 7.0)})["iqm"] == Estimate(7.0, 7.0, 7.0)


def test_many_at_once_are_the_same_as_each_alone() -> None:
    rng = np.random.default_rng(1)
    shapes = [(3,), (5,), (3, 3), (3, 4), (3,), (5,), (3, 3)]
    every = [{str(place): rng.normal(50.0, 20.0, n) for place, n in enumerate(shape)} for shape in shapes]
    for together, scores in zip(aggregate_all(every), every, strict=True):
        alone = aggregate(scores)
        for metric in METRICS:
            assert vars(together[metric]) == pytest.approx(vars(alone[metric]))


def test_intervals_move_with_the_scores_and_are_the_same_every_time() -> None:
    shifted = {task: 10.0 + 2.0 * scores for task, scores in TWO.items()}
    for metric in ("mean", "iqm", "median"):
        first = aggregate(TWO)[metric]
        second = aggregate(shifted)[metric]
        assert (second.low, second.high) == pytest.approx((10.0 + 2.0 * first.low, 10.0 + 2.0 * first.high))
    assert aggregate(TWO) == aggregate(TWO)


def test_a_paired_difference_knows_nothing_of_what_both_sides_share() -> None:
    luck = np.random.default_rng(0).normal(0.0, 30.0, 4)  # of the seeds
    reference: Scores = {"a": 50.0 + luck, "b": 20.0 - luck}
    better: Scores = {"a": reference["a"] + runs(4.0, 5.0, 6.0, 5.0), "b": reference["b"] + runs(2.0, 3.0, 4.0, 3.0)}
    found = paired_difference(better, reference)
    assert found.value == pytest.approx(4.0)
    assert 3.0 < found.low < found.high < 5.0
    assert aggregate(better)["mean"].high - aggregate(better)["mean"].low > 15.0
    with pytest.raises(ValueError, match="tasks differ: a, b and a"):
        paired_difference(better, {"a": reference["a"]})


def test_the_probability_of_improvement_by_hand() -> None:
    # a: 5 beats 1 and 4; 3 beats 1, so 3 of 4 pairs; b: one win, two ties, one loss, so 1/2
    ours: Scores = {"a": runs(3.0, 5.0), "b": runs(1.0, 2.0)}
    theirs: Scores = {"a": runs(1.0, 4.0), "b": runs(1.0, 2.0)}
    assert probability_of_improvement(ours, theirs).value == pytest.approx((0.75 + 0.5) / 2)
    assert probability_of_improvement(theirs, ours).value == pytest.approx(1 - 0.625)
    u, _ = stats.mannwhitneyu(TWO["easy"], runs(95.0, 110.0, 200.0, 1.0))
    found = probability_of_improvement({"t": TWO["easy"]}, {"t": runs(95.0, 110.0, 200.0, 1.0)})
    assert found.value == pytest.approx(u / 12)


def test_three_runs_that_beat_three_prove_nothing_and_four_do() -> None:
    """Chance alone makes it happen once in ten and once in 35: more and less often than once in twenty, either way."""
    for n, proves in ((3, False), (4, True)):
        found = probability_of_improvement({"t": np.arange(n) + 100.0}, {"t": np.arange(n) + 0.0})
        assert (found.value, found.high) == (1.0, 1.0)
        assert (found.low > 0.5) == proves
        mirrored = probability_of_improvement({"t": np.arange(n) + 0.0}, {"t": np.arange(n) + 100.0})
        assert (mirrored.low, mirrored.high) == pytest.approx((0.0, 1.0 - found.low))


def test_the_score_interval_is_newcombes_fifth_method_where_sides_differ_in_runs() -> None:
    """The ends solve |value - theta| - step = z V(theta)^(1/2), with (m + n) / 2 - 1 in V for both sides."""
    ours = runs(1.0, 4.0, 6.0, 8.0, 9.0, 11.0, 12.0, 13.0)
    theirs = runs(2.0, 5.0)
    found = probability_of_improvement({"t": ours}, {"t": theirs})
    assert found.value == 13 / 16
    m = len(ours)
    n = len(theirs)
    z = 1.959964
    for theta in (found.low, found.high):
        factor = 1 + ((m + n) / 2 - 1) * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        variance = theta * (1 - theta) / (m * n) * factor
        assert abs(found.value - theta) - 0.5 / (m * n) == pytest.approx(z * math.sqrt(variance), abs=1e-3)


def test_profiles_by_hand() -> None:
    profile = performance_profile(TWO, np.asarray([0.0, 20.0, 90.0, 200.0]))
    assert profile.share == pytest.approx([1.0, 4 / 6, 2 / 6, 0.0])  # more than, not as much as
    z2 = 1.959964**2
    assert profile.high[3] == pytest.approx(z2 / (6 + z2))  # Wilson's bound where none of six does
    assert profile.low[0] == pytest.approx(6 / (6 + z2))
    assert ((profile.low <= profile.share) & (profile.share <= profile.high)).all()


@pytest.mark.parametrize("metric", ["mean", "iqm"])
@pytest.mark.parametrize(("tasks", "seeds"), [(1, 3), (1, 4), (1, 5), (5, 3), (5, 5)])
def test_coverage_of_the_95_percent_interval(tasks: int, seeds: int, metric: str) -> None:
    ours, plain = of_aggregate(metric, tasks, seeds, trials=500)
    assert 92.0 <= ours <= 98.0
    assert plain < ours


@pytest.mark.parametrize(("tasks", "seeds"), [(1, 3), (1, 5), (4, 3)])
def test_coverage_of_paired_differences(tasks: int, seeds: int) -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        luck = rng.normal(0.0, 20.0, (tasks, seeds))
        ours, theirs = (dict(enumerate(luck + rng.normal(centre, 4.0, luck.shape))) for centre in (33.0, 30.0))
        found = paired_difference(ours, theirs)  # type: ignore[arg-type]
        covered += found.low <= 3.0 <= found.high
    assert 92.0 <= covered / 4 <= 98.0


def test_the_plain_percentile_interval_covers_too_little() -> None:
    """The interval of rliable, and why `estimate` does more: three seeds of one task."""
    assert of_aggregate("mean", 1, 3, trials=400)[1] < 82.0


@pytest.mark.parametrize("effect", [0.0, 1.0, 2.0])
@pytest.mark.parametrize(("tasks", "seeds"), [(1, 3), (1, 5), (5, 3)])
def test_probabilities_of_improvement_are_covered(tasks: int, seeds: int, effect: float) -> None:
    assert of_improvement(effect, tasks, seeds, trials=400)[0] >= 92.0  # with so few pairs it can't be exact


@pytest.mark.parametrize(("tasks", "seeds"), [(1, 3), (5, 3)])
def test_profile_bands_cover(tasks: int, seeds: int) -> None:
    assert of_profile(tasks, seeds, trials=400)[0] >= 92.0


@pytest.mark.parametrize("bad", [{}, {"t": np.zeros((2, 2))}, {"t": np.zeros(0)}, {"t": runs(1.0, math.nan)}])
def test_scores_that_are_no_finite_runs_are_refused(bad: Scores) -> None:
    with pytest.raises(ValueError, match=r"finite|one task or more"):
        aggregate(bad)
