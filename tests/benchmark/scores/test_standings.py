import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamobench.benchmark.scores.aggregates import METRICS, aggregate
from lamobench.benchmark.scores.collect import collect, finished
from lamobench.benchmark.scores.leaderboard import leaderboard
from lamobench.benchmark.scores.power import spread_of_episodes
from lamobench.benchmark.scores.standing_tables import (
    aggregates_table,
    comparison_rows,
    standing_rows,
    write_comparisons,
)
from lamobench.benchmark.scores.standings import Comparison, Pool, comparisons, pools, standings
from lamobench.benchmark.scores.statistics import stratified_bootstrap

WriteRun = Callable[..., Path]
LAMO = {"method": "lamo", "lm": "gpt2-mini"}


def flat(score: float, episodes: int = 2) -> list[list[float]]:
    """Two evaluations of a few episodes, all of one score on Reacher2d."""
    return [[score] * episodes] * 2


@pytest.fixture
def found(runs_root: Path, write_run: WriteRun) -> list[Pool]:
    """LaMo and DT on three data sets, CQL on two of them, all with three seeds; and LaMo at another fraction."""
    for place, data in enumerate(("one", "three", "two")):
        for seed in range(3):
            luck = 10.0 * seed
            write_run(flat(50.0 + luck + place), dataset=data, seed=seed, **LAMO)
            write_run(flat(40.0 + luck + seed), dataset=data, seed=seed, method="dt")
            if data != "three":
                write_run(flat(20.0 + luck), dataset=data, seed=seed, method="cql")
    write_run(flat(30.0), dataset="one", fraction=1.0, **LAMO)
    return pools(collect(runs_root))


def test_methods_meet_on_the_same_data_sets_only(found: list[Pool]) -> None:
    assert [(pool.fraction, pool.datasets, [name[0] for name in pool.rows]) for pool in found] == [
        (0.1, ("one",), ["lamo", "dt", "cql"]),
        (1.0, ("one",), ["lamo"]),
        (0.1, ("three",), ["lamo", "dt"]),
        (0.1, ("two",), ["lamo", "dt", "cql"]),
        (0.1, ("one", "three", "two"), ["lamo", "dt"]),
        (0.1, ("one", "two"), ["lamo", "dt", "cql"]),
    ]


def test_profiles_and_sources_never_meet(runs_root: Path, write_run: WriteRun) -> None:
    for data, change in (("one", {}), ("two", {"profile": "paper"}), ("three", {"source": "minari"})):
        write_run(flat(1.0), dataset=data, **change)
    assert [pool.datasets for pool in pools(collect(runs_root))] == [("three",), ("one",), ("two",)]


def test_a_data_set_that_was_recorded_twice_is_two(runs_root: Path, write_run: WriteRun) -> None:
    write_run(flat(1.0), seed=0)
    write_run(flat(1.0), seed=1, dataset_hash="e" * 64, method="dt")
    names = {pool.datasets for pool in pools(collect(runs_root))}
    assert names == {("reacher2d-medium-large dddddddd",), ("reacher2d-medium-large eeeeeeee",)}


def test_standings_are_the_aggregates_of_the_runs(found: list[Pool]) -> None:
    (lamo,) = (s for s in standings(found) if len(s.datasets) == 3 and s.method == "lamo")
    assert (lamo.lm, lamo.variant, lamo.seeds) == ("gpt2-mini", "", 3)
    scores = {data: np.asarray([50.0, 60.0, 70.0]) + place for place, data in enumerate(lamo.datasets)}
    for metric, expected in aggregate(scores).items():
        assert vars(lamo.metrics[metric]) == pytest.approx(vars(expected))


def test_of_one_data_set_the_mean_is_the_leaderboard_s(runs_root: Path, write_run: WriteRun) -> None:
    rng = np.random.default_rng(0)
    for seed in range(4):
        write_run(rng.normal(50.0, 20.0, (3, 5)), seed=seed)
    runs = collect(runs_root)
    (standing,) = standings(pools(runs))
    (row,) = leaderboard(runs).to_dict("records")
    mean = standing.metrics["mean"]
    assert (mean.value, mean.low, mean.high) == (row["score_mean"], row["ci_low"], row["ci_high"])
    assert standing.metrics["iqm"].value == pytest.approx(row["score_iqm"])
    assert tuple(standing.metrics) == METRICS


def test_a_row_with_a_seed_far_below_has_one_interval_everywhere(runs_root: Path, write_run: WriteRun) -> None:
    for seed, score in enumerate([80.0, 81.0, 79.0] * 3 + [20.0]):
        write_run([[score - 1.0, score + 1.0]] * 2, seed=seed)
    runs = collect(runs_root)
    (standing,) = standings(pools(runs))
    (row,) = leaderboard(runs).to_dict("records")
    mean = standing.metrics["mean"]
    scores = np.stack([run.result.headline_scores for run in finished(runs)])
    assert row["seeds_below_gap"] == 1
    assert (mean.low, mean.high) == (row["ci_low"], row["ci_high"])
    assert mean.low < stratified_bootstrap(scores)[0]  # it is the wider one


def met(found: list[Pool], other: str, datasets: int) -> Comparison:
    (one,) = (c for c in comparisons(found) if c.other == other and len(c.datasets) == datasets and c.fraction == 0.1)
    return one


def test_lamo_is_compared_seed_by_seed(found: list[Pool]) -> None:
    everywhere = met(found, "dt", 3)  # 10, 9, 8 better, and 0, 1 or 2 more by data set
    assert everywhere.pairs == 3
    assert everywhere.difference.value == pytest.approx(10.0)
    assert 7.0 < everywhere.difference.low < everywhere.difference.high < 13.0  # scores themselves differ by 20
    assert everywhere.spread.deviations == pytest.approx((1.0, 1.0, 1.0))
    assert everywhere.spread.pairs == (3, 3, 3)
    assert met(found, "cql", 2).difference.value == pytest.approx(31.0)
    # of nine pairs on each data set: 50 60 70 against 40 51 62, then 51 61 71 with a tie, and 52 62 72 with another
    assert everywhere.probability.value == pytest.approx(np.mean([6 / 9, 6.5 / 9, 7.5 / 9]))
    assert not [c for c in comparisons(found) if c.fraction == 1.0]


def test_one_data_set_is_compared_episode_by_episode(runs_root: Path, write_run: WriteRun) -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(50.0, 20.0, (2, 3, 2, 5))
    for seed in range(3):
        write_run(ours[seed], seed=seed, **LAMO)
        write_run(theirs[seed], seed=seed, method="dt")
    (found,) = comparisons(pools(collect(runs_root)))
    expected = stratified_bootstrap((ours - theirs).reshape(3, -1))
    assert (found.difference.low, found.difference.high) == pytest.approx(expected)
    assert found.spread == spread_of_episodes((ours - theirs).reshape(3, -1))


@pytest.mark.parametrize(
    ("change", "pairs"), [({}, 2), ({"subset_hash": "other"}, 0), ({"evaluation_episodes": 4}, 2)], ids=str
)
def test_pairs_share_seed_and_subset(runs_root: Path, write_run: WriteRun, change: dict[str, Any], pairs: int) -> None:
    for seed in (0, 1, 2):
        write_run(flat(50.0 + seed), seed=seed, **LAMO)
    for seed in (1, 2, 7):
        write_run(flat(40.0 + 2 * seed, change.get("evaluation_episodes", 2)), seed=seed, method="dt", **change)
    (found,) = comparisons(pools(collect(runs_root)))
    assert found.pairs == pairs
    assert found.difference.value == pytest.approx(8.5 if pairs else math.nan, nan_ok=True)  # 51 - 42 and 52 - 44
    assert math.isfinite(found.probability.value)  # needs no pairs
    assert math.isfinite(found.spread.detectable) == bool(pairs)


def test_lamo_meets_its_controls_of_the_same_model_and_no_variants(runs_root: Path, write_run: WriteRun) -> None:
    for lm in ("gpt2", "gpt2-mini"):
        for method in ("lamo", "lamo-random"):
            write_run(flat(1.0), method=method, lm=lm, steps=200)
    write_run(flat(1.0), method="dt", seed=0)
    write_run(flat(1.0), method="dt", seed=1, batch_size=128)
    found = [(c.lm, c.other, c.other_lm, c.pairs) for c in comparisons(pools(collect(runs_root)))]
    expected = [(lm, *other) for lm in ("gpt2", "gpt2-mini") for other in (("lamo-random", lm, 1), ("dt", "", 1))]
    assert sorted(found) == sorted(expected)  # of DT's two settings the smaller batch stands for it: seed 0 has a pair


def test_tables_and_files(found: list[Pool], tmp_path: Path) -> None:
    first, second = aggregates_table(standings(found))
    assert first.splitlines()[0] == (
        "3 data sets at 10 % (recorded data, cpu profile), with 95 % intervals: one, three, two"
    )
    assert [line.split("  ")[0] for line in first.splitlines()[2:]] == ["method", "LaMo", "DT"]
    assert "61.0 [" in first
    assert second.splitlines()[0].startswith("2 data sets at 10 %")
    rows = standing_rows(standings(found))
    assert rows[-1]["datasets"] == "one two"
    (single,) = (row for row in rows if row["fraction"] == 1.0)
    assert (single["mean"], single["mean_low"], single["tasks"]) == (30.0, None, 1)
    write_comparisons([], tmp_path / "none.csv")
    write_comparisons(comparisons(found), tmp_path / "some.csv")
    header = (tmp_path / "none.csv").read_text()
    assert (tmp_path / "some.csv").read_text().startswith(header)
    assert header.strip().split(",") == list(comparison_rows(comparisons(found))[0])
