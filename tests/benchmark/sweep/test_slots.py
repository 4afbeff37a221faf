import pytest
import torch

from lamobench.benchmark.sweep.slots import GPUS, slots_here, visible_gpus
from lamobench.datasets.processes import cores


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
