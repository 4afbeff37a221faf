"""Tables made again: equal to the harness's on runs of every kind, and a changed digit is found on either side."""

import csv
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lamobench.benchmark.cli import main as cli
from lamobench.benchmark.recompute.check import check_folder
from lamobench.benchmark.runs.layout import EVALUATIONS
from lamobench.datasets.csv_text import read_csv
from lamobench.datasets.storage import write_rows
from lamobench.tests.benchmark.recompute.archives import contents_of, members_of, pack, with_hashes, write_measured_run
from lamobench.tests.test_house import ROOT, import_graph

FORMER = ROOT / "tests" / "benchmark" / "runs" / "former"
TABLES = ("aggregates.csv", "comparisons.csv", "leaderboard.csv")
LANGUAGE = {"lm": "gpt2-mini", "lm_hash": "a" * 64}
# Modules of the harness that may be imported: what a file format means, never what ranks.
FORMATS = {"benchmark.runs.layout", "benchmark.runs.methods", "benchmark.runs.tracks"}


def rank(runs: Path, output: Path) -> None:
    """Write the tables and the archive of the runs."""
    with pytest.MonkeyPatch.context() as patch:
        command = ["lamobench", "leaderboard", "--runs", str(runs), "--output", str(output), "--no-figures"]
        patch.setattr(sys, "argv", [*command, "--archive"])
        cli.main()


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of former runs as they are ranked now, with their archive. Not to be changed."""
    folder = tmp_path_factory.mktemp("former") / "results"
    rank(FORMER / "runs", folder)
    return folder


@pytest.fixture
def results(former: Path, tmp_path: Path) -> Path:
    """A copy of the tables and the archive of former runs."""
    return Path(shutil.copytree(former, tmp_path / "results"))


def faults(folder: Path) -> list[str]:
    return [f"{checked.path.name}: {fault}" for checked in check_folder(folder) for fault in checked.faults]


def replace_in(path: Path, pattern: str, text: str) -> None:
    content = path.read_text()
    assert re.search(pattern, content)
    path.write_text(re.sub(pattern, text, content, count=1))


COMMITTED = sorted(path.parent for path in (ROOT / "results").rglob(EVALUATIONS))


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.name)
def test_committed_tables_are_what_their_evaluations_say(folder: Path) -> None:
    checked = check_folder(folder)
    assert {"leaderboard.csv", "aggregates.csv"} <= {each.path.name for each in checked if each.cells}
    assert [fault for each in checked for fault in each.faults] == []


def test_tables_of_an_older_tree_are_made_again(results: Path) -> None:
    """Tables in `former/expected/`, which another tree wrote: every cell."""
    for path in (FORMER / "expected").glob("*.csv"):
        (results / path.name).write_bytes(path.read_bytes())
    assert faults(results) == []
    assert all(checked.cells == _cells(checked.path) > 0 for checked in check_folder(results))


def _cells(path: Path) -> int:
    rows = list(csv.reader(path.open()))
    return sum(map(len, rows[1:]))


@pytest.mark.parametrize("seed", range(2))
def test_random_runs_give_the_same_tables_as_the_harness(seed: int, tmp_path: Path) -> None:
    """Data sets with unequal seeds, variants, seeds that collapse, ties, held-out errors, models, published scores."""
    rng = np.random.default_rng(seed)
    for changes in _settings(rng):
        for own in range(int(rng.integers(1, 7))):
            level = rng.choice([5.0, 60.0]) if rng.random() < 0.4 else 50.0
            returns = np.round(rng.normal(level, 4.0, size=(4, 5)), int(rng.integers(0, 4)))
            errors = rng.uniform(0.1, 0.4, size=3) if rng.random() < 0.9 else ()
            write_measured_run(tmp_path / "runs", returns.tolist(), list(errors), seed=own, **changes)
    rank(tmp_path / "runs", tmp_path / "results")
    checked = check_folder(tmp_path / "results")
    assert [each.path.name for each in checked] == list(TABLES)
    assert all(each.cells for each in checked)
    assert faults(tmp_path / "results") == []


def _settings(rng: np.random.Generator) -> Iterator[dict[str, object]]:
    tasks = {"reacher2d-medium-large": "reacher2d", "hopper-medium": "hopper", "kitchen-complete": "kitchen"}
    for dataset, task in tasks.items():
        for fraction in (0.1, 1.0):
            at = {"dataset": dataset, "task": task, "fraction": fraction, "target_returns": [76.0]}
            yield at | {"method": "lamo"} | LANGUAGE
            yield at | {"method": "lamo-random", "lm": "gpt2-mini", "lm_hash": f"{rng.integers(10**9)}"}
            yield at | {"method": "dt", "policy": {"layers": 3, "decay": "cosine"}}
            if rng.random() < 0.6:
                yield at | {"method": "dt", "policy": {"layers": int(rng.integers(4, 6)), "decay": "cosine"}}
                yield at | {"method": "bc", "profile": "paper", "source": str(rng.choice(["minari", "d4rl"]))}
            if rng.random() < 0.5:
                yield at | {"method": "bc", "dataset_hash": str(rng.choice(["d" * 64, "e" * 64]))}
    yield {"method": "cql", "legacy": ["best-target"], "target_returns": [76.0, 38.0]}


@pytest.mark.parametrize(
    ("name", "pattern", "text", "fault"),
    [
        ("leaderboard.csv", "15.292,1.502", "15.293,1.502", "score_mean is 15.293, recomputed 15.292 "),
        ("leaderboard.csv", "8.655,22.509", "8.655,22.508", "ci_high is 22.508, recomputed 22.509 "),
        ("leaderboard.csv", ",bc-10,", ",bc-20,", "a row has no evaluations .*method bc-20"),
        ("leaderboard.csv", "not comparable: their", "comparable: their", "comparison is comparable: their"),
        ("aggregates.csv", ",1\\.625,", ",1.62,", "mean is 1.62, recomputed 1.625 "),
        ("comparisons.csv", ",0.6424\n", ",0.6425\n", "probability_high is 0.6425, recomputed 0.6424 "),
        ("comparisons.csv", "\n[^\n]*,dt,[^\n]*", "", "a row is missing .*other dt"),
        ("comparisons.csv", "(\n[^\n]*,dt,[^\n]*)", r"\1\1", "a row stands twice .*other dt"),
        ("comparisons.csv", "probability_low", "chance_low", "column chance_low is not made of evaluations here"),
    ],
)
def test_a_changed_table_is_found(results: Path, name: str, pattern: str, text: str, fault: str) -> None:
    replace_in(results / name, pattern, text)
    first, *_ = faults(results)
    assert re.match(f"{name}: {fault}", first), first


@pytest.mark.parametrize("column", ["coefficient", "recovery_step", "far_least_low", "area", "area_gain_high"])
def test_a_changed_number_of_fine_tuning_is_found(column: str, tmp_path: Path) -> None:
    for path in (ROOT / "results" / "finetune" / "demo").iterdir():
        if path.suffix == ".csv" or path.name == EVALUATIONS:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    board = tmp_path / "finetune.csv"
    rows = read_csv(board)
    place = next(place for place, row in enumerate(rows) if row[column])
    rows[place][column] = f"{1.01 * float(rows[place][column]) + 0.01:.4g}"
    write_rows(board, rows)
    (found,) = faults(tmp_path)
    assert found.startswith(f"finetune.csv: {column} is {rows[place][column]}, recomputed "), found


def test_a_changed_return_in_the_archive_is_found_by_what_it_does(results: Path) -> None:
    """Every hash is made to fit: the numbers alone tell."""
    contents = contents_of(results / EVALUATIONS)
    run = next(name for name in contents if name.startswith("reacher2d-medium-1-bc-s0"))
    *before, last, length = contents[run]["episodes.csv"].rsplit(b",", 2)
    changed = last.replace(last[:1], b"9", 1)
    assert changed != last
    contents[run]["episodes.csv"] = b",".join([*before, changed, length])
    pack(results, members_of(with_hashes(contents)))
    found = faults(results)
    assert any(re.match("leaderboard.csv: score_mean .*method bc,", fault) for fault in found), found
    assert {fault.split(":")[0] for fault in found} == set(TABLES)


def test_a_run_that_is_left_out_of_the_archive_is_found(results: Path) -> None:
    contents = contents_of(results / EVALUATIONS)
    del contents[next(name for name in contents if name.startswith("reacher2d-medium-1-bc-s0"))]
    pack(results, members_of(contents))
    assert any(fault.startswith("leaderboard.csv: seeds is 3, recomputed 2") for fault in faults(results))


def test_a_tie_may_be_rounded_either_way(tmp_path: Path) -> None:
    """A mean of 0.0625 lies between 0.062 and 0.063; the sum's last bit decides, not the evaluations."""
    write_measured_run(tmp_path / "runs", [[0.0625, 0.0625]] * 3)
    rank(tmp_path / "runs", tmp_path / "results")
    board = tmp_path / "results" / "leaderboard.csv"
    for digits, agrees in (("0.062", True), ("0.063", True), ("0.061", False), ("0.064", False), ("0.0625", False)):
        text = board.read_text()
        board.write_text(re.sub(r",0\.06\d+,,", f",{digits},,", text, count=1))
        assert (faults(tmp_path / "results") == []) == agrees, digits
        board.write_text(text)


def test_the_command_says_what_agrees_and_what_does_not(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (results / "own.csv").write_text("a,b\n1,2\n")
    monkeypatch.setattr(sys, "argv", ["lamobench", "recompute", str(results.parent)])
    cli.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(TABLES) + 1
    assert lines[-1] == f"{results}/own.csv: not checked: nothing makes such a table of evaluations"
    assert all(line.endswith(" cells, as recomputed") for line in lines[:-1])
    replace_in(results / "leaderboard.csv", "15.292,1.502", "15.293,1.502")
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith("  ")).startswith(
        "  score_mean is 15.293, recomputed 15.292 ("
    )
    assert f"{results}/leaderboard.csv: 10 rows, {_cells(results / 'leaderboard.csv')} cells, 1 fault" in lines


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_folder_without_an_archive_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["lamobench", "recompute", str(tmp_path / name)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert re.fullmatch(r"lamobench: there is no \S+ .*\n", capsys.readouterr().err)


def test_it_imports_file_formats_and_nothing_that_ranks() -> None:
    graph = import_graph(ROOT, "benchmark")
    own = {module for module in graph if module.startswith("benchmark.recompute.")}
    imported = {name for module in own for name in graph[module] if name.startswith("benchmark.")} - own
    assert imported == FORMATS


def test_nothing_that_ranks_is_loaded_where_tables_are_made_again(former: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from lamobench.benchmark.recompute.check import check_folder\n"
        f"assert sum(checked.cells for checked in check_folder(Path({str(former)!r}))) > 0\n"
        "print(*(name for name in sys.modules if name.startswith('lamobench.benchmark.')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    rooms = {name.split(".")[2] for name in done.stdout.split()}
    assert rooms == {"recompute", "runs", "offline"}, done.stderr  # of the last, its runs' configuration
