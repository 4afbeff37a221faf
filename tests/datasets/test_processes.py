import os
import platform
import subprocess
import sys
import time
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


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="seconds of other processes are Linux's to tell")
def test_seconds_of_a_child_count_while_it_runs() -> None:
    work = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
    before = processes.processor_seconds() - time.process_time()
    with subprocess.Popen([sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        found = processes.processor_seconds() - time.process_time() - before
        child.communicate(b"\n")
    assert 0.25 < found < 3.0
    assert processes.processor_seconds() - time.process_time() < before + found
