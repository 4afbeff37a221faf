import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.cli.watch import NARROWEST, describe, find_sweeps, last_score, watch
from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.runs.layout import EVENTS
from lamobench.benchmark.runs.store import run_folder
from lamobench.benchmark.sweep.estimate import kind
from lamobench.benchmark.sweep.plan import make_plan
from lamobench.benchmark.sweep.record import FOLDER, Record
from lamobench.benchmark.sweep.state import State
from lamobench.datasets.errors import UserError

Requests = Callable[..., RunRequest]


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of any width: whoever starts the tests may set one."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def runs(tiny_request: Requests) -> list[OfflineConfig]:
    request = tiny_request("bc")
    return [resolve(replace(request, seed=seed)) for seed in range(5)]


@pytest.fixture
def state(runs: list[OfflineConfig], tmp_path: Path) -> State:
    """One run done, two running, one failed, one waiting."""
    train(runs[0], tmp_path, "cpu")
    state = State(runs, {runs[1].id: 15, runs[2].id: 5}, running={runs[1].id, runs[2].id}, pace={kind(runs[0]): 0.5})
    state.finished = [runs[0].id]
    state.rates = {runs[1].id: 0.1, runs[2].id: 0.05}
    state.slots = 2
    state.failed = {runs[3].id: f"run {runs[3].id}: loss became nan"}
    return state


def test_a_sweep_is_seen_from_its_files_alone(
    tmp_path: Path, state: State, runs: list[OfflineConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    with Record(tmp_path, make_plan(runs, tmp_path), "local") as record:
        record.write(state)
        watch(tmp_path, once=True)
    score = last_score(run_folder(tmp_path, runs[0]))
    assert score is not None
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path}: local, 2 at a time: reacher2d-medium",
        "  ██████████░░░░░░  60%  1 done, 2 running, 1 failed, 1 waiting",
        "  about 10 s left, 30 steps/s",
        "  bc  100 %  s1  75%  10.0 steps/s",
        "  bc  100 %  s2  25%  20.0 steps/s",
        f"  last done: bc 100 % s0  score {score:.1f}",
        f"  failed: run {runs[3].id}: loss became nan",
    ]
    assert not (tmp_path / FOLDER).glob("[!.]*/*") or find_sweeps(tmp_path) == []


def test_a_running_run_shows_its_last_score(tmp_path: Path, state: State, runs: list[OfflineConfig]) -> None:
    folder = train(runs[1], tmp_path, "cpu")
    lines = (folder / "episodes.csv").read_text().splitlines()
    (folder / "episodes.csv").write_text("\n".join(lines[:3]) + "\n")  # the first evaluation's two episodes
    returns = [float(line.split(",")[4]) for line in lines[1:3]]
    assert last_score(folder) == pytest.approx(sum(returns) / 2)  # Reacher2d's scores are its returns
    (folder / "episodes.csv").write_text("step,target")
    assert last_score(folder) is None
    assert last_score(tmp_path / "nowhere") is None


def test_sixty_columns_are_enough(
    tmp_path: Path, state: State, runs: list[OfflineConfig], capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.chdir(tmp_path)
    with Record(Path("."), make_plan(runs, tmp_path), "ray") as record:
        record.write(state)
        watch(Path("."), once=True)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) < 60
    assert any(re.search(r"1 done, 2 running, 1 fai", line) for line in lines)
    assert any(line.endswith("20.0 steps/s") for line in lines)


def test_before_its_first_look_at_itself_a_sweep_is_starting(
    tmp_path: Path, runs: list[OfflineConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    with Record(tmp_path / "some" / "task", make_plan(runs, tmp_path), "local"):
        watch(tmp_path, once=True)  # two folders above
    assert "starting, 0 steps/s" in capsys.readouterr().out


def test_with_no_sweep_it_says_what_there_is_and_ends(
    tmp_path: Path, runs: list[OfflineConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    watch(tmp_path)
    assert capsys.readouterr().out == f"no sweep is running in {tmp_path}\n"
    train(runs[0], tmp_path / "task", "cpu")
    watch(tmp_path)
    assert capsys.readouterr().out.endswith("\n1 run: 1 done, 0 failed, 0 unfinished\n")
    run_folder(tmp_path / "folder" / "of" / "folders", runs[1]).mkdir(parents=True)
    run_folder(tmp_path / EVENTS, runs[0]).mkdir(parents=True)  # a run's logs for TensorBoard are no run
    watch(tmp_path)
    assert capsys.readouterr().out.endswith("\n2 runs: 1 done, 0 failed, 1 unfinished\n")


def test_a_killed_sweep_is_called_that(
    tmp_path: Path, runs: list[OfflineConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    program = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from lamobench.benchmark.sweep.plan import make_plan\nfrom lamobench.benchmark.sweep.record import Record\n"
        "with Record(Path(sys.argv[1]), make_plan([], Path(sys.argv[1])), 'local'):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path], check=False)
    watch(tmp_path)
    output = capsys.readouterr().out
    assert "was killed; start the same command again to go on" in output
    assert "no sweep is running" in output


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_it_draws_in_the_same_place_until_the_sweep_ends(
    tmp_path: Path, state: State, runs: list[OfflineConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    record = Record(tmp_path, make_plan(runs, tmp_path), "local").__enter__()
    record.write(state)
    looking = threading.Thread(target=watch, args=(tmp_path, False, 0.05))
    looking.start()
    deadline = time.monotonic() + 20
    while terminal.getvalue().count("1 done, 2 running") < 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    record.__exit__()
    looking.join(20)
    assert not looking.is_alive()
    assert terminal.getvalue().count("\x1b[7A\x1b[J") >= 2  # up by as many lines as were drawn
    assert "no sweep is running" in terminal.getvalue().splitlines()[-2]


def test_a_record_is_written_now_and_then_only(tmp_path: Path, state: State, runs: list[OfflineConfig]) -> None:
    with Record(tmp_path, make_plan(runs, tmp_path), "local") as record:
        record.write(state)
        first = (record.folder / "state.json").stat().st_ino
        for _ in range(50):
            record.write(state)
        assert (record.folder / "state.json").stat().st_ino == first
        assert json.loads((record.folder / "state.json").read_text())["slots"] == 2
    assert not record.folder.exists()


@pytest.mark.parametrize(
    ("interval", "line"), [(0.0, "interval 0: give seconds above 0"), (math.nan, "interval nan: give seconds above 0")]
)
def test_what_makes_no_sense_is_one_line(tmp_path: Path, interval: float, line: str) -> None:
    with pytest.raises(UserError, match=line):
        watch(tmp_path, interval=interval)
    with pytest.raises(UserError, match=r"no folder '.*nowhere'; give the folder of the runs with --runs"):
        watch(tmp_path / "nowhere")


def test_it_loads_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom lamobench.benchmark.cli.watch import last_score, watch\n"
        "watch(Path(sys.argv[1]), once=True)\nlast_score(Path(sys.argv[1]))\n"
        "print(sorted({'torch', 'pandas', 'ray', 'transformers'} & sys.modules.keys()))"
    )
    command = [sys.executable, "-c", program, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.splitlines() == [f"no sweep is running in {tmp_path}", "[]"]
    assert NARROWEST <= 60


@pytest.mark.parametrize("name", ["plan.json", "state.json"])
@pytest.mark.parametrize("value", [None, [1], {"a": 1}, -1, 10**30, "../../etc", [["../x", 1, 2, 3, 0, "d"]]])
def test_a_hostile_record_hides_no_other_sweep(
    tmp_path: Path, state: State, runs: list[OfflineConfig], capsys: pytest.CaptureFixture[str], name: str, value: Any
) -> None:
    with Record(tmp_path, make_plan(runs, tmp_path), "local") as record:
        record.write(state)
        for field in json.loads((record.folder / name).read_text()):
            spoiled = tmp_path / FOLDER / f"{name}-{field}"
            shutil.copytree(record.folder, spoiled)
            content = json.loads((spoiled / name).read_text()) | {field: value}
            (spoiled / name).write_text(json.dumps(content))
        (spoiled / "plan.json").write_text("[" * 100_000)
        watch(tmp_path, once=True)
        sightings = [replace(sighting, alive=True) for sighting in find_sweeps(tmp_path)]
    counts = "1 done, 2 running, 1 failed, 1 waiting"
    assert capsys.readouterr().out.count(counts) == 1
    assert counts in "\n".join(describe(tmp_path, sightings))
