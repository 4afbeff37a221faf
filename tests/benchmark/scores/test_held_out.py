"""Held-out error in the leaderboard: means and paired intervals by hand, blanks, and what the terminal shows."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamobench.benchmark.cli import main as cli
from lamobench.benchmark.scores.collect import collect, finished
from lamobench.benchmark.scores.held_out import errors_of, held_out_curves
from lamobench.benchmark.scores.held_out_table import held_out_markdown, held_out_tables
from lamobench.benchmark.scores.leaderboard import leaderboard
from lamobench.benchmark.scores.statistics import summarise

WriteRun = Callable[..., Path]
Measured = Callable[..., Path]
LAMO = {"method": "lamo", "lm": "gpt2-mini", "lm_hash": "a" * 64}


@pytest.fixture
def measured(write_run: WriteRun) -> Measured:
    """Write a run of three evaluations whose last two, the headline, have the given held-out error on average."""

    def write(error: float, **changes: Any) -> Path:
        folder = write_run([[1.0, 2.0]] * 3, **changes)
        errors = (9.0, error - 0.01, error + 0.01)
        trivial = {"held_out_mean_action": 0.5, "held_out_previous_action": 0.25}
        rows = [
            {"step": step, "loss": 1.0, "held_out_error": value, "held_out_loss": 2 * value} | trivial
            for step, value in zip((100, 200, 300), errors, strict=True)
        ]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return folder

    return write


def rows_of(root: Path) -> dict[str, dict[str, Any]]:
    return {row["method"]: row for row in leaderboard(collect(root)).to_dict("records")}


def test_the_error_and_its_interval_are_over_seeds(runs_root: Path, measured: Measured) -> None:
    for seed, error in enumerate((0.10, 0.12, 0.17)):
        measured(error, seed=seed)
    (row,) = rows_of(runs_root).values()
    assert row["held_out_error"] == pytest.approx(0.13)
    expected = summarise(np.array([[0.10], [0.12], [0.17]]))
    ends = (row["held_out_error_low"], row["held_out_error_high"])
    assert ends == pytest.approx((expected.ci_low, expected.ci_high))
    assert (row["held_out_loss"], row["held_out_mean_action"]) == (pytest.approx(0.26), 0.5)
    assert row["held_out_previous_action"] == 0.25
    assert math.isnan(row["held_out_less_lamo"])  # there is none


def test_differences_are_paired_by_seed_and_subset(runs_root: Path, measured: Measured) -> None:
    for seed, error in enumerate((0.10, 0.20, 0.30)):
        measured(error, seed=seed, **LAMO)
        measured(error + 0.01 * (seed + 1), seed=seed)
    measured(0.9, seed=3)  # LaMo has no such seed
    rows = rows_of(runs_root)
    assert math.isnan(rows["lamo"]["held_out_less_lamo"])
    assert rows["bc"]["held_out_error"] == pytest.approx((0.11 + 0.22 + 0.33 + 0.9) / 4)
    names = ("held_out_less_lamo", "held_out_less_lamo_low", "held_out_less_lamo_high")
    expected = summarise(np.array([[0.01], [0.02], [0.03]]))
    assert [rows["bc"][n] for n in names] == pytest.approx([expected.mean, expected.ci_low, expected.ci_high])


def test_other_subsets_are_no_pairs(runs_root: Path, measured: Measured) -> None:
    measured(0.1, seed=0, **LAMO)
    measured(0.2, seed=0, subset_hash="another")
    assert math.isnan(rows_of(runs_root)["bc"]["held_out_less_lamo"])


def test_a_method_without_a_model_has_no_reference_among_several(runs_root: Path, measured: Measured) -> None:
    measured(0.1, **LAMO)
    measured(0.1, **{**LAMO, "lm": "gpt2", "lm_hash": "b" * 64})
    measured(0.3, **{**LAMO, "method": "lamo-random", "lm_hash": "c" * 64})
    measured(0.2)
    rows = rows_of(runs_root)
    assert math.isnan(rows["bc"]["held_out_less_lamo"])
    assert rows["lamo-random"]["held_out_less_lamo"] == pytest.approx(0.2)


def test_a_row_with_a_run_from_before_has_none(runs_root: Path, measured: Measured, write_run: WriteRun) -> None:
    measured(0.1, seed=0)
    write_run([[1.0, 2.0]] * 3, seed=1)
    (row,) = rows_of(runs_root).values()
    assert [name for name in row if name.startswith("held_out") and not math.isnan(row[name])] == []
    assert held_out_curves(finished(collect(runs_root))) is None
    assert list(held_out_tables(leaderboard(collect(runs_root)))) == []


def test_curves_are_of_the_evaluations_that_all_seeds_have(runs_root: Path, measured: Measured) -> None:
    measured(0.1, seed=0)
    late = measured(0.2, seed=1) / "metrics.jsonl"
    late.write_text("".join(line + "\n" for line in late.read_text().splitlines()[1:]))  # went on from before
    runs = finished(collect(runs_root))
    curves = held_out_curves(runs)
    assert curves is not None
    assert curves[0].tolist() == [200, 300]
    np.testing.assert_allclose(curves[1], [[0.09, 0.11], [0.19, 0.21]])
    np.testing.assert_allclose(errors_of(runs), [0.1, 0.2])


def test_a_changed_metrics_file_damages_its_run(runs_root: Path, measured: Measured) -> None:
    path = measured(0.1) / "metrics.jsonl"
    path.write_text(path.read_text().replace("0.5", "NaN"))
    (run,) = collect(runs_root)
    assert (run.status, run.problem[:13]) == ("damaged", "metrics.jsonl")


def test_the_table_has_predictors_and_differences(runs_root: Path, measured: Measured) -> None:
    for seed, error in enumerate((0.10, 0.20)):
        measured(error, seed=seed, **LAMO)
        measured(error + 0.01 * (seed + 1), seed=seed)
        for fraction in (0.2, 0.3):
            measured(error, seed=seed, fraction=fraction)
    frame = leaderboard(collect(runs_root))
    first, second = held_out_tables(frame)
    assert max(map(len, [*first.splitlines(), *second.splitlines()])) <= 100
    lines = {line[:17].strip(): line[17:].split() for line in first.splitlines()}
    assert lines["LaMo"] == ["0.1500"]
    assert lines["BC"][:2] == ["0.1650", "(+0.0150"]
    assert lines["mean action"] == ["0.5000", "0.5000"]
    assert lines["previous action"] == ["0.2500", "0.2500"]
    assert "30 %" in second.splitlines()[0]
    assert "| previous action | 0.2500 | 0.2500 |" in held_out_markdown(frame)


def test_a_title_promises_no_interval_that_nothing_has(runs_root: Path, measured: Measured) -> None:
    measured(0.15)
    (alone,) = held_out_tables(leaderboard(collect(runs_root)))
    assert "In brackets" not in alone  # there is no row of LaMo
    measured(0.1, **LAMO)
    (one,) = held_out_tables(leaderboard(collect(runs_root)))
    assert "seed by seed" in " ".join(one.split())
    assert "interval" not in one
    for changes in ({}, LAMO):
        measured(0.12, seed=1, **changes)
    (two,) = held_out_tables(leaderboard(collect(runs_root)))
    assert "seed by seed, with 95 % interval" in " ".join(two.split())


def test_the_leaderboard_prints_it(
    runs_root: Path, measured: Measured, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured(0.1)
    arguments = ["--runs", str(runs_root), "--output", str(runs_root.parent), "--no-figures"]
    monkeypatch.setattr("sys.argv", ["lamobench", "leaderboard", *arguments])
    cli.main()
    assert ": held-out action error" in capsys.readouterr().out
