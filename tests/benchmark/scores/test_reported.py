"""The files of published numbers: complete, whole, and in agreement with the averages printed beside them."""

import csv
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from lamobench.benchmark.runs.methods import METHODS
from lamobench.benchmark.scores import reported
from lamobench.benchmark.scores.reported import (
    FILES,
    REPORTED,
    papers,
    published_rows,
    published_scores,
    published_tables,
    read_reported,
)
from lamobench.datasets.entries import DATASETS
from lamobench.datasets.errors import UserError
from lamobench.datasets.tasks import TASKS

# Table: cells, and the sums of their scores and spreads, from another reading of the paper's text.
LAMO_TABLES = {
    "1": (9 * 7, "1171.4", "206.1"),
    "2": (6 * 7, "3455.7", "1156.8"),
    "3": (12 * 7, "4202.0", "346.2"),
    "8": (3 * 5, "258.6", "37.9"),
    "9": (3 * 7, "2032.1", "3.2"),
    "10": (2 * 6, "471.5", "40.1"),
    "11": (3 * 6, "1256.3", "96.0"),
    "12": (9 * 2, "883.8", "0"),
    "13": (2 * 7, "643.9", "0"),
    "15": (9 * 3, "824.7", "137.7"),
    "16": (12 * 3, "1881.9", "136.0"),
}
# What the averages of a table are over.
SELECTED: dict[str, Callable[[float], bool]] = {
    "all": lambda fraction: True,
    "fraction 1": lambda fraction: fraction == 1.0,
    "fractions below 1": lambda fraction: fraction < 1.0,
}


def of_paper(paper: str) -> list[dict[str, str]]:
    return [row for row in read_reported() if row["paper"] == paper]


def read_averages(paper: str) -> list[dict[str, str]]:
    with (REPORTED / f"{paper}_averages.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("table", LAMO_TABLES)
def test_every_table_of_lamo_is_there_in_full(table: str) -> None:
    cells = [row for row in of_paper("lamo") if row["table"] == table]
    scores, spreads = (sum((Decimal(row[key] or "0") for row in cells), Decimal()) for key in ("score", "std"))
    expected = LAMO_TABLES[table]
    assert (len(cells), scores, spreads) == (expected[0], Decimal(expected[1]), Decimal(expected[2]))


def test_no_other_table_and_no_cell_twice() -> None:
    assert {row["table"] for row in of_paper("lamo")} == set(LAMO_TABLES)
    keys = [
        (row["paper"], row["table"], row["dataset"], row["fraction"], row["method"], row["variant"])
        for row in read_reported()
    ]
    assert len(set(keys)) == len(keys) == sum(count for count, _, _ in LAMO_TABLES.values()) + 9 * 7 + 6 * 2 + 2


def test_rows_speak_the_names_of_this_project() -> None:
    for row in read_reported():
        assert row["task"] in TASKS
        assert DATASETS[row["dataset"]].task == row["task"]
        assert row["method"] in {*METHODS, "diffusion-ql"}
        assert 0.0 < float(row["fraction"]) <= 1.0
        assert row["lm"] in ("", "gpt2", "gpt2-medium")
        assert float(row["std"] or 0.0) >= 0.0
        assert -10.0 < float(row["score"]) < 500.0
        assert ";" not in row["not_comparable"]  # reasons are listed with semicolons


def test_every_file_of_numbers_is_read_and_every_paper_is_described() -> None:
    files = {path.name for path in REPORTED.glob("*.csv") if not path.name.endswith("_averages.csv")}
    of_finetuning = {"finetuning.csv", "finetuning_orderings.csv"}  # which have tests of their own
    assert files == {*FILES, "papers.csv"} | of_finetuning
    assert {row["paper"] for row in read_reported()} == set(papers())
    readme = (REPORTED / "README.md").read_text()
    assert all(f"`{path.name}`" in readme for path in REPORTED.glob("*.csv"))


def test_tables_that_repeat_a_cell_agree() -> None:
    seen: dict[tuple[str, str, str, str], set[tuple[str, str]]] = {}
    for row in of_paper("lamo"):
        key = (row["dataset"], row["fraction"], row["method"], row["variant"])
        seen.setdefault(key, set()).add((row["score"], row["lm"]))
    assert {key: values for key, values in seen.items() if len(values) > 1} == {}


def means_beside_printed(paper: str) -> list[tuple[float, dict[str, str]]]:
    """The difference of each printed average from the mean of the printed scores."""
    found = []
    for printed in read_averages(paper):
        cells = [
            row for row in of_paper(paper) if (row["table"], row["method"]) == (printed["table"], printed["method"])
        ]
        scores = [float(row["score"]) for row in cells if SELECTED[printed["rows"]](float(row["fraction"]))]
        found.append((float(np.mean(scores)) - float(printed["average"]), printed))
    return found


def test_lamo_s_averages_agree_with_its_cells() -> None:
    """Scores and averages are rounded to 0.1 each; six averages are off by more, as the folder's README says."""
    found = means_beside_printed("lamo")
    assert len(found) == len(read_averages("lamo")) == 3 * 14 + 5 + 7 + 2 * 3
    assert max(abs(difference) for difference, _ in found) < 0.07
    off = {(p["table"], p["rows"], p["method"]) for difference, p in found if abs(difference) > 0.0501}
    assert off == {
        ("2", "fraction 1", "discrete-cql"),
        ("2", "fraction 1", "bcq"),
        *(("2", "fractions below 1", method) for method in ("dt", "wiki-rl", "bc")),
        ("3", "fraction 1", "iql"),
    }


def test_corl_s_averages_agree_with_its_cells() -> None:
    found = means_beside_printed("corl")
    assert len(found) == 7
    assert max(abs(difference) for difference, _ in found) < 0.0051


def test_the_reruns_by_hand() -> None:
    rerun = {(row["dataset"], row["variant"]): row["score"] for row in of_paper("lamo-rerun")}
    assert rerun["kitchen-partial", "language loss"] == "30.34"
    assert rerun["kitchen-partial", ""] == "42.19"
    assert rerun["walker2d-medium", ""] == "72.4"
    assert {row["fraction"]: row["score"] for row in of_paper("lamo-logs")} == {"0.1": "77.8", "1": "81.3"}


def test_a_score_that_several_tables_print_is_one_score() -> None:
    (lamo, *_) = published_scores()["hopper-medium", 0.01, "lamo"]
    assert (lamo.tables, lamo.score, lamo.std) == ("3, 12, 16", 52.0, 4.6)
    usual, best = (p for p in published_scores()["kitchen-partial", 1.0, "dt"] if p.paper == "lamo")
    assert (usual.tables, usual.score, best.tables, best.score) == ("1, 15", 33.8, "13", 59.8)


def test_a_data_set_s_rows_are_those_of_the_files() -> None:
    assert published_rows("pong-medium") == [row for row in read_reported() if row["dataset"] == "pong-medium"]
    assert published_rows("seaquest-medium") == []
    assert published_tables("seaquest-medium") == {}


def test_each_paper_has_a_table_with_a_row_a_method_and_a_column_a_fraction() -> None:
    tables = published_tables("hopper-medium")
    assert list(tables) == ["LaMo", "CORL", "rerun", "authors' log"]
    assert list(tables["LaMo"][0]) == ["method", "0.5 %", "1 %", "10 %", "100 %"]
    rows = {row["method"]: row for row in tables["LaMo"]}
    assert list(rows)[:2] == ["lamo", "lamo-initialised"]  # ours first, in their order of display
    assert rows["lamo"] == {
        "method": "lamo",
        "0.5 %": "57.0 ±7.1",
        "1 %": "52.0 ±4.6",
        "10 %": "73.7 ±3.5",
        "100 %": "74.1 ±5.3",
    }
    assert (rows["diffusion-ql"]["1 %"], rows["diffusion-ql"]["100 %"]) == ("35.7", "-")
    assert tables["rerun"] == [{"method": "lamo", "100 %": "46.7", "100 % (language loss)": "46.0"}]


def test_another_metric_has_a_column_of_its_own() -> None:
    rows = {row["method"]: row for row in published_tables("kitchen-partial")["LaMo"]}
    assert list(rows["dt"]) == ["method", "1 %", "10 %", "100 %", "100 % (best 3)"]
    assert (rows["dt"]["100 %"], rows["dt"]["100 % (best 3)"]) == ("33.8 ±14.5", "59.8")


def test_no_cell_of_the_files_is_lost() -> None:
    for dataset in {row["dataset"] for row in read_reported()}:
        for title, table in published_tables(dataset).items():
            rows = [row for row in published_rows(dataset) if papers()[row["paper"]].title == title]
            cells = sum(value != "-" for row in table for key, value in row.items() if key != "method")
            assert cells == len({(row["method"], row["fraction"], row["variant"]) for row in rows})


def test_a_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reported, "REPORTED", tmp_path)
    with pytest.raises(UserError, match=r"expected '.*lamo\.csv'; install lamobench again"):
        read_reported.__wrapped__()
