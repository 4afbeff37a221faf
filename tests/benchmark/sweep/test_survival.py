"""A sweep survives kills, a second sweep beside it, a full disk, damaged files, a clock that jumps."""

import ast
import json
import multiprocessing
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest

from lamobench.benchmark.offline import loop as loop
from lamobench.benchmark.runs.damage import damage
from lamobench.benchmark.runs.store import is_done, open_run, run_folder, set_damaged_aside
from lamobench.benchmark.scores.collect import collect
from lamobench.benchmark.sweep import job
from lamobench.benchmark.sweep import record as sweep_record
from lamobench.benchmark.sweep.grid import Outcome, sweep
from lamobench.benchmark.sweep.options import Workers
from lamobench.benchmark.sweep.record import FOLDER
from lamobench.benchmark.sweep.state import State
from lamobench.benchmark.training import life
from lamobench.datasets import storage
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.little_runs import little_run, numbers
from lamobench.tests.small_disks import needs_mounts, on_small_disk

BENCHMARK = Path(job.__file__).parents[1]
pytestmark = pytest.mark.usefixtures("forked_workers")
run_of = partial(little_run, steps=200, evaluate_every=100)


def records(root: Path) -> list[Path]:
    """The records that sweeps have left for `lamobench watch`."""
    return list((root / FOLDER).glob("[!.]*"))


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A folder with one finished run."""
    loop.train(run_of(), tmp_path / "runs", "cpu")
    return tmp_path / "runs"


def test_twenty_kills_lose_no_run_and_count_none_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "LOG_EVERY", 5)
    runs = [run_of(seed) for seed in range(8)]
    files = []
    for run in runs:
        files.append(tmp_path / f"{run.seed}.json")
        files[-1].write_text(json.dumps(asdict(run)))
    program = [sys.executable, Path(__file__).with_name("killed_sweeps.py"), tmp_path / "runs", "1", *files]
    done = subprocess.run(program, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert sorted(said["kills"]) == ["parent"] * 10 + ["worker"] * 10
    assert (said["finished"], said["failed"]) == (sorted(run.id for run in runs), {})
    found = collect(tmp_path / "runs")
    assert [run.id for run in found] == sorted(run.id for run in runs)
    assert {run.status for run in found} == {"finished"}
    for run in runs:
        loop.train(run, tmp_path / "undisturbed", "cpu")
        assert numbers(tmp_path / "runs", run) == numbers(tmp_path / "undisturbed", run)
        assert damage(run_folder(tmp_path / "runs", run)) == ""
    hidden = {path.name for path in (tmp_path / "runs").rglob(".*")}
    assert hidden == {".lock", FOLDER}  # nothing half-written
    assert records(tmp_path / "runs") == []


def test_what_a_killed_process_had_half_written_is_cleared_away_when_its_run_goes_on(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, run_of())
    folder.mkdir()
    left = [folder / f".{name}.x1y2z3" for name in ("checkpoint.safetensors", "metrics.jsonl", "done.json")]
    left.append(folder / ".tmpA1b2C3")  # safetensors'
    for path in left:
        path.write_bytes(b"half")
    (folder / ".notes").write_text("a person's own")
    loop.train(run_of(), tmp_path, "cpu")
    assert not any(path.exists() for path in left)
    assert (folder / ".notes").exists()


def test_what_a_killed_recording_had_half_written_is_cleared_away_by_the_next(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom lamobench.datasets.storage import scratch_folder\n"
        "with scratch_folder(Path(sys.argv[1]), '.recording.') as folder:\n"
        "    (folder / 'half').write_text('')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path], check=False)
    assert len(list(tmp_path.glob(".recording.*/half"))) == 1
    with storage.scratch_folder(tmp_path, ".recording.") as one:
        assert list(tmp_path.rglob("half")) == []
        with storage.scratch_folder(tmp_path, ".recording.") as other:  # of one that lives nothing is taken
            assert one.is_dir()
            assert other != one
    assert list(tmp_path.iterdir()) == []


def test_two_sweeps_on_one_folder_share_the_runs_and_train_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [run_of(seed, steps=800) for seed in range(4)]
    outcomes = []
    trained = [set(), set()]

    deadline = time.monotonic() + 60

    def show(number: int) -> Callable[[State], None]:
        def look(state: State) -> None:
            trained[number].update(state.rates)
            while trained[number] and not trained[1 - number] and time.monotonic() < deadline:
                time.sleep(0.01)  # until the other has begun: then there are two at work, however slowly one starts

        return look

    def start(number: int) -> threading.Thread:
        thread = threading.Thread(
            target=lambda: outcomes.append(sweep(runs, tmp_path, Workers(1, device="cpu"), show=show(number)))
        )
        thread.start()
        return thread

    both = [start(0), start(1)]
    for thread in both:
        thread.join(120)
    assert outcomes == [Outcome(sorted(run.id for run in runs), {})] * 2
    assert not trained[0] & trained[1]
    assert all(trained)  # none of them only waited
    for run in runs:
        rows = numbers(tmp_path, run)[1]
        assert [row["step"] for row in rows] == list(range(100, 801, 100))
    assert records(tmp_path) == []


TRUNCATIONS = ["config.json", "metrics.jsonl", "episodes.csv", "checkpoint.safetensors", "done.json"]


@pytest.mark.parametrize("name", TRUNCATIONS)
def test_a_finished_run_with_a_truncated_file_is_named_set_aside_and_run_again(finished: Path, name: str) -> None:
    run = run_of()
    file = run_folder(finished, run) / name
    expected = numbers(finished, run)
    file.write_bytes(file.read_bytes()[:-10])
    notes: list[str] = []
    outcome = sweep([run], finished, Workers(1, device="cpu"), show=lambda state: notes.extend(state.notes))
    assert outcome == Outcome([run.id], {})
    what = r"(has \d+ bytes instead of \d+|can't be read \(.*\))"
    assert re.search(rf"run {run.id}: {name} {what}; .* {run.id}.broken-1", notes[0])
    assert (finished / f"{run.id}.broken-1" / name).exists()
    assert numbers(finished, run) == expected
    assert [one.id for one in collect(finished)] == [run.id]


def test_an_unfinished_run_with_a_truncated_checkpoint_begins_anew(finished: Path) -> None:
    run = run_of()
    folder = run_folder(finished, run)
    expected = numbers(finished, run)
    (folder / "done.json").unlink()
    os.truncate(folder / "checkpoint.safetensors", 1000)
    (finished / f"{run.id}.broken-1").mkdir()  # of another time
    lines: list[str] = []
    loop.train(run, finished, "cpu", note=lines.append)
    assert len(lines) == 1
    assert "checkpoint.safetensors is cut short" in lines[0]
    assert "set aside as " + run.id + ".broken-2, and the run starts anew" in lines[0]
    assert numbers(finished, run) == expected


def test_damage_is_left_to_the_process_that_works_on_the_run(finished: Path) -> None:
    folder = run_folder(finished, run_of())
    os.truncate(folder / "episodes.csv", 10)
    with open_run(finished, run_of()):
        assert set_damaged_aside(finished, run_of()) == ""
    assert "episodes.csv has 10 bytes" in set_damaged_aside(finished, run_of())
    assert set_damaged_aside(finished, run_of()) == ""


def test_whoever_waits_for_a_folder_that_is_set_aside_gets_the_new_one(tmp_path: Path) -> None:
    run = run_of()
    opened = []

    def wait_for_it() -> None:
        with open_run(tmp_path, run, wait=True) as folder:
            opened.append(sorted(path.name for path in folder.iterdir()))

    with open_run(tmp_path, run) as folder:
        waiting = threading.Thread(target=wait_for_it)
        waiting.start()
        time.sleep(0.3)
        (folder / "of the old one").touch()
        folder.rename(tmp_path / "aside")
    waiting.join(20)
    assert opened == [[".lock", "config.json"]]


def test_runs_of_before_sizes_were_kept_are_looked_at_too(finished: Path) -> None:
    folder = run_folder(finished, run_of())
    done = json.loads((folder / "done.json").read_text())
    del done["files"]
    (folder / "done.json").write_text(json.dumps(done))
    assert damage(folder) == ""
    os.truncate(folder / "episodes.csv", 50)
    assert damage(folder) == "episodes.csv is cut short"


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 100, b"\x02" + bytes(7) + b"[]", b"\x02" + bytes(7) + b"{}" + b"more"]
)
def test_what_is_no_checkpoint_is_damage(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint.safetensors").write_bytes(content)
    assert damage(tmp_path).startswith("checkpoint.safetensors ")


def test_a_finished_run_may_do_without_its_checkpoint(finished: Path) -> None:
    folder = run_folder(finished, run_of())
    (folder / "checkpoint.safetensors").unlink()
    assert damage(folder) == ""
    (folder / "metrics.jsonl").unlink()
    assert damage(folder) == "metrics.jsonl is missing"


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(28, "No space left on device"), True),
        (OSError(122, "Disk quota exceeded"), True),
        (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), True),
        (OSError(13, "Permission denied"), False),
        (ValueError("28"), False),
    ],
)
def test_a_full_disk_is_told_by_what_is_raised(error: Exception, full: bool) -> None:
    assert job.no_space(error) is full


FILL = """
import json, os, sys
from pathlib import Path
from lamobench.benchmark.sweep import local as local_engine
from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.sweep.grid import sweep
from lamobench.benchmark.sweep.options import Workers
from lamobench.datasets.errors import UserError
local_engine.START_METHOD = "fork"
import lamobench.benchmark.offline.loop
disk, *configs = sys.argv[1:]
root, runs = Path(disk) / "runs", [OfflineConfig(**json.loads(text)) for text in configs]
(Path(disk) / "ballast").write_bytes(bytes(int(0.85 * os.statvfs(disk).f_bavail * 4096)))
try:
    sweep(runs, root, Workers(1, device="cpu"))
except UserError as error:
    print(error)
print([path.name for path in root.rglob(".*.*")])  # temporaries
(Path(disk) / "ballast").unlink()
outcome = sweep(runs, root, Workers(1, device="cpu"))
print(len(outcome.finished), outcome.failed)
print(json.dumps([(root / run.id / "episodes.csv").read_text() for run in runs]))
"""


@needs_mounts
def test_a_disk_that_fills_is_one_line_and_the_sweep_goes_on_when_there_is_space(tmp_path: Path) -> None:
    """A small disk, mounted for a process of its own, that is really full."""
    runs = [run_of(seed) for seed in range(2)]
    disk = tmp_path / "disk"
    disk.mkdir()
    program = [sys.executable, "-c", FILL, str(disk), *(json.dumps(asdict(run)) for run in runs)]
    done = subprocess.run(
        on_small_disk(disk, "200k", program), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    line, left, outcome, episodes = done.stdout.splitlines()
    assert line == f"no space left for {disk / 'runs'}; free some and start the same command again to go on"
    assert left == "[]"
    assert outcome == "2 {}"
    assert "Traceback" not in done.stderr
    for run, text in zip(runs, json.loads(episodes), strict=True):
        loop.train(run, tmp_path / "undisturbed", "cpu")
        assert numbers(tmp_path / "undisturbed", run)[0] == text


def test_a_clock_that_jumps_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Years back and forth during a run, and files that seem to be of the future."""
    expected = numbers(loop.train(run_of(), tmp_path / "undisturbed", "cpu").parent, run_of())
    jumps = iter(range(10**6))
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: 1e9 * (next(jumps) % 3))
        patch.setattr(life, "CHECKPOINT_SECONDS", 0.0)
        folder = loop.train(run_of(), tmp_path / "runs", "cpu")
    assert numbers(tmp_path / "runs", run_of()) == expected
    assert 0 < json.loads((folder / "done.json").read_text())["train_seconds"] < 60
    for path in folder.iterdir():
        os.utime(path, (4e9, 4e9))
    assert sweep([run_of()], tmp_path / "runs", Workers(1, device="cpu")).finished == [run_of().id]
    states: list[State] = []
    unfinished = run_of(1)
    with open_run(tmp_path / "runs", unfinished) as begun:
        os.utime(begun / "config.json", (1, 1))
    sweep([run_of(), unfinished], tmp_path / "runs", Workers(1, device="cpu"), show=states.append)
    assert is_done(tmp_path / "runs", unfinished)
    assert all(0 <= state.seconds_left(1) < 60 for state in states if state.seconds_left(1) is not None)  # type: ignore[operator]


def test_nothing_but_dates_to_be_shown_reads_the_wall_clock() -> None:
    """Code that waits, measures or decides goes by a clock that never jumps; no file has a date but TensorBoard's."""
    allowed = {
        ("life.py", "now"),
        ("policy_card.py", "now"),
        ("card.py", "now"),
        ("model_card.py", "now"),
        ("pretrain.py", "now"),
    }
    allowed |= {("events.py", "st_mtime")}
    found = set()
    for path in (
        path for floor in ("datasets", "baselines", "benchmark") for path in (BENCHMARK.parent / floor).rglob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("st_mtime", "st_ctime", "st_birthtime"):
                found.add((path.name, node.attr))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = f"{node.value.id}.{node.attr}"
                if name in ("time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "date.today"):
                    found.add((path.name, node.attr))
    assert found <= allowed
    assert ("life.py", "now") in found


def test_the_record_of_a_killed_sweep_goes_when_the_next_begins(tmp_path: Path) -> None:
    stale = tmp_path / FOLDER / "somewhere-1-x"
    stale.mkdir(parents=True)
    (stale / ".lock").touch()
    assert not sweep_record.is_alive(stale)
    sweep([run_of()], tmp_path, Workers(1, device="cpu"))
    assert not stale.exists()


def test_a_disk_that_is_full_when_the_record_is_written_is_the_same_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "state.json")

    monkeypatch.setattr(sweep_record, "write_json", full)
    with pytest.raises(UserError, match=r"no space left for .*; free some and start the same command again to go on"):
        sweep([run_of()], tmp_path, Workers(1, device="cpu"))
    assert not multiprocessing.active_children()
