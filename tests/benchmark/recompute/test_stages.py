"""Archives from which rows were taken, or that were given others: every hash fits, and each is found."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.recompute.archive import read_archive
from lamobench.benchmark.recompute.degeneration import random_rows, rewind_rows
from lamobench.benchmark.recompute.finetune import finetune_rows
from lamobench.benchmark.recompute.rows import Row, rows_of
from lamobench.benchmark.recompute.runs import read_runs
from lamobench.benchmark.recompute.stages import PLACE, exact_columns
from lamobench.benchmark.recompute.text import text_rows
from lamobench.benchmark.runs.layout import EVALUATIONS
from lamobench.benchmark.sharing.evaluations import write_evaluations
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.recompute.archives import contents_of, members_of, pack, with_hashes
from lamobench.tests.benchmark.text.little_runs import METERS, write_run
from lamobench.tests.test_house import ROOT

Cells = dict[str, str]
Make = Callable[[list[Row]], list[dict[str, Any]]]
Condition = Callable[[Cells], bool]
METHOD = "drrn-top-k"  # its parts: train/orig, train/paraphrase, train/shuffle or not, ood/orig
ALPHAS = ("0.0", "0.5", "1.0")


def table_of(content: bytes) -> list[Cells]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def as_csv(rows: list[Cells]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def forged(archive: Path, output: Path, name: str, change: Callable[[list[Cells]], list[Cells]]) -> Path:
    """The archive with a file of each run's changed, and with hashes that fit."""
    contents = contents_of(archive)
    for files in contents.values():
        files[name] = as_csv(change(table_of(files[name])))
    output.mkdir(exist_ok=True)
    return pack(output, members_of(with_hashes(contents)))


def made(archive: Path, make: Make) -> list[dict[str, Any]]:
    return make(rows_of(read_runs(read_archive(archive))))


def refused(archive: Path, make: Make, line: str) -> None:
    with pytest.raises(UserError, match=line) as refusal:
        made(archive, make)
    assert "\n" not in str(refusal.value)


@pytest.fixture
def games(tmp_path: Path) -> Path:
    """The archive of two runs on text games, which were taken back."""
    folders = [write_run(tmp_path / "runs", METHOD, seed) for seed in (0, 1)]
    for folder in folders:
        take_back(folder)
    return write_evaluations(folders, tmp_path)


def take_back(folder: Path) -> None:
    """Write a curve: at alpha 1 what the run was, before that two thirds of the games lost, and no words."""
    ended = [row for row in table_of((folder / "stages.csv").read_bytes()) if row["step"] == "300"]
    learned = [row for row in ended if row["stage"] in ("0", "1", "2")]
    episodes = [
        {"alpha": alpha} | row | ({} if alpha == "1.0" or row["episode"] == "0" else {"return": "0.0"})
        for alpha in ALPHAS
        for row in learned
    ]
    first, *_, last = table_of((folder / "meters.csv").read_bytes())
    meters = [
        {"alpha": alpha} | {name: row[name] for name in METERS}
        for alpha, row in zip(ALPHAS, (first, last, last), strict=True)
    ]
    (folder / "rewind.csv").write_bytes(as_csv(meters))
    (folder / "perturbed.csv").write_bytes(as_csv([moved(draw, last) for draw in range(10)]))
    (folder / "rewind_episodes.csv").write_bytes(as_csv(episodes))


def moved(draw: int, last: Cells) -> Cells:
    """A row of a model that was moved at random, as far as training did."""
    own = {name: last[name] for name in METERS} | {"cka_nouns": str(draw / 10), "pull": str(draw / 100)}
    return {"draw": str(draw)} | own


def without(condition: Condition) -> Callable[[list[Cells]], list[Cells]]:
    return lambda rows: [row for row in rows if not condition(row)]


def test_the_archive_carries_both_files_of_a_curve(games: Path) -> None:
    names = {"rewind.csv", "rewind_episodes.csv", "perturbed.csv"}
    assert all(names <= files.keys() for files in read_archive(games).values())


@pytest.mark.parametrize(
    ("name", "change", "line"),
    [
        (
            "stages.csv",
            without(lambda row: float(row["return"]) < 1.0 and row["stage"] != "0"),
            "stages.csv has no row of step 200, stage 1, episode 0",
        ),
        (
            "stages.csv",
            without(lambda row: row["step"] == "200"),
            "stages.csv has no row of step 200, stage 0, episode 0",
        ),
        ("stages.csv", lambda rows: [*rows, rows[-1]], "stages.csv has two rows of step 300, stage 3, episode 3"),
        (
            "stages.csv",
            lambda rows: [*rows, rows[-1] | {"episode": "4"}],
            "stages.csv has a row of step 300, stage 3, episode 4, which the run has not",
        ),
        (
            "stages.csv",
            lambda rows: [*rows, *(row | {"step": "100"} for row in rows[:16])],
            "stages.csv has a row of step 100, stage 0, episode 0, which the run has not",
        ),
        (
            "stages.csv",
            lambda rows: [*rows[:-1], rows[-1] | {"episode": "7"}],
            "stages.csv has no row of step 300, stage 3, episode 3",
        ),
        ("stages.csv", lambda rows: [*rows[:-1], rows[-1] | {"return": "nan"}], "return is no finite number"),
        ("meters.csv", without(lambda row: row["step"] == "300"), "meters.csv has no row of step 300"),
        ("meters.csv", lambda rows: [*rows, rows[-1]], "meters.csv has two rows of step 300"),
        ("meters.csv", lambda rows: [*rows, rows[-1] | {"step": "400"}], "meters.csv has a row of step 400, which"),
        (
            "episodes.csv",
            without(lambda row: row["step"] == "100"),
            "episodes.csv has evaluations at other steps than every 100",
        ),
        ("episodes.csv", without(lambda row: row["step"] == "0"), "episodes.csv has no evaluation before the first st"),
    ],
)
def test_forged_rows_of_text_games_are_found(
    name: str, change: Callable[[list[Cells]], list[Cells]], line: str, games: Path, tmp_path: Path
) -> None:
    assert made(games, text_rows)[0]["seeds"] == 2
    refused(forged(games, tmp_path / "forged", name, change), text_rows, line)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "stages.csv has no column episode"),
        (b"step,stage\n0,0\n", "stages.csv has no column episode"),
        (b"step,stage,episode\n0,0,0\n0,0\n", "line 3 of stages.csv has 2 cells; expected 3"),
        (b"step,stage,episode\n0,0,0,1\n", "line 2 of stages.csv has 4 cells; expected 3"),
        (b"step,stage,episode\n\n0,0,0\n", "line 2 of stages.csv has 0 cells; expected 3"),
        (b"step,stage,episode\n0,0,zero\n", "zero"),
    ],
)
def test_a_file_that_is_no_table_is_a_line(content: bytes, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        exact_columns("stages.csv", content, PLACE, [(0, 0, 0)])


def test_evaluations_of_a_committed_table_that_lost_their_failures_are_found(tmp_path: Path) -> None:
    archive = ROOT / "results" / "text" / "demo" / EVALUATIONS
    kept = without(lambda row: float(row["return"]) == 0.0 and row["stage"] != "0")
    refused(
        forged(archive, tmp_path, "stages.csv", kept), text_rows, r"stages.csv has no row of step \d+, stage \d+, ep"
    )


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (without(lambda row: row["success"] == "0"), r"stages.csv has no row of step \d+, stage \d+, episode \d+"),
        (lambda rows: [*rows, rows[-1]], "stages.csv has two rows of"),
        (lambda rows: [*rows, rows[-1] | {"stage": "9"}], r"stages.csv has a row of step \d+, stage 9, .* has not"),
    ],
)
def test_forged_rows_of_fine_tuning_are_found(
    change: Callable[[list[Cells]], list[Cells]], line: str, tmp_path: Path
) -> None:
    archive = ROOT / "results" / "finetune" / "demo" / EVALUATIONS
    refused(forged(archive, tmp_path, "stages.csv", change), finetune_rows, line)


def test_shares_of_a_curve_are_means_over_its_episodes(games: Path) -> None:
    start, half, whole = made(games, rewind_rows)
    assert [row["alpha"] for row in (start, half, whole)] == [0.0, 0.5, 1.0]
    assert whole["seeds"] == 2
    assert [row["orig"] for row in (start, half, whole)] == [0.25, 0.25, 1.0]
    assert [row["others"] for row in (start, half, whole)] == [0.125, 0.125, 0.5]
    assert start["cka_nouns"] == 1.0
    assert whole["cka_nouns"] == pytest.approx(METERS["cka_nouns"][-1] + 0.005)


def test_a_run_that_lacks_a_file_of_its_curve_was_not_taken_back(games: Path, tmp_path: Path) -> None:
    contents = contents_of(games)
    next(iter(contents.values())).pop("rewind_episodes.csv")
    assert {row["seeds"] for row in made(pack(tmp_path, members_of(contents)), rewind_rows)} == {1}


def at(place: str, /, **cells: str) -> Callable[[list[Cells]], list[Cells]]:
    """A change of cells in the rows of an alpha."""
    return lambda rows: [row | cells if row["alpha"] == place else row for row in rows]


@pytest.mark.parametrize(
    ("name", "change", "line"),
    [
        (
            "rewind_episodes.csv",
            at("1.0", **{"return": "0.987"}),
            "episode 0 of train/orig at alpha 1 is another than in",
        ),
        (
            "rewind_episodes.csv",
            at("1.0", seed="5"),
            "episode 0 of train/orig at alpha 1 is another than in stages.csv",
        ),
        ("rewind_episodes.csv", at("0.5", **{"return": "inf"}), "return is no finite number"),
        (
            "rewind_episodes.csv",
            without(lambda row: row["return"] == "0.0"),
            "rewind_episodes.csv has no row of alpha 0, step 300, stage 0, episode 1",
        ),
        (
            "rewind_episodes.csv",
            lambda rows: [*rows, rows[-1]],
            "rewind_episodes.csv has two rows of alpha 1, step 300",
        ),
        (
            "rewind_episodes.csv",
            lambda rows: [*rows, rows[-1] | {"stage": "3"}],
            "rewind_episodes.csv has a row of alpha 1, step 300, stage 3, episode 3, which",
        ),
        ("rewind.csv", at("1.0", cka_nouns="0.9"), "cka_nouns at alpha 1 is 0.9, in meters.csv at step 300 0.5"),
        ("rewind.csv", at("0.0", drift_nouns="0.2"), "drift_nouns at alpha 0 is 0.2, in meters.csv at step 0 0.0"),
        ("rewind.csv", at("0.0", weight_change="5e-6"), "weight_change at alpha 0 is not 0"),
        ("rewind.csv", at("0.5", cka_nouns="nan"), "cka_nouns is no finite number"),
        ("rewind.csv", at("0.5", alpha="1.5"), "the alphas of rewind.csv do not rise from 0 to 1"),
        ("rewind.csv", at("1.0", alpha="0.75"), "the alphas of rewind.csv do not rise from 0 to 1"),
        ("rewind.csv", lambda rows: rows[1:], "the alphas of rewind.csv do not rise from 0 to 1"),
        ("rewind.csv", lambda rows: [*rows[:1], *rows[2:]], "rewind_episodes.csv has a row of alpha 0.5, step 300"),
        (
            "rewind.csv",
            lambda rows: [{name: row[name] for name in row if name != "weight_change"} for row in rows],
            "rewind.csv has other meters than meters.csv",
        ),
        ("stages.csv", without(lambda row: row["step"] == "200"), "stages.csv has no row of step 200"),
        ("meters.csv", without(lambda row: row["step"] == "0"), "meters.csv has no row of step 0"),
    ],
)
def test_a_forged_curve_is_found(
    name: str, change: Callable[[list[Cells]], list[Cells]], line: str, games: Path, tmp_path: Path
) -> None:
    refused(forged(games, tmp_path / "forged", name, change), rewind_rows, line)


def test_a_row_of_moves_at_random_has_means_over_draws(games: Path) -> None:
    (row,) = made(games, random_rows)
    assert row["seeds"] == 2
    assert row["cka_nouns"] == pytest.approx(0.45)
    assert row["weight_change"] == pytest.approx(METERS["weight_change"][-1] + 0.005)
    assert row["pull"] == pytest.approx(0.045)
    assert row["pull_spread"] == pytest.approx(0.01 * (10 * 11 / 12) ** 0.5)
    assert row["pull_beyond_reading_spread"] is None


@pytest.mark.parametrize(
    ("name", "change", "line"),
    [
        ("perturbed.csv", lambda rows: rows[1:], "perturbed.csv has no row of draw 0"),
        ("perturbed.csv", lambda rows: [*rows, rows[-1]], "perturbed.csv has two rows of draw 9"),
        (
            "perturbed.csv",
            lambda rows: [*rows, rows[-1] | {"draw": "10"}],
            "has a row of draw 10, which the run has not",
        ),
        (
            "perturbed.csv",
            lambda rows: [rows[0] | {"weight_change": "0.5"}, *rows[1:]],
            "weight_change of draw 0 is 0.5, in meters.csv at the end 0.0",
        ),
        ("perturbed.csv", lambda rows: [row | {"pull": "nan"} for row in rows], "pull is no finite number"),
        ("perturbed.csv", lambda rows: [row | {"pull": "1.5"} for row in rows], "it holds correlations beyond 1"),
        (
            "perturbed.csv",
            lambda rows: [{name: row[name] for name in row if name != "cka_nouns"} for row in rows],
            "perturbed.csv has other meters than meters.csv",
        ),
        ("meters.csv", without(lambda row: row["step"] == "0"), "meters.csv has no row of step 0"),
    ],
)
def test_forged_moves_are_found(
    name: str, change: Callable[[list[Cells]], list[Cells]], line: str, games: Path, tmp_path: Path
) -> None:
    refused(forged(games, tmp_path / "forged", name, change), random_rows, line)
