import csv
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lamobench.benchmark.scores.collect import collect
from lamobench.benchmark.scores.leaderboard import COLUMNS, clearly_best, leaderboard, write_csv
from lamobench.benchmark.scores.statistics import stratified_bootstrap
from lamobench.datasets.errors import UserError

WriteRun = Callable[..., Path]
HEADER = (
    "track,task,dataset,source,dataset_hash,fraction,subset_hash,episodes_in_subset,method,lm,profile,variant,seeds,score_mean,"
    "score_std,score_iqm,ci_low,ci_high,seeds_below_gap,return_mean,best_score_mean,held_out_error,held_out_error_low,"
    "held_out_error_high,held_out_less_lamo,held_out_less_lamo_low,held_out_less_lamo_high,held_out_loss,"
    "held_out_mean_action,held_out_previous_action,target_return,paper_score,paper_std,corl_score,"
    "corl_std,rerun_score,comparison,params_total,params_trainable,train_steps,env_id,simulator,version"
)


def flat(score: float) -> list[list[float]]:
    """Three evaluations of two episodes, all of one score."""
    return [[score, score]] * 3


def one_row(frame: pd.DataFrame) -> dict[str, Any]:
    (row,) = frame.to_dict("records")
    return dict(row)


def test_columns_and_values_by_hand(runs_root: Path, write_run: WriteRun) -> None:
    write_run([[90.0, 90.0], [10.0, 12.0], [8.0, 10.0]], seed=0)  # score 10
    write_run([[50.0, 50.0], [20.0, 22.0], [18.0, 20.0]], seed=1)  # score 20
    frame = leaderboard(collect(runs_root))
    assert ",".join(frame.columns) == ",".join(COLUMNS) == HEADER
    row = one_row(frame)
    assert (row["seeds"], row["score_mean"], row["score_iqm"], row["return_mean"]) == (2, 15.0, 15.0, 15.0)
    assert row["score_std"] == pytest.approx(math.sqrt(50.0))
    assert row["best_score_mean"] == 70.0
    scores = np.asarray([[10.0, 12.0, 8.0, 10.0], [20.0, 22.0, 18.0, 20.0]])
    assert (row["ci_low"], row["ci_high"]) == stratified_bootstrap(scores)
    assert (row["track"], row["target_return"], row["train_steps"]) == ("offline", 76.0, 300)
    assert (row["params_total"], row["params_trainable"]) == (1000, 100)
    assert math.isnan(row["paper_score"])


def test_seeds_far_below_the_others_are_counted(tmp_path: Path, runs_root: Path, write_run: WriteRun) -> None:
    for method, scores in (("bc", (60.0, 62.0, 10.0)), ("dt", (60.0, 50.0, 40.0)), ("iql", (60.0, 10.0))):
        for seed, score in enumerate(scores):
            write_run([[score - 1.0, score + 1.0]] * 3, seed=seed, method=method)
    write_csv(leaderboard(collect(runs_root)), tmp_path / "board.csv")
    rows = list(csv.DictReader((tmp_path / "board.csv").open()))
    assert {row["method"]: row["seeds_below_gap"] for row in rows} == {"bc": "1", "dt": "0", "iql": "0"}


def test_rows_keep_fractions_methods_models_profiles_and_sources_apart(runs_root: Path, write_run: WriteRun) -> None:
    for changes in (
        {},
        {"fraction": 1.0},
        {"method": "dt"},
        {"lm": "gpt2"},
        {"profile": "paper"},
        {"source": "minari"},
    ):
        write_run(flat(1.0), **changes, steps=300)
    assert len(leaderboard(collect(runs_root))) == 6


@pytest.mark.parametrize(
    ("change", "variant"),
    [
        ({"policy": {"hidden": 512}}, "hidden=512"),
        ({"policy": {}}, "hidden=absent"),
        ({"batch_size": 32}, "batch_size=32"),
        ({"target_returns": [40.0]}, "target_returns=[40.0]"),
        ({"version": "0.2.0"}, "version=0.2.0"),
        ({"precision": "bfloat16", "batch_size": 32}, "batch_size=32, precision=bfloat16"),
        ({"lm_hash": "f" * 64}, "lm_hash=ffffffff"),
        ({"lm_hash": "f" * 64, "batch_size": 32}, "batch_size=32"),
    ],
)
def test_runs_of_different_settings_are_never_averaged(
    runs_root: Path, write_run: WriteRun, change: dict[str, Any], variant: str
) -> None:
    write_run(flat(1.0), seed=0, method="lamo")
    write_run(flat(2.0), seed=1, method="lamo")
    write_run(flat(3.0), method="lamo", **{"seed": 2} | change)
    rows = leaderboard(collect(runs_root))[["variant", "seeds", "score_mean"]].to_dict("records")
    assert rows == [
        {"variant": "", "seeds": 2, "score_mean": 1.5},
        {"variant": variant, "seeds": 1, "score_mean": 3.0},
    ]


def test_other_content_of_a_data_set_is_another_row_and_no_variant(runs_root: Path, write_run: WriteRun) -> None:
    write_run(flat(1.0), seed=0)
    write_run(flat(2.0), seed=1, dataset_hash="e" * 64)
    frame = leaderboard(collect(runs_root))
    assert frame[["dataset_hash", "variant", "seeds"]].to_numpy().tolist() == [["d" * 64, "", 1], ["e" * 64, "", 1]]


def test_subsets_of_a_seed_each_or_one_for_all_but_nothing_between(runs_root: Path, write_run: WriteRun) -> None:
    for seed in (0, 1):
        write_run(flat(1.0), seed=seed)
    other = write_run(flat(1.0), seed=2, data_seed=5)
    with pytest.raises(UserError) as error:
        leaderboard(collect(runs_root))
    line = str(error.value)
    assert line.startswith(
        "runs of 'bc' on 'reacher2d-medium-large' at fraction 0.1 differ in data_seed, which must be"
    )
    assert other.name in line
    assert line.endswith("no average; move some out of the runs folder")
    assert "\n" not in line


def test_a_seed_counts_once(runs_root: Path, write_run: WriteRun) -> None:
    write_run(flat(1.0), seed=0)
    write_run(flat(1.0), seed=0, data_seed=1)
    with pytest.raises(UserError, match="differ in data_seed at the same seed"):
        leaderboard(collect(runs_root))


def test_another_simulator_is_another_setting(runs_root: Path, write_run: WriteRun) -> None:
    write_run(flat(1.0), seed=0)
    done = write_run(flat(1.0), seed=1) / "done.json"
    done.write_text(done.read_text().replace("mujoco 3.3.0", "mujoco 3.4.0"))
    assert leaderboard(collect(runs_root))["variant"].tolist() == ["", "simulator=mujoco 3.4.0"]


@pytest.mark.parametrize("method", ["lamo-random", "lamo-permuted", "lamo-initialised"])
def test_weights_drawn_by_the_seed_may_differ_between_seeds(runs_root: Path, write_run: WriteRun, method: str) -> None:
    for seed in range(3):
        write_run(flat(1.0), seed=seed, method=method, lm_hash=f"weights {seed}")
    assert one_row(leaderboard(collect(runs_root)))["seeds"] == 3


def test_one_shared_subset_is_allowed_and_keeps_its_own_hash(runs_root: Path, write_run: WriteRun) -> None:
    for seed in range(3):
        write_run(flat(1.0), seed=seed, data_seed=7, subset_hash="shared")
    assert one_row(leaderboard(collect(runs_root)))["subset_hash"] == "shared"


def test_subset_hash_is_the_same_for_methods_on_the_same_subsets(runs_root: Path, write_run: WriteRun) -> None:
    for method, seeds in {"bc": (0, 1, 2), "dt": (2, 0, 1), "cql": (0, 1)}.items():
        for seed in seeds:
            write_run(flat(1.0), seed=seed, method=method)
    hashes = leaderboard(collect(runs_root)).set_index("method")["subset_hash"]
    assert hashes["bc"] == hashes["dt"] != hashes["cql"]


def test_nothing_finished_is_a_clear_error(runs_root: Path, write_run: WriteRun) -> None:
    (write_run(flat(1.0)) / "done.json").unlink()
    with pytest.raises(UserError, match="1 run, none of them finished: nothing to rank yet; 1 run is unfinished"):
        leaderboard(collect(runs_root))
    damaged = write_run(flat(1.0), seed=1)
    (damaged / "episodes.csv").write_text("cut")
    with pytest.raises(
        UserError, match=f"2 runs, none of them finished: .*{damaged.name}: damaged: episodes.csv can't"
    ):
        leaderboard(collect(runs_root))


def test_csv_is_the_same_whatever_the_order_of_the_runs(tmp_path: Path, runs_root: Path, write_run: WriteRun) -> None:
    rng = np.random.default_rng(0)
    for method in ("lamo", "bc"):
        for fraction in (1.0, 0.1):
            for seed in range(3):
                write_run(rng.uniform(0, 50, (3, 4)), method=method, fraction=fraction, seed=seed)
    runs = collect(runs_root)
    first = tmp_path / "first.csv"
    second = tmp_path / "deeper" / "second.csv"
    write_csv(leaderboard(runs), first)
    random.Random(1).shuffle(runs)
    write_csv(leaderboard(runs).sample(frac=1.0, random_state=0), second)
    assert first.read_bytes() == second.read_bytes()
    rows = list(csv.DictReader(first.open()))
    assert [(row["fraction"], row["method"]) for row in rows] == [
        ("0.1", "bc"),
        ("0.1", "lamo"),
        ("1", "bc"),
        ("1", "lamo"),
    ]
    assert first.read_text().startswith(HEADER + "\n")
    assert (rows[0]["paper_score"], rows[0]["params_total"], rows[0]["target_return"]) == ("", "1000", "76")
    assert rows[0]["score_mean"] == f"{float(rows[0]['score_mean']):.3f}"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_damaged_run_does_not_turn_counts_into_decimals(tmp_path: Path, runs_root: Path, write_run: WriteRun) -> None:
    write_run(flat(1.0), seed=0)
    (write_run(flat(1.0), seed=1) / "config.json").unlink()
    write_csv(leaderboard(collect(runs_root)), tmp_path / "board.csv")
    (row,) = csv.DictReader((tmp_path / "board.csv").open())
    assert (row["seeds"], row["train_steps"], row["episodes_in_subset"]) == ("1", "300", "50")


@pytest.mark.parametrize(
    ("intervals", "best"),
    [
        ([(1.0, 2.0), (5.0, 6.0), (3.0, 4.0)], 1),
        ([(1.0, 2.0), (2.0, 3.0)], None),  # they touch
        ([(1.0, 2.0), (math.nan, math.nan)], None),  # of a single seed nothing is known
        ([(math.nan, math.nan), (1.0, 2.0)], None),
        ([(1.0, 2.0)], None),  # no other row
        ([], None),
    ],
)
def test_a_row_is_clearly_best_above_every_other_interval(
    intervals: list[tuple[float, float]], best: int | None
) -> None:
    assert clearly_best([{"ci_low": low, "ci_high": high} for low, high in intervals]) == best


HOPPER = {"task": "hopper", "dataset": "hopper-medium", "source": "d4rl", "fraction": 1.0, "profile": "paper"}


def test_what_others_published_stands_beside_comparable_rows(runs_root: Path, write_run: WriteRun) -> None:
    for method, lm in (("lamo", "gpt2"), ("cql", ""), ("dt", ""), ("rebrac", ""), ("nfq", "")):
        write_run(flat(1.0), **HOPPER, method=method, lm=lm)
    frame = leaderboard(collect(runs_root)).set_index("method")
    columns = ["paper_score", "paper_std", "corl_score", "corl_std", "rerun_score"]
    values = {method: frame.loc[method, columns].tolist() for method in frame.index}
    assert values["lamo"] == pytest.approx([74.1, 5.3, math.nan, math.nan, 46.73], nan_ok=True)
    assert values["cql"] == pytest.approx([61.6, 3.4, 59.08, 3.77, math.nan], nan_ok=True)
    assert values["dt"] == pytest.approx([60.9, 3.3, math.nan, math.nan, math.nan], nan_ok=True)  # CORL's is another DT
    assert values["rebrac"] == pytest.approx([math.nan, math.nan, 102.29, 0.17, math.nan], nan_ok=True)
    assert values["nfq"] == pytest.approx([math.nan] * 5, nan_ok=True)
    assert frame["comparison"].to_dict() == dict.fromkeys(("lamo", "cql", "dt", "rebrac"), "comparable") | {
        "nfq": "nothing published"
    }


def test_the_file_says_why_a_row_is_not_comparable(tmp_path: Path, runs_root: Path, write_run: WriteRun) -> None:
    write_run(flat(1.0), **HOPPER | {"source": "recorded", "profile": "cpu"}, method="lamo", lm="gpt2-mini")
    write_csv(leaderboard(collect(runs_root)), tmp_path / "board.csv")
    (row,) = csv.DictReader((tmp_path / "board.csv").open())
    assert (row["paper_score"], row["corl_score"], row["rerun_score"]) == ("", "", "")
    assert row["comparison"] == (
        "not comparable: source recorded instead of d4rl; profile cpu instead of paper; "
        "language model gpt2-mini instead of gpt2"
    )


def test_runs_of_what_a_profile_once_was_are_rows_of_their_own(runs_root: Path, write_run: WriteRun) -> None:
    """Rows say so even where no run of the profile as it is now stands beside them; what was asked for is not old."""
    lamo = {"method": "lamo", "lm": "gpt2-mini", "lm_hash": "a" * 64}
    old = {"policy": {"context": 5, "input_scale": "published"}}
    new = {"policy": {"context": 5}}
    write_run(flat(1.0), seed=0, **lamo, **old)
    assert one_row(leaderboard(collect(runs_root)))["variant"] == "input_scale=published"
    for seed in range(3):
        write_run(flat(2.0), seed=seed, **lamo, **new)
    write_run(flat(3.0), seed=0, **lamo, **old, profile="cpu (changed)")
    write_run(flat(3.0), seed=0, **lamo, **new, profile="paper")
    rows = leaderboard(collect(runs_root)).to_dict("records")
    found = {(row["profile"], row["variant"]): (row["score_mean"], row["seeds"]) for row in rows}
    assert found == {
        ("cpu", ""): (2.0, 3),
        ("cpu", "input_scale=published"): (1.0, 1),
        ("cpu (changed)", ""): (3.0, 1),
        ("paper", ""): (3.0, 1),
    }
