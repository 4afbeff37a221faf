"""Tests of power: against hand-computed cases, other formulas and simulated experiments."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from lamobench.benchmark.scores.power import Spread, spread_of_episodes, spread_of_runs
from lamobench.benchmark.scores.statistics import paired_difference
from lamobench.tests.benchmark.scores.interval_coverage import of_detectable, of_detectable_over_tasks

ROOT = Path(__file__).parents[3]
PARTS = r"half|third|quarter|sixth|eighth"


def power_of_a_t_test(effect: float, deviation: float, pairs: int) -> float:
    """The power of the two-sided paired test at 5 %, both tails, by scipy's distribution instead of its inverse."""
    critical = stats.t.ppf(0.975, pairs - 1)
    shift = effect * math.sqrt(pairs) / deviation
    return float(stats.nct.sf(critical, pairs - 1, shift) + stats.nct.cdf(-critical, pairs - 1, shift))


@pytest.mark.parametrize("pairs", [3, 4, 5, 10, 30])
def test_the_detectable_effect_has_a_power_of_80_percent(pairs: int) -> None:
    assert power_of_a_t_test(Spread((7.0,), (pairs,)).detectable, 7.0, pairs) == pytest.approx(0.8, abs=1e-4)


@pytest.mark.parametrize(("effect", "pairs"), [(0.5, 34), (0.8, 15), (2.0, 5)])
def test_the_pairs_that_a_paired_t_test_is_known_to_need(effect: float, pairs: int) -> None:
    assert Spread((1.0,), (3,)).pairs_needed(effect) == pairs
    assert power_of_a_t_test(effect, 1.0, pairs - 1) < 0.8 <= power_of_a_t_test(effect, 1.0, pairs)


@pytest.mark.parametrize("effect", [0.3, 1.0, 4.0, 100.0])
@pytest.mark.parametrize("deviations", [(6.0,), (6.0, 2.0, 9.0)])
def test_as_many_pairs_as_needed_see_the_effect_and_one_less_does_not(
    deviations: tuple[float, ...], effect: float
) -> None:
    tasks = len(deviations)
    needed = int(Spread(deviations, (3,) * tasks).pairs_needed(effect))
    assert Spread(deviations, (needed,) * tasks).detectable <= effect
    assert needed == 2 or Spread(deviations, (needed - 1,) * tasks).detectable > effect


def test_the_pairs_that_the_docs_say_a_smaller_difference_takes() -> None:
    page = (ROOT / "docs" / "statistics.md").read_text()
    head, *rows = re.findall(r"^\| (?:pairs|\d+) \|.*$", page.partition("a smaller difference takes")[2], re.M)
    parts = [{"half": 2, "third": 3, "quarter": 4, "sixth": 6, "eighth": 8}[part] for part in re.findall(PARTS, head)]
    assert len(parts) == 5
    said = [[int(cell) for cell in row.strip("| ").split(" | ")] for row in rows[:3]]
    for pairs, *needed in said:
        spread = Spread((1.0,), (pairs,))
        assert needed == [spread.pairs_needed(spread.detectable / part) for part in parts]
    assert [row[0] for row in said] == [3, 5, 10]


def test_the_spread_is_that_of_the_runs_means() -> None:
    differences = np.asarray([[1.0, 3.0], [4.0, 6.0], [9.0, 11.0]])  # means 2, 5, 10
    spread = spread_of_episodes(differences)
    assert spread.pairs == (3,)
    assert spread.deviations[0] == pytest.approx(math.sqrt((3.667**2 + 0.667**2 + 4.333**2) / 2), rel=1e-3)
    runs = spread_of_runs({"a": differences.mean(axis=1), "b": np.asarray([1.0, 3.0])})
    assert runs.deviations == pytest.approx((spread.deviations[0], math.sqrt(2.0)))
    assert runs.pairs == (3, 2)


def test_runs_that_agree_by_chance_have_the_noise_of_their_episodes() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(4, 50))
    spread = spread_of_episodes(noise - noise.mean(axis=1, keepdims=True))
    assert spread.deviations[0] == pytest.approx(1 / math.sqrt(50), rel=0.15)
    low, high = spread.interval()
    assert low.detectable == spread.detectable < high.detectable


def test_several_tasks_have_welch_s_and_satterthwaite_s_freedom() -> None:
    assert Spread((3.0, 3.0), (4, 4)).freedom == pytest.approx(6.0)
    assert Spread((3.0, 0.0), (4, 9)).freedom == pytest.approx(3.0)
    assert Spread((3.0, 3.0), (4, 4)).standard_error == pytest.approx(3.0 / math.sqrt(8.0))


@pytest.mark.parametrize("pairs", [2, 3, 10])
def test_the_interval_of_the_spread_holds_the_true_one(pairs: int) -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        low, high = spread_of_runs({"a": rng.normal(0.0, 5.0, pairs)}).interval()
        covered += low.deviations[0] <= 5.0 <= high.deviations[0]
    assert 93.0 <= covered / 10 <= 97.0


@pytest.mark.parametrize("scores", [[[1.0, 2.0]], [[3.0, 3.0]] * 4], ids=["one pair", "pairs that are all alike"])
def test_where_nothing_can_be_said_nothing_is(scores: list[list[float]]) -> None:
    spread = spread_of_episodes(np.asarray(scores))
    assert math.isnan(spread.detectable)
    assert math.isnan(spread.pairs_needed(5.0))
    assert all(math.isnan(end.detectable) for end in spread.interval())


@pytest.mark.parametrize(("spread", "pairs"), [(0.0, 3), (2.0, 3), (2.0, 5)])
def test_intervals_see_the_detectable_effect_in_80_percent_of_experiments(spread: float, pairs: int) -> None:
    ours, _ = of_detectable(spread, pairs, trials=500)
    assert 75.0 <= ours <= 87.0


@pytest.mark.parametrize(("tasks", "pairs"), [(1, 5), (5, 5)])
def test_so_do_intervals_over_several_tasks(tasks: int, pairs: int) -> None:
    ours, _ = of_detectable_over_tasks(tasks, pairs, trials=500)
    assert 75.0 <= ours <= 87.0


def test_a_smaller_effect_is_seen_less_often() -> None:
    rng = np.random.default_rng(0)
    half = Spread((1.0,), (5,)).detectable / 2
    found = [paired_difference(rng.normal(half, 1.0, (5, 1)), np.zeros((5, 1))) for _ in range(300)]
    assert np.mean([one.ci_low > 0 or one.ci_high < 0 for one in found]) < 0.5
