import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from lamobench.benchmark.sweep import local as local_engine
from lamobench.benchmark.sweep.engine import Workplace
from lamobench.benchmark.sweep.engines import check_engine, expected_slots, open_engine
from lamobench.benchmark.sweep.local import LocalEngine
from lamobench.benchmark.sweep.options import EngineOptions, Workers
from lamobench.benchmark.sweep.slots import GPUS, slots_here, visible_gpus
from lamobench.datasets.errors import UserError
from lamobench.datasets.processes import cores


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path, Workers(), tmp_path)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that seems to have four GPUs, of which this process may use two."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv(GPUS, "5, 7")
    yield
    assert os.environ[GPUS] == "5, 7"


def gpu_of(pid: int) -> str:
    """What the process was started with, before it could load anything."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:  # a moment after its fork it still has what its parent was started with
        variables = Path(f"/proc/{pid}/environ").read_text().split("\0")
        if found := [text.partition("=")[2] for text in variables if text.startswith(f"{GPUS}=")]:
            return found[0]
        time.sleep(0.01)
    raise AssertionError(f"process {pid} was started without {GPUS}")


def test_each_worker_has_a_gpu_and_more_jobs_share_them(two_gpus: None, place: Workplace) -> None:
    assert LocalEngine(place).slots == 2
    shared = LocalEngine(Workplace(place.root, Workers(jobs=3), place.mark))
    assert shared.slots == 3
    try:
        workers = [shared._spawn()]
        shared.idle += workers
        for _ in range(2):
            workers.append(shared._spawn())
            shared.idle.append(workers[-1])
        found = [gpu_of(worker.process.pid) for worker in workers]
        assert found == ["5", "7", "5"]
        shared.idle.remove(workers[1])  # it dies: the next gets the GPU that is free
        workers[1].process.kill()
        shared.idle.append(shared._spawn())
        assert Counter(worker.gpu for worker in shared.idle) == {"5": 2, "7": 1}
    finally:
        shared.close()


def test_gpus_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.delenv(GPUS, raising=False)
    assert visible_gpus("auto") == visible_gpus("cuda") == ["0", "1", "2", "3"]
    assert visible_gpus("cpu") == []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setenv(GPUS, "3")
    assert visible_gpus("auto") == []


def test_without_gpus_there_is_one_job_for_each_few_cores() -> None:
    assert slots_here(0, 1, []) == cores()
    assert slots_here(0, 10**6, []) == 1
    assert slots_here(7, 1, ["0"]) == 7
    assert slots_here(0, 1, ["0", "1", "2"]) == 3


def test_jobs_at_a_time_are_known_beforehand_but_for_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    def slots(jobs: int, threads: int, *engine: Any, **options: Any) -> int:
        return expected_slots(Workers(jobs, threads, "cpu", EngineOptions(*engine, **options)))

    assert slots(0, 1) == cores()
    assert slots(0, cores(), "ray") == 1
    assert slots(0, 1, "ray", cpus_per_run=float(cores())) == 1
    assert slots(0, 1, "ray", address="auto") == 0
    assert slots(5, 1, "ray", address="auto") == 5


def test_the_local_engine_is_the_default(place: Workplace) -> None:
    engine = open_engine(place)
    assert isinstance(engine, LocalEngine)
    assert engine.busy == 0
    engine.close()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (EngineOptions("rya"), "unknown engine 'rya'; did you mean 'ray'"),
        (EngineOptions(address="auto"), "--address is of the engine ray; add --engine ray"),
        (EngineOptions(cpus_per_run=2.0), "--cpus-per-run is of the engine ray"),
        (EngineOptions(gpus_per_run=0.0), "--gpus-per-run is of the engine ray"),
        (EngineOptions("ray", cpus_per_run=-1.0), "cpus per run -1 and gpus per run -1: give 0 or more of each"),
        (EngineOptions("ray", gpus_per_run=-0.5), "cpus per run 0 and gpus per run -0.5: give 0 or more of each"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(options: EngineOptions, line: str) -> None:
    with pytest.raises(UserError, match=line):
        check_engine(Workers(1, engine=options))


def test_without_ray_one_line_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UserError, match=r'Ray is not installed; type: pip install "lamobench\[ray\]"'):
        check_engine(Workers(1, engine=EngineOptions("ray")))


def test_workers_start_with_a_fresh_interpreter() -> None:
    assert local_engine.START_METHOD in ("spawn", "forkserver")  # a fork would take along a GPU context
