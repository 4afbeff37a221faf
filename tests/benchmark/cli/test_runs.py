"""`lamobench runs` as a user types it."""

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lamobench.benchmark.cli import main as cli
from lamobench.benchmark.cli import runs as runs_command
from lamobench.benchmark.cli.runs import find_run
from lamobench.benchmark.runs.records import read_config
from lamobench.benchmark.runs.store import open_run
from lamobench.benchmark.scores.collect import read_finished
from lamobench.datasets.errors import UserError

Run = Callable[..., str]


@pytest.fixture
def run(copied_runs: Path, monkeypatch: pytest.MonkeyPatch, typed: Run) -> Run:
    """Runs the command line where `runs` is."""
    monkeypatch.chdir(copied_runs.parent)
    return typed


def of_seed(root: Path, seed: int) -> Path:
    return next(iter(root.glob(f"*-s{seed}-*")))


def test_the_list_says_what_runs_are_and_how_far(run: Run, copied_runs: Path) -> None:
    rows = json.loads(run("runs", "list", "--json"))
    finished = rows[0]
    half_way = rows[2]
    assert [row["seed"] for row in rows] == [0, 1, 2]
    assert (finished["dataset"], finished["method"], finished["fraction"]) == ("reacher2d-medium", "bc", 1.0)
    assert (finished["step"], finished["steps"], finished["status"]) == (20, 20, "finished")
    assert finished["score"] == read_finished(of_seed(copied_runs, 0)).result.score
    assert (half_way["step"], half_way["steps"], half_way["status"], half_way["score"]) == (10, 20, "unfinished", None)
    head, *lines = run("runs", "list").splitlines()
    assert head.split() == ["run", "dataset", "method", "fraction", "seed", "step", "steps", "score", "status"]
    assert re.search(r"bc +1 +2 +10 +20 +- +unfinished$", lines[2])


def test_the_list_names_what_is_wrong(run: Run, copied_runs: Path) -> None:
    (of_seed(copied_runs, 0) / "episodes.csv").write_text("")
    (of_seed(copied_runs, 1) / "config.json").write_text("{")
    (of_seed(copied_runs, 2) / "metrics.jsonl").write_text('{"step": 10}\n{"st')
    rows = json.loads(run("runs", "list", "--json"))
    states = {row["run"].split("-")[-2]: row["status"] for row in rows}
    assert states == {"s0": "damaged", "s1": "damaged", "s2": "unfinished"}
    assert all("\n" not in row["problem"] for row in rows)
    assert "episodes.csv has 0 bytes instead of" in run("runs", "list")
    failure = {
        "message": f"run {of_seed(copied_runs, 2).name}: ValueError: shapes do not fit (after step 10)",
        "step": 10,
    }
    (of_seed(copied_runs, 2) / "failed.json").write_text(json.dumps(failure))
    assert re.search(r" failed +ValueError: shapes do not fit", run("runs", "list"))
    with pytest.raises(UserError, match=r"no runs in 'elsewhere'"):
        run("runs", "list", "--runs", "elsewhere")


def test_export_and_import_of_all_that_is_finished(
    run: Run, copied_runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    cli.parse(["runs", "export", "all.tar"]).run()
    output, errors = capsys.readouterr()
    assert re.fullmatch(r"all\.tar: 2 runs, 10 files, 0\.\d MB\n", output)
    assert errors.startswith(f"left out: {of_seed(copied_runs, 2).name}: unfinished; name it")
    assert run("runs", "import", "all.tar", "--runs", "there") == "2 runs imported to there, 0 there already\n"
    assert run("runs", "import", "all.tar", "--runs", "there") == "0 runs imported to there, 2 there already\n"
    assert len(json.loads(run("runs", "import", "all.tar", "--runs", "there", "--json"))["there"]) == 2


def test_runs_are_named_by_id_or_by_folder(run: Run, copied_runs: Path) -> None:
    named = (of_seed(copied_runs, 2).name, f"runs/{of_seed(copied_runs, 0).name}")
    assert run("runs", "export", "two.tar", *named).startswith("two.tar: 2 runs, 9 files")
    small = run("runs", "export", "small.tar", named[1], "--without-checkpoints")
    assert small.startswith("small.tar: 1 run, 4 files")
    with pytest.raises(UserError, match=r"there is no run 'no-such' in runs; `lamobench runs list --runs runs` shows"):
        run("runs", "export", "three.tar", "no-such")
    with pytest.raises(UserError, match=r"there is no run '' in runs"):
        run("runs", "export", "three.tar", "")


def test_remove(run: Run, copied_runs: Path) -> None:
    first = of_seed(copied_runs, 0)
    second = of_seed(copied_runs, 1)
    with pytest.raises(UserError, match="there is no run 'no-such'"):
        run("runs", "remove", first.name, "no-such")
    assert first.is_dir()
    with open_run(copied_runs, read_config(first)), pytest.raises(UserError, match="being worked on"):
        run("runs", "remove", first.name)
    assert first.is_dir()
    assert run("runs", "remove", first.name, first) == f"removed {first.name}\n"
    assert not first.exists()
    assert second.is_dir()
    assert not list(copied_runs.glob(".removed*"))
    (second / "config.json").write_text("{")  # what is damaged can be removed too
    run("runs", "remove", second.name)
    assert not second.exists()
    (copied_runs.parent / "model").mkdir()
    (copied_runs.parent / "model" / "config.json").write_text("{}")
    with pytest.raises(UserError, match="there is no run 'model'"):  # a language model, for instance
        run("runs", "remove", "model")
    with pytest.raises(UserError, match=r"there is no run '\.'"):
        run("runs", "remove", ".")


def test_what_a_killed_removal_left_goes_with_the_next(run: Run, copied_runs: Path) -> None:
    first = of_seed(copied_runs, 0)
    second = of_seed(copied_runs, 1)
    child = os.fork()
    if child == 0:
        runs_command.rmtree = lambda _: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[attr-defined]
        run("runs", "remove", first.name)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert not first.exists()
    assert list(copied_runs.glob(".removed.*/*/config.json"))
    run("runs", "remove", second.name)
    assert [path.name for path in copied_runs.iterdir()] == [of_seed(copied_runs, 2).name]


@pytest.fixture
def nested(copied_runs: Path) -> Path:
    """The runs, in a folder inside the folder of the runs, as `make` leaves them."""
    copied_runs.rename(copied_runs.parent / "demo")
    copied_runs.mkdir()
    return (copied_runs.parent / "demo").rename(copied_runs / "demo")


def test_nested_runs_are_listed(run: Run, nested: Path) -> None:
    assert [row["step"] for row in json.loads(run("runs", "list", "--json"))] == [20, 20, 10]


def test_nested_runs_are_exported(run: Run, nested: Path) -> None:
    assert run("runs", "export", "all.tar").startswith("all.tar: 2 runs, 10 files")
    assert run("runs", "export", "one.tar", of_seed(nested, 2).name).startswith("one.tar: 1 run, 4 files")


def test_nested_runs_are_removed(run: Run, nested: Path) -> None:
    first = of_seed(nested, 0)
    assert run("runs", "remove", first.name) == f"removed {first.name}\n"
    assert not first.exists()


def test_nested_runs_are_pushed(run: Run, nested: Path, home: Path) -> None:
    name = of_seed(nested, 0).name
    assert run("hub", "push", name, "./policy") == f"{name} is published: ./policy\n"


def test_nested_runs_have_event_files(run: Run, nested: Path) -> None:
    pytest.importorskip("tensorboard")
    assert "3 runs; to look at them: tensorboard --logdir runs/tensorboard" in run("runs", "tensorboard")
    assert run("runs", "tensorboard", of_seed(nested, 0).name).startswith("0 new points of 1 run")
    assert [row["step"] for row in json.loads(run("runs", "list", "--json"))] == [20, 20, 10]  # the same runs


def test_of_two_of_one_name_the_finished_one_is_found(run: Run, nested: Path) -> None:
    finished = of_seed(nested, 0)
    other = Path(shutil.copytree(finished, nested.parent / "another" / finished.name))
    (other / "done.json").unlink()
    assert find_run(finished.name, nested.parent) == finished


def test_what_was_set_aside_is_counted_and_can_be_removed(
    run: Run, nested: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = of_seed(nested, 0)
    aside = first.rename(first.with_name(f"{first.name}.broken-1"))
    cli.parse(["runs", "list", "--json"]).run()
    output, errors = capsys.readouterr()
    assert len(json.loads(output)) == 2
    assert errors == (
        f"1 damaged folder set aside, e.g. {aside.name}; to delete one: lamobench runs remove {aside.name}\n"
    )
    with pytest.raises(UserError, match="there is no run"):  # removed, and nothing else
        run("runs", "export", "one.tar", aside.name)
    assert run("runs", "remove", aside.name) == f"removed {aside.name}\n"
    assert not aside.exists()


def test_a_bad_archive_ends_in_one_line_and_status_2(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.tar").write_bytes(b"x" * 600)
    monkeypatch.setattr(sys, "argv", ["lamobench", "runs", "import", "bad.tar"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lamobench: bad.tar can't be imported: it is no tar, or damaged")
