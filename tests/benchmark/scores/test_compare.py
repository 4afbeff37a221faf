"""`lamobench compare`: ours beside published scores, and beside another leaderboard."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamobench.benchmark.cli import main as cli
from lamobench.benchmark.scores.collect import collect
from lamobench.benchmark.scores.compare import FORMATS, compare_boards, compare_published, read_board, summary, why_not
from lamobench.benchmark.scores.leaderboard import leaderboard, write_csv
from lamobench.datasets.catalog import find_task
from lamobench.datasets.errors import UserError

WriteRun = Callable[..., Path]
Write = Callable[..., None]
Run = Callable[..., tuple[str, str]]
HOPPER = {"task": "hopper", "dataset": "hopper-medium", "source": "d4rl", "profile": "paper", "fraction": 1.0}


@pytest.fixture
def write(write_run: WriteRun) -> Write:
    """Three runs of a row, on D4RL's hopper in the paper's profile, whose seeds score 2 below, at and above `score`."""

    def write(score: float, seeds: int = 3, **changes: Any) -> None:
        config = HOPPER | changes
        task = find_task(config["task"])
        low, high = task.reference_scores
        for seed in range(seeds):
            scores = np.full((3, 4), score + 2.0 * (seed - 1) if seeds > 1 else score)
            write_run(low + (high - low) * scores / 100.0, **config, seed=seed)

    return write


@pytest.fixture
def run(runs_root: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `lamobench compare` on `runs_root`: output and errors."""

    def run(*options: object) -> tuple[str, str]:
        capsys.readouterr()
        cli.parse(["compare", "--runs", str(runs_root), *map(str, options)]).run()
        captured = capsys.readouterr()
        return captured.out, captured.err

    return run


def test_differences_and_places_by_hand(runs_root: Path, write: Write) -> None:
    write(64.0, method="cql")  # LaMo's paper has 61.6, CORL 59.08
    write(50.0, method="td3-bc")  # 58.7 and 60.37
    rows = compare_published(leaderboard(collect(runs_root)))
    assert list(rows[0]) == list(FORMATS)
    shown = {(row["method"], row["by"]): row for row in rows}
    assert list(shown) == [("cql", "LaMo"), ("cql", "CORL"), ("td3-bc", "LaMo"), ("td3-bc", "CORL")]
    cql = shown["cql", "LaMo"]
    assert (cql["published"], cql["spread"], cql["table"], cql["seeds"]) == (61.6, 3.4, "3", 3)
    assert cql["score"] == pytest.approx(64.0)
    assert cql["delta"] == pytest.approx(2.4)
    assert cql["ci_low"] < 61.6 < cql["ci_high"]
    assert cql["detectable"] == pytest.approx(6.528, abs=1e-3)  # 5.653 standard errors of three seeds, 2 / sqrt(3)
    assert [row["lies"] for row in rows] == ["inside", "inside", "above", "above"]
    assert all(row["comparable"] and row["why_not"] == "" for row in rows)
    assert summary(rows) == "4 comparable scores; of theirs, 2 inside our interval, 2 above our interval"


def test_one_seed_has_no_interval_to_lie_in(runs_root: Path, write: Write) -> None:
    write(64.0, seeds=1, method="rebrac")
    (row,) = compare_published(leaderboard(collect(runs_root)))
    assert (row["ci_low"], row["ci_high"], row["lies"], row["by"]) == (None, None, "unknown", "CORL")
    assert row["detectable"] is None
    assert summary([row]) == "1 comparable score; of theirs, 1 beside a single seed, which has no interval"


def test_rows_that_are_not_comparable_say_why_and_come_last(runs_root: Path, write: Write) -> None:
    write(40.0, method="cql", source="recorded", profile="cpu")
    write(40.0, method="dt")
    rows = compare_published(leaderboard(collect(runs_root)))
    assert [(row["method"], row["by"], row["comparable"], row["why_not"]) for row in rows] == [
        ("dt", "LaMo", True, ""),
        ("dt", "CORL", False, "batches of 4096 at a learning rate of 8e-4 instead of 64 at 1e-4"),
        ("cql", "LaMo", False, "source recorded instead of d4rl; profile cpu instead of paper"),
        ("cql", "CORL", False, "source recorded instead of d4rl; profile cpu instead of paper"),
    ]
    assert why_not(rows) == {
        "source recorded instead of d4rl": 2,
        "profile cpu instead of paper": 2,
        "batches of 4096 at a learning rate of 8e-4 instead of 64 at 1e-4": 1,
    }


def test_the_table(write: Write, run: Run) -> None:
    write(66.0, method="cql")
    write(40.0, method="dt", fraction=0.2)
    output = re.sub(r"\[6\d\.\d, 7\d\.\d\]", "[low, high]", run()[0])
    assert output.splitlines()[:9] == [
        "hopper-medium (d4rl data, paper profile)",
        "",
        "data   method  ours               by                 theirs     ours - theirs  could see  theirs is",
        "100 %  CQL     66.0 [low, high]  LaMo, table 3      61.6 ±3.4  +4.4           6.5        inside",
        "100 %  CQL     66.0 [low, high]  CORL, last scores  59.1 ±3.8  +6.9           6.5        below",
        "",
        "2 comparable scores; of theirs, 1 inside our interval, 1 below our interval",
        "could see: a true difference of that size leaves theirs outside our interval in 80 % of experiments",
        "nothing is published for dt on 20 % of hopper-medium",
    ]


def test_sources_and_reservations_stand_below_the_table(write: Write, run: Run) -> None:
    write(70.0, method="lamo", lm="gpt2")
    output = run()[0].replace("\n  ", " ")
    assert "(a)" in output
    assert "a  whether its embeddings and head were linear, as in the paper, is not said" in output
    assert "LaMo: Shi et al., arXiv 2310.20587, ICLR 2024; 3 seeds; its score: mean over the evaluations" in output
    assert "authors' log: logs of 10 April 2024" in output
    assert "CORL" not in output  # it has no LaMo
    assert "all of them played D4RL's environments, ours Gymnasium's" in output
    assert max(map(len, output.splitlines()[:4])) <= 110


def test_nothing_comparable_is_one_line_that_says_why(write: Write, run: Run) -> None:
    write(40.0, method="cql", source="recorded", profile="cpu")
    output, errors = run()
    assert output.replace("\n  ", " ") == (
        "all 2 not comparable: source recorded instead of d4rl (2); profile cpu instead of paper (2); "
        "--all shows them all the same\n"
    )
    assert errors == ""


def test_all_marks_what_is_not_comparable(write: Write, run: Run) -> None:
    write(40.0, method="cql", source="recorded", profile="cpu")
    lines = run("--all")[0].splitlines()
    assert lines[0] == "hopper-medium (recorded data, cpu profile)"
    assert lines[3].split("  ")[-1] == "not comparable (a)"
    assert lines[3].startswith("100 %  CQL     40.0 [")
    assert "-21.6" in lines[3]
    assert "a  source recorded instead of d4rl; profile cpu instead of paper" in lines
    assert not any("--all" in line for line in lines)


def test_where_nothing_is_published_it_says_so(write: Write, run: Run) -> None:
    for method in ("bc", "dt", "cql", "iql"):
        write(40.0, method=method, fraction=0.2)
    output = run()[0].replace("\n  ", " ")
    assert output == (
        "nothing is published for bc on 20 % of hopper-medium, cql on 20 % of hopper-medium, dt on 20 % of "
        "hopper-medium and 1 more\n"
    )


def test_json_is_json_alone(write: Write, run: Run) -> None:
    write(64.0, method="cql")
    write(64.0, seeds=1, method="iql", source="recorded")
    output, errors = run("--json")
    assert [row["by"] for row in json.loads(output)] == ["LaMo", "CORL"]
    assert "2 comparable scores" in errors
    every = json.loads(run("--json", "--all")[0])
    assert [(row["ci_low"], row["why_not"]) for row in every[2:]] == [(None, "source recorded instead of d4rl")] * 2


def test_json_without_a_comparable_score_is_an_empty_list(write: Write, run: Run) -> None:
    write(64.0, method="iql", source="recorded")
    output, errors = run("--json")
    assert json.loads(output) == []
    assert errors.startswith("all 2 not comparable: source recorded")


def test_the_file_holds_the_rows(tmp_path: Path, write: Write, run: Run) -> None:
    write(64.0, method="cql")
    write(64.0, seeds=1, method="iql", source="recorded")
    path = tmp_path / "out" / "compare.csv"
    assert run("--all", "--output", path)[0].endswith(f"written to {path}\n")
    rows = list(csv.DictReader(path.open()))
    assert list(rows[0]) == list(FORMATS)
    assert (rows[0]["published"], rows[0]["delta"], rows[0]["comparable"]) == ("61.6", "2.400", "True")
    assert (rows[3]["ci_low"], rows[3]["comparable"]) == ("", "False")
    run("--output", path)
    assert len(list(csv.DictReader(path.open()))) == 2


def test_a_file_without_rows_has_its_header(tmp_path: Path, write: Write, run: Run) -> None:
    write(64.0, method="iql", source="recorded")
    run("--output", tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text() == ",".join(FORMATS) + "\n"


def test_a_run_that_is_left_out_is_named(write: Write, run: Run, runs_root: Path) -> None:
    write(64.0, method="cql")
    (next(runs_root.iterdir()) / "done.json").unlink()
    assert run()[1].startswith("left out: ")


def board_file(runs_root: Path, path: Path, **changes: Any) -> Path:
    """The leaderboard of the runs as a file, with some columns changed."""
    frame = leaderboard(collect(runs_root))
    write_csv(frame.assign(**changes), path)
    return path


def test_two_leaderboards_side_by_side(tmp_path: Path, runs_root: Path, write: Write, run: Run) -> None:
    write(64.0, method="cql")
    write(64.0, method="dt", fraction=0.005)
    before = board_file(runs_root, tmp_path / "before.csv", score_mean=[60.0, 61.5], version="0.0.1")
    write(64.0, method="bc")
    rows = compare_boards(read_board(runs_root)[0], read_board(before)[0], "before")
    assert [(row["fraction"], row["method"], row["by"], row["published"]) for row in rows] == [
        (0.005, "dt", "before", 60.0),
        (1.0, "cql", "before", 61.5),
    ]
    assert [row["delta"] for row in rows] == pytest.approx([4.0, 2.5])
    assert [row["lies"] for row in rows] == ["inside", "inside"]
    assert {(row["comparable"], row["note"]) for row in rows} == {(True, "version 0.1.0, theirs 0.0.1")}
    output = run("--against", before)[0]
    assert "in both: 2 rows; 1 here alone, 0 there alone" in output
    assert "a  version 0.1.0, theirs 0.0.1" in output
    assert "LaMo:" not in output


def test_another_folder_of_runs_and_the_same_one(runs_root: Path, write: Write, run: Run) -> None:
    write(64.0, method="cql")
    output = run("--against", runs_root)[0]
    assert "+0.0           6.5        inside" in output
    assert output.splitlines()[-2] == "1 comparable score; of theirs, 1 inside our interval"


def test_leaderboards_on_other_data_are_not_comparable(tmp_path: Path, runs_root: Path, write: Write, run: Run) -> None:
    write(64.0, method="cql")
    before = board_file(
        runs_root, tmp_path / "before.csv", dataset_hash="e" * 64, subset_hash="other", target_return=1.0
    )
    assert run("--against", before)[0].replace("\n  ", " ") == (
        "1 not comparable: dataset_hash dddddddd, theirs eeeeeeee (1); target_return 76, theirs 1 (1); "
        "--all shows them all the same\n"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no leaderboard '"),
        ("", "can't be read"),
        ("a,b\n1,2\n", "is no leaderboard: it lacks task, dataset"),
        ("header", "is no leaderboard: it has no rows"),
        ("text", "has text where numbers belong"),
    ],
)
def test_a_file_that_is_no_leaderboard_is_refused(
    tmp_path: Path, runs_root: Path, write: Write, content: str | None, message: str
) -> None:
    path = tmp_path / "board.csv"
    if content is not None:
        write(64.0, method="cql")
        whole = board_file(runs_root, path).read_text()
        broken = {"header": whole.splitlines()[0] + "\n", "text": whole.replace(",64.000,", ",many,")}
        path.write_text(broken.get(content, content))
    with pytest.raises(UserError, match=message) as error:
        read_board(path)
    assert "\n" not in str(error.value)


def test_a_leaderboard_from_before_there_were_these_columns_is_read(
    tmp_path: Path, runs_root: Path, write: Write
) -> None:
    write(64.0, method="cql")
    since = ["seeds_below_gap", "corl_score", "corl_std", "rerun_score", "comparison"]
    frame = leaderboard(collect(runs_root)).drop(columns=since)
    frame.to_csv(tmp_path / "old.csv", index=False)
    (row,) = compare_boards(leaderboard(collect(runs_root)), read_board(tmp_path / "old.csv")[0], "old")
    assert (row["delta"], row["comparable"], row["note"]) == (pytest.approx(0.0), True, "")


def test_a_file_that_could_not_be_a_leaderboard_is_called_that(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("# about\n")
    with pytest.raises(UserError, match=r"README.md' is neither a folder of runs nor a leaderboard\.csv"):
        read_board(page)


def test_shares_of_the_data_say_how_their_episodes_were_drawn(write: Write, run: Run, runs_root: Path) -> None:
    write(36.0, method="dt", fraction=0.005)
    (row,) = compare_published(leaderboard(collect(runs_root)))
    assert row["comparable"]
    expected = (
        "theirs are int(share x N) of the N episodes that were kept of the file, less the best of those, ours, "
        "where uniform, round(share x N)"
    )
    assert row["note"] == expected
    assert f"a  {expected}" in run()[0].replace("\n   ", " ")


@pytest.mark.parametrize("lm", ["=HYPERLINK(A1)", "@evil", "-2+3", "'=quoted"])
def test_names_like_formulas_are_text_in_files_and_the_same_when_read_back(
    tmp_path: Path, runs_root: Path, write: Write, run: Run, lm: str
) -> None:
    write(-5.0, method="lamo", lm=lm)
    board = leaderboard(collect(runs_root))
    write_csv(board, tmp_path / "board.csv")
    with (tmp_path / "board.csv").open(newline="") as file:
        (cells,) = csv.DictReader(file)
    assert cells["lm"] == f"'{lm}"
    assert cells["score_mean"] == "-5.000", "a number stays one"
    read, _ = read_board(tmp_path / "board.csv")
    assert read["lm"].tolist() == [lm]
    assert len(compare_boards(board, read, "@other")) == 1
    run("--against", tmp_path / "board.csv", "--all", "--output", tmp_path / "compared.csv")
    with (tmp_path / "compared.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["lm"], float(row["delta"])) == (f"'{lm}", 0.0)
