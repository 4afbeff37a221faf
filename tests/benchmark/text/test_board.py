"""The leaderboard of runs whose evaluations are written by hand, and the same made again from their archive."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from lamobench.benchmark.cli.main import parse
from lamobench.benchmark.recompute.check import check_folder
from lamobench.benchmark.report.contents import read_contents
from lamobench.benchmark.scores.collect import finished, read_run
from lamobench.benchmark.scores.leaderboard import group_runs
from lamobench.benchmark.text import report
from lamobench.benchmark.text.board import CHOSEN, draw, rows, tables
from lamobench.benchmark.text.figure import games_figure
from lamobench.tests.benchmark.text.little_runs import OUTCOMES, RECORDED, write_changed, write_run


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four methods with two seeds, ranked, with their archive."""
    root = tmp_path_factory.mktemp("text")
    for method in OUTCOMES:
        for seed in (0, 1):
            write_run(root / "runs", method, seed)
    parse(["leaderboard", "--runs", str(root / "runs"), "--output", str(root / "results"), "--archive"]).run()
    return root / "results"


def test_rows_by_hand(results: Path) -> None:
    with (results / "text.csv").open() as file:
        found = {row["method"]: row for row in csv.DictReader(file)}
    assert list(found) == list(OUTCOMES)
    fixed = found["drrn-fixed"]
    assert (fixed["lm"], fixed["seeds"], fixed["params_trainable"]) == ("gpt2-mini", "2", "10")
    assert float(fixed["area"]) == pytest.approx(
        0.75 + 0.01 / 8, abs=1e-3
    )  # the second seed: a hundredth of one episode
    assert float(fixed["area_gain"]) == pytest.approx(0.75 - 0.5625, abs=1e-3)
    assert float(fixed["area_gain_low"]) == pytest.approx(0.1875, abs=1e-3)  # each seed gains the same
    assert float(fixed["steps_to_80"]) == 200
    assert float(fixed["moves"]) == 10.5
    assert float(fixed["robustness"]) == pytest.approx(0.5)
    assert float(fixed["train/paraphrase"]) == 0.75
    assert float(fixed["ood/orig"]) == 0.5
    assert fixed["valid/orig"] == ""
    assert found["drrn-hash"]["area_gain"] == ""
    assert not any("seconds" in column for column in fixed)
    assert [fixed[name] for name in CHOSEN] == ["", "0.001", ""]  # nothing of the language model is trained
    assert found["random"]["learning_rate"] == ""
    assert fixed["cka_nouns"] == fixed["anisotropy_nouns_before"] == ""
    tuned = found["drrn-top-k"]  # means of the last two evaluations, and of both seeds
    assert float(tuned["cka_nouns"]) == pytest.approx(0.55 + 0.01 / 4, abs=1e-4)
    assert float(tuned["anisotropy_nouns"]) == pytest.approx(0.5 + 0.01 / 4, abs=1e-4)
    assert float(tuned["anisotropy_nouns_before"]) == 0.25
    assert float(tuned["holders_train_low"]) < float(tuned["holders_train"]) < float(tuned["holders_train_high"])
    assert float(tuned["area_on_fixed"]) == pytest.approx(float(tuned["area"]) - float(fixed["area"]), abs=1e-3)
    assert float(tuned["train_on_fixed"]) == pytest.approx((0.5 + 0.5) / 2 - (0.75 + 0.25) / 2, abs=1e-3)
    assert float(tuned["train/orig_on_fixed"]) == pytest.approx(
        float(tuned["train/orig"]) - float(fixed["train/orig"]), abs=1e-3
    )
    assert tuned["ood_on_fixed"] == ""  # there are no other words of those games
    assert tuned["valid_on_fixed"] == fixed["area_on_fixed"] == found["drrn-hash"]["area_on_fixed"] == ""
    assert "cka_nouns_before" not in tuned
    control = found["drrn-fixed-random"]  # only a control is compared with the method whose weights it replaces
    assert float(control["train/paraphrase_on_pretrained"]) == pytest.approx(0.25 - 0.75, abs=1e-3)
    assert float(control["robustness_on_pretrained"]) == pytest.approx(0.25 - 0.5, abs=1e-3)
    assert control["area_on_pretrained"] == control["area_on_fixed"]
    assert fixed["area_on_pretrained"] == tuned["area_on_pretrained"] == ""
    assert tuned["wordnet"] == tuned["cross_entropy"] == ""


def test_a_control_is_compared_at_its_own_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    curve, ends = OUTCOMES["drrn-top-k"]
    monkeypatch.setitem(OUTCOMES, "drrn-top-k-random", ([share / 2 for share in curve], ends))
    for rate in (1e-5, 1e-3):
        write_changed(tmp_path / "runs", "drrn-top-k", rate, profile="cpu (changed)")
    write_changed(tmp_path / "runs", "drrn-top-k-random", 1e-3, profile="cpu (changed)")  # alone: no name of a variant
    (control,) = (row for row in ranked(tmp_path) if row["method"] == "drrn-top-k-random")
    assert control["variant"] == ""
    assert float(control["area_on_pretrained"]) == pytest.approx(-sum(curve) / 8, abs=1e-2)
    for folder in (tmp_path / "runs").glob("*drrn-top-k-s*"):
        if json.loads((folder / "config.json").read_text())["policy"]["encoder_learning_rate"] == 1e-3:
            shutil.rmtree(folder)
    assert [(row["variant"], row["area_on_pretrained"]) for row in ranked(tmp_path)] == [("", ""), ("", "")]


def test_a_control_of_one_of_two_language_models_of_a_name_is_compared_with_neither(tmp_path: Path) -> None:
    for lm_hash in ("a" * 64, "b" * 64):
        write_changed(tmp_path / "runs", "drrn-fixed", 1e-4, lm_hash=lm_hash)
    write_changed(tmp_path / "runs", "drrn-fixed-random", 1e-4)
    assert [row["area_on_pretrained"] for row in ranked(tmp_path)] == ["", "", ""]


def ranked(root: Path) -> list[dict[str, str]]:
    """The rows of text.csv of the runs in a folder, which their archive makes again."""
    where = ["--runs", str(root / "runs"), "--output", str(root / "results")]
    parse(["leaderboard", *where, "--archive", "--no-figures"]).run()
    assert not any(found.faults for found in check_folder(root / "results"))
    with (root / "results" / "text.csv").open() as file:
        return list(csv.DictReader(file))


def test_tables_have_a_line_for_each_split(results: Path) -> None:
    runs = finished(map(read_run, sorted((results.parent / "runs").iterdir())))
    learning, viewed, metered = tables(rows(group_runs(runs)))
    assert learning.startswith("tidy-medium (cpu profile, 2 seeds)\n")
    assert [line.split("  ")[0] for line in learning.splitlines()[2:7]] == [
        "fixed (gpt2-mini)",
        "fixed random (gpt2-mini)",
        "top-k (gpt2-mini)",
        "hash",
        "Random",
    ]
    lines = [line for line in viewed.splitlines() if " train " in line or " ood " in line]
    assert len(lines) == 10
    cells = [line.split() for line in metered.splitlines()[2:6]]
    assert [line[0] for line in cells] == ["before", "nouns", "top-k", "nouns"]
    assert cells[1] == ["nouns", "0.25", "0.50"]
    assert cells[3][1:] == ["0.55", "0.35", "0.65", "0.50", "0.03", "0.35"]
    assert all(len(line) <= 100 for table in (learning, viewed, metered) for line in table.splitlines())


def test_the_archive_says_the_same(results: Path, tmp_path: Path) -> None:
    checked = {found.path.name: found for found in check_folder(results)}
    assert checked["text.csv"].cells > 50
    assert not any(found.faults for found in checked.values())
    assert {"tidy-medium.png"} <= {path.name for path in results.iterdir()}
    for path in results.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    board = tmp_path / "text.csv"
    board.write_text(board.read_text().replace("0.1875,0.1875", "0.1876,0.1875", 1))
    (fault,) = next(found.faults for found in check_folder(tmp_path) if found.path.name == "text.csv")
    assert fault.startswith("area_gain is 0.1876, recomputed 0.1875 ")


def test_other_rates_have_no_figure_where_nothing_stands_beside_them(tmp_path: Path) -> None:
    written = {
        method: read_run(write_run(tmp_path / "runs", method, 0))
        for method in ("drrn-hash", "drrn-fixed", "drrn-top-k")
    }
    hashed, fixed, tuned = group_runs(finished(written.values()))
    other = replace(tuned, variant="encoder_learning_rate=0.001")
    assert draw([hashed, fixed, tuned, other], tmp_path) == ["tidy-medium.png"]
    assert draw([tuned, other], tmp_path) == ["tidy-medium-cpu.png", "tidy-medium-cpu-encoder_learning_rate=0.001.png"]
    assert draw([hashed, replace(fixed, variant="temperature=1")], tmp_path) == [
        "tidy-medium-cpu.png",
        "tidy-medium-cpu-temperature=1.png",
    ]


def test_many_methods_have_panels_of_the_whole_width(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (group,) = group_runs(finished([read_run(write_run(tmp_path / "runs", "drrn-fixed", 0))]))
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    for count in (6, 7):
        games_figure([group] * count, tmp_path / "figure.png")
    few, many = ([axes.get_subplotspec().get_gridspec().ncols for axes in figure.axes] for figure in drawn)
    assert set(few) == {2}
    assert set(many) == {1}
    assert [text.get_text() for text in drawn[1].axes[1].get_xticklabels()] == ["orig", "paraphrase", "shuffle"]


def test_recorded_games_are_compared_among_themselves(tmp_path: Path) -> None:
    for method in ("drrn-hash", *RECORDED):
        for seed in (0, 1):
            write_run(tmp_path / "runs", method, seed)
    output = str(tmp_path / "results")
    parse(["leaderboard", "--runs", str(tmp_path / "runs"), "--output", output, "--archive"]).run()
    with (tmp_path / "results" / "text.csv").open() as file:
        found = {row["method"]: row for row in csv.DictReader(file)}
    assert {name: row["dataset"] for name, row in found.items()} == {
        "drrn-hash": "tidy-medium",
        "text-bc-hash": "tidy-medium-mixed",
        "text-lamo": "tidy-medium-mixed",
    }
    gain = (0.5 + 0.5 + 0.75) / 4 - (0.25 + 0.5 + 0.5) / 4  # on the hash of the same games, not on that which played
    assert float(found["text-lamo"]["area_gain"]) == pytest.approx(gain, abs=1e-3)
    assert found["text-bc-hash"]["area_gain"] == found["drrn-hash"]["area_gain"] == ""
    assert {"tidy-medium.png", "tidy-medium-mixed.png"} <= {path.name for path in (tmp_path / "results").iterdir()}
    titles = [table.split(" (")[0] for table in tables(rows(group_runs(finished(map(read_run, runs_in(tmp_path))))))]
    assert [title for title in titles if "\n" not in title] == ["tidy-medium", "tidy-medium-mixed"]
    assert not any(check.faults for check in check_folder(tmp_path / "results"))


def test_another_recording_is_another_row_of_a_method(tmp_path: Path) -> None:
    for dataset in ("tidy-medium-mixed", "tidy-medium-expert"):
        for seed in (0, 1):
            write_run(tmp_path / "runs", "text-bc-hash", seed, dataset)
    output = str(tmp_path / "results")
    parse(["leaderboard", "--runs", str(tmp_path / "runs"), "--output", output, "--archive"]).run()
    with (tmp_path / "results" / "text.csv").open() as file:
        assert [row["dataset"] for row in csv.DictReader(file)] == ["tidy-medium-expert", "tidy-medium-mixed"]
    assert not any(check.faults for check in check_folder(tmp_path / "results"))


def test_a_game_s_own_score_stands_beside_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1):
        write_run(tmp_path / "runs", "random", seed, own_score=True)
    parse(["leaderboard", "--runs", str(tmp_path / "runs"), "--output", str(tmp_path / "results"), "--archive"]).run()
    with (tmp_path / "results" / "text.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["own_score"]) == pytest.approx((0.5 + 0.625) / 2, abs=1e-4)
    assert "own" in capsys.readouterr().out.split("\n")[1]
    assert not any(check.faults for check in check_folder(tmp_path / "results"))


def test_beside_published_scores_there_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "runs", "random", 0)
    parse(["compare", "--runs", str(tmp_path / "runs")]).run()
    assert capsys.readouterr().out.splitlines() == [
        "nothing is published for random on tidy-medium",
        "of text games, the result tables of the paper could not be found",
    ]


def test_points_that_were_lost_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: list[Any]) -> None:
    ends = {"train/orig": -0.25, "train/paraphrase": 0.25}
    monkeypatch.setitem(OUTCOMES, "random", ([-0.25, -0.5, -0.5, -0.25], ends))
    for seed in (0, 1):
        write_run(tmp_path / "runs", "random", seed)
    parse(["leaderboard", "--runs", str(tmp_path / "runs"), "--output", str(tmp_path / "results"), "--archive"]).run()
    with (tmp_path / "results" / "text.csv").open() as file:
        (row,) = csv.DictReader(file)
    for name in ("area", "train/orig"):
        assert float(row[f"{name}_low"]) <= float(row[name]) <= float(row[f"{name}_high"]) < 0.0
    assert not any(check.faults for check in check_folder(tmp_path / "results"))
    assert all(axes.get_ylim()[0] < -25.0 for axes in drawn[0].axes)
    (setting,) = read_contents(tmp_path / "runs").settings
    (chart,) = [chart for chart in report.charts(setting) if chart.title == "View: orig"]
    assert chart.rows[0][1].startswith("\N{MINUS SIGN}25.0 [")


def test_two_language_models_of_a_method_have_marks_of_their_own(tmp_path: Path, drawn: list[Any]) -> None:
    for lm in ("gpt2-mini", "minilm"):
        for seed in (0, 1):
            write_run(tmp_path / "runs", "drrn-fixed", seed, lm=lm)
    games_figure(group_runs(finished(map(read_run, runs_in(tmp_path)))), tmp_path / "figure.png")
    for axes in drawn[0].axes:
        means = [line for line in axes.get_lines() if line.get_marker() != "None"]
        assert [line.get_fillstyle() for line in means] == ["full", "none"], axes.get_title()


def runs_in(folder: Path) -> list[Path]:
    return sorted((folder / "runs").iterdir())
