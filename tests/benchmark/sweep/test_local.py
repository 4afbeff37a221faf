import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lamobench.benchmark.sweep import local as local_engine
from lamobench.benchmark.sweep.engine import Workplace
from lamobench.benchmark.sweep.local import LocalEngine
from lamobench.benchmark.sweep.options import Workers
from lamobench.benchmark.sweep.slots import GPUS


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
    """The GPU that the process was started with, before it could load anything."""
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


def test_workers_start_with_a_fresh_interpreter() -> None:
    assert local_engine.START_METHOD in ("spawn", "forkserver")  # a fork would take along a GPU context
