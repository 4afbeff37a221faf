"""A real Ray on this machine: two workers, one of them killed; an existing cluster; what doesn't fit is one line."""

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pytest

from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.runs.store import run_folder
from lamobench.benchmark.sweep.engine import Workplace
from lamobench.benchmark.sweep.estimate import last_row
from lamobench.benchmark.sweep.grid import sweep
from lamobench.benchmark.sweep.options import EngineOptions, Workers
from lamobench.benchmark.sweep.ray import RayEngine
from lamobench.benchmark.sweep.ray_cluster import QUIET, TOKEN, import_ray
from lamobench.benchmark.sweep.ray_guard import descendants
from lamobench.benchmark.sweep.state import State
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.little_runs import little_run, numbers
from lamobench.tests.required import lacking

if importlib.util.find_spec("ray") is None:  # not imported here: its variables are read then
    lacking("ray", 'Ray is not installed: pip install "lamobench[ray]"')

run_of = partial(little_run, steps=2000, evaluate_every=500)
RAY = EngineOptions("ray")
DRIVER = """
import json, sys, time
from pathlib import Path
from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.sweep.options import EngineOptions, Workers
from lamobench.benchmark.sweep.grid import sweep
root, *configs = sys.argv[1:]
shown = lambda state: state.steps and print("training", flush=True)
workers = Workers(2, engine=EngineOptions("ray"))
sweep([OfflineConfig(**json.loads(text)) for text in configs], Path(root), workers, show=shown)
"""


@pytest.fixture(autouse=True)
def _stocked(stocked_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAMOBENCH_HOME", str(stocked_home))
    for name, value in TOKEN.items():  # Ray reads them once in a process: the same for every test
        monkeypatch.setenv(name, value)


def title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


def tempfile_folders() -> set[Path]:
    """The folders that sweeps with a Ray of their own have left, or still use."""
    return set(Path(tempfile.gettempdir()).glob("lamobench-ray-*"))


def workers() -> list[int]:
    """Processes of Ray under this one that train just now."""
    return [pid for pid in descendants(os.getpid()) if title(pid).startswith("ray::work")]


def test_two_workers_one_of_them_killed_end_with_the_local_engine_s_numbers(tmp_path: Path) -> None:
    folders = tempfile_folders()
    runs = [run_of(seed, steps=3000) for seed in range(3)]
    before = set(descendants(os.getpid()))
    handler = signal.getsignal(signal.SIGTERM)
    saved: dict[str, int] = {}  # where each run's checkpoint stood when a worker was killed
    seen: list[tuple[str, int]] = []  # runs and their steps since

    def show(state: State) -> None:
        if saved:
            seen.extend(state.steps.items())
        elif state.running and any((run_folder(root, run) / "metrics.jsonl").exists() for run in runs):
            os.kill(max(workers()), signal.SIGKILL)
            saved.update({run.id: last_row(run_folder(root, run)).get("step", 0) for run in runs})
            state.steps.clear()

    root = tmp_path / "ray"
    outcome = sweep(runs, root, Workers(2, device="cpu", engine=RAY), show)
    assert any(saved.values())
    assert all(step > saved[run] for run, step in seen)  # none began anew
    assert (outcome.finished, outcome.failed) == (sorted(run.id for run in runs), {})
    for run in runs:
        train(run, tmp_path / "alone", "cpu")
        assert numbers(root, run) == numbers(tmp_path / "alone", run)

    assert signal.getsignal(signal.SIGTERM) is handler
    assert not sys.modules["ray"].is_initialized()
    assert [title(pid) for pid in set(descendants(os.getpid())) - before if title(pid)] == []
    assert tempfile_folders() <= folders


def test_nothing_of_ray_outlives_a_killed_parent(tmp_path: Path) -> None:
    folders = tempfile_folders()
    runs = [run_of(seed, steps=20_000) for seed in range(2)]
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "runs"), *(json.dumps(asdict(run)) for run in runs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "training\n"
        processes = descendants(parent.pid)
        assert sum("ray::work" in title(pid) for pid in processes) == 2
        parent.kill()
    deadline = time.monotonic() + 30
    while left := [title(pid) for pid in processes if title(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    assert tempfile_folders() <= folders


@pytest.fixture(scope="module")
def cluster(stocked_home: Path) -> Iterator[str]:
    """The address of a cluster that others started: two cores, two GPUs that it only believes to have."""
    with pytest.MonkeyPatch.context() as patch, socket.socket() as free:
        for name, value in {**TOKEN, **QUIET, "LAMOBENCH_HOME": str(stocked_home)}.items():
            patch.setenv(name, value)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        folder = tempfile.mkdtemp(prefix="ray-")
        command = [str(Path(sys.executable).with_name("ray")), "start", "--head", f"--port={port}", "--block"]
        command += ["--num-cpus=2", "--num-gpus=2", "--include-dashboard=false", f"--temp-dir={folder}"]
        command += ["--object-store-memory=80000000", "--disable-usage-stats"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as head:
            assert head.stdout is not None
            for line in head.stdout:
                if "Ray runtime started" in line:
                    break
            processes = descendants(head.pid)
            yield f"127.0.0.1:{port}"
            head.terminate()
            head.wait(30)
        for pid in processes:  # its own agents take a minute to notice
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def test_an_existing_cluster_trains_and_goes_on(cluster: str, tmp_path: Path) -> None:
    runs = [run_of(seed, steps=500) for seed in range(2)]
    states: list[State] = []
    options = EngineOptions("ray", cluster)
    outcome = sweep(runs, tmp_path / "runs", Workers(device="cpu", engine=options), states.append)
    assert (outcome.finished, outcome.failed) == (sorted(run.id for run in runs), {})
    assert states[-1].slots == 2
    assert states[-1].steps == {run.id: 500 for run in runs}
    train(runs[1], tmp_path / "alone", "cpu")
    assert numbers(tmp_path / "runs", runs[1]) == numbers(tmp_path / "alone", runs[1])
    # it is still there for the next, and says what doesn't fit
    place = Workplace(tmp_path, Workers(engine=options), tmp_path / "runs" / ".sweeps" / "gone" / "plan.json")
    with pytest.raises(UserError, match=r"node \S+ can't see .*/runs; give --runs a folder that every node"):
        RayEngine(place)
    (tmp_path / "mark").touch()
    large = Workplace(tmp_path, Workers(engine=replace(options, cpus_per_run=64.0)), tmp_path / "mark")
    with pytest.raises(UserError, match=r"a run takes 64 cores and 1 GPUs, but the largest node has 2 and 2"):
        RayEngine(large)
    for jobs, asked, gpus, slots in ((0, -1.0, 1.0, 2), (4, -1.0, 0.5, 4), (0, 2.0, 2.0, 1), (0, 0.0, 0.0, 2)):
        workers = Workers(jobs, engine=replace(options, gpus_per_run=asked))
        engine = RayEngine(Workplace(tmp_path, workers, tmp_path / "mark"))
        assert (engine.gpus, engine.slots) == (gpus, slots)
        engine.close()


def test_where_no_cluster_answers_one_line_says_so(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(
        UserError, match=r"no Ray cluster answers at 127.0.0.1:1 \(.*refused\); give --address HOST:PORT"
    ):
        sweep([run_of()], tmp_path, Workers(device="cpu", engine=EngineOptions("ray", "127.0.0.1:1")))
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "http://x", "somewhere"])
def test_an_address_that_can_t_be_joined_is_one_line(tmp_path: Path, address: str) -> None:
    with pytest.raises(UserError, match=r"is no address that can be joined; give --address HOST:PORT, or auto"):
        sweep([run_of()], tmp_path, Workers(device="cpu", engine=EngineOptions("ray", address)))


def test_nobody_is_told() -> None:
    import_ray("")
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    from ray._common.usage import usage_lib

    assert not usage_lib.usage_stats_enabled()
