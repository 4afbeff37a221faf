import os
import platform
from pathlib import Path

import pytest

from lamobench.datasets import processes


def test_the_processor_has_the_name_that_its_maker_gives_it() -> None:
    information = Path("/proc/cpuinfo")
    name = processes.processor()
    assert name
    assert "model name" not in (text := information.read_text() if information.is_file() else "") or name in text


def test_where_the_kernel_names_none_the_architecture_stands_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_file", lambda _: False)
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert processes.processor() == platform.machine()


def test_cores_are_those_that_this_process_may_use() -> None:
    assert 1 <= processes.cores() <= (os.cpu_count() or 1)
