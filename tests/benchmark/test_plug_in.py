"""A method and a track of somebody else's package, through the public registry and entry points alone."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from inspect import signature
from pathlib import Path
from types import ModuleType

import pytest
import torch

from lamobench.benchmark.finetune import track as finetune
from lamobench.benchmark.offline import track as offline
from lamobench.benchmark.runs.method import Method
from lamobench.benchmark.runs.methods import METHODS, find_method
from lamobench.benchmark.runs.tracks import TRACKS, Track, Wanted, Work, find_track
from lamobench.benchmark.text import track as text
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.cut_short import assert_same_run

PACKAGE = Path(__file__).with_name("bandit_track.py")
PROGRAM = "from lamobench.benchmark.cli.program import main; main()"
ENTRY_POINTS = "[lamobench.methods]\ngreedy = bandit_track:GREEDY\n[lamobench.tracks]\nbandit = bandit_track:TRACK\n"


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The environment of a process in which the package is installed."""
    site = tmp_path / "site"
    about = tmp_path / "site" / "bandit_track-1.0.dist-info"
    about.mkdir(parents=True)
    shutil.copy(PACKAGE, site)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: bandit-track\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])}


def run(environment: dict[str, str], folder: Path, *arguments: object) -> str:
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sweep(runs: str, steps: int = 400, seeds: Sequence[int] = (0, 1, 2)) -> list[object]:
    return [
        "sweep",
        "two-armed",
        "--track",
        "bandit",
        "--seeds",
        *seeds,
        "--steps",
        steps,
        "--jobs",
        1,
        "--runs",
        runs,
    ]


def test_a_track_of_another_package_is_swept_ranked_and_reported(installed: dict[str, str], tmp_path: Path) -> None:
    assert "3 of 3 runs done" in run(installed, tmp_path, *sweep("runs"))
    assert "3 of 3 runs done" in run(installed, tmp_path, *sweep("runs")), "nothing is done twice"
    table = run(installed, tmp_path, "leaderboard", "--runs", "runs", "--output", "board")
    assert table.startswith("two-armed (cpu profile, 3 seeds): score, 0 to 100, with 95 % interval\n\nmethod  score\n")
    with (tmp_path / "board" / "leaderboard.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["track"], row["task"], row["method"], row["seeds"]) == ("bandit", "two-armed", "greedy", "3")
    assert float(row["score_mean"]) > 50, "the better arm is found"
    assert (tmp_path / "board" / "scores.png").is_file()
    assert "3 runs, 1 task, " in run(installed, tmp_path, "report", "--runs", "runs", "--output", "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "Greedy" in page
    assert "two-armed" in page
    assert "of the data" not in page
    (name, *_) = sorted(path.name for path in (tmp_path / "runs").iterdir() if path.name.startswith("two-armed"))
    assert json.loads((tmp_path / "runs" / name / "config.json").read_text())["track"] == "bandit"
    assert "greedy" in run(installed, tmp_path, "runs", "list", "--runs", "runs")


def test_a_killed_run_of_another_track_goes_on_to_the_same_numbers(installed: dict[str, str], tmp_path: Path) -> None:
    steps = 400_000  # seconds
    run(installed, tmp_path, *sweep("whole", steps, [0]))
    command = [sys.executable, "-c", PROGRAM, *map(str, sweep("killed", steps, [0]))]
    process = subprocess.Popen(command, cwd=tmp_path, env=installed, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "killed").glob("two-armed*/checkpoint.safetensors")) and time.monotonic() < deadline:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    run(installed, tmp_path, *sweep("killed", steps, [0]))
    for whole in (tmp_path / "whole").glob("two-armed*"):
        assert_same_run(tmp_path / "killed" / whole.name, whole)


def test_a_package_that_is_gone_leaves_runs_that_say_so(installed: dict[str, str], tmp_path: Path) -> None:
    run(installed, tmp_path, *sweep("runs"))
    listed = run(dict(os.environ), tmp_path, "runs", "list", "--runs", "runs")
    assert listed.count("damaged") == 3
    assert "no track 'bandit' is known here" in listed


def test_a_package_that_can_t_be_imported_is_left_out(installed: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "site" / "bandit_track.py").write_text("1 / 0")
    command = [sys.executable, "-c", PROGRAM, "doctor", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=installed, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "plug-in bandit_track:GREEDY is left out (ZeroDivisionError: division by zero)" in done.stderr


@pytest.fixture
def restored() -> Iterator[None]:
    """Bring both registries back to what they held."""
    before = dict(METHODS), dict(TRACKS)
    yield
    for registry, rows in zip((METHODS, TRACKS), before, strict=True):
        registry.clear()
        registry.update(rows)


@pytest.mark.usefixtures("restored")
def test_rows_are_registered_once() -> None:
    mine = Method("mine", "Mine", "of my own", "my.module:Policy", "my.module:Config", "mine")
    METHODS.register(mine)
    assert find_method("mine") is mine
    with pytest.raises(ValueError, match="there is a method 'mine' already"):
        METHODS.register(mine)
    track = Track("mine", "mine", "my.module:Config", "my.module:find_task", "my.module")
    TRACKS.register(track)
    assert find_track("mine") is track
    with pytest.raises(ValueError, match="there is a track 'mine' already"):
        TRACKS.register(track)
    with pytest.raises(UserError, match="no track 'others' is known here"):
        find_track("others")


@pytest.mark.parametrize("track", [offline, finetune, text])
def test_a_track_has_everything_that_the_harness_asks_of_one(track: ModuleType) -> None:
    asked = {name: work for name, work in vars(Work).items() if callable(work) and not name.startswith("_")}
    assert set(asked) == set(track.__all__)
    for name, work in asked.items():
        assert list(signature(work).parameters)[1:] == list(signature(getattr(track, name)).parameters), name


@pytest.mark.usefixtures("restored")
def test_checkpoints_of_the_toy_hold_what_was_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PACKAGE.parent)
    import bandit_track

    TRACKS.register(bandit_track.TRACK)
    METHODS.register(bandit_track.GREEDY)
    (config,) = bandit_track.resolve(Wanted("two-armed", seeds=(0,)))
    assert bandit_track.train((config,), tmp_path, "cpu", lambda *_: None, print) == {}
    means = bandit_track.weights(tmp_path / config.id)["policy.means"]
    assert torch.isfinite(means).all()
    assert means[1] > means[0]
