import re
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

from lamobench.benchmark.cli import main as cli
from lamobench.benchmark.training.memory import memory_line, what_takes_less

GIVEN = {"sweep": "reacher2d-medium", "lm pretrain": "x", "evaluate": "runs/x", "bench": ""}

FAULTS = """
import resource, sys
import numpy as np
from lamobench.benchmark.training.memory import keep_freed_memory

kept = sys.argv[1] == "keep" and keep_freed_memory()
for step in range(40):
    if step == 20:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [np.ones(1 << 20) for _ in range(8)]  # 8 MB each
    del blocks
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_what_is_freed_is_used_again_without_asking_the_kernel() -> None:
    found = {}
    for mode in ("keep", "leave"):
        done = subprocess.run([sys.executable, "-c", FAULTS, mode], capture_output=True, text=True, check=True)
        found[mode] = done.stdout.split()
    if found["keep"][0] == "False":
        pytest.skip("this C library has no mallopt")
    assert 10 * int(found["keep"][1]) < int(found["leave"][1])


@pytest.mark.parametrize(
    ("ask", "size"),
    [
        (lambda: np.empty(1 << 50), "8.00 PiB"),
        (lambda: torch.empty(1 << 50), "4503599627370496 bytes"),
        (lambda: bytearray(1 << 60), ""),
    ],
    ids=["numpy", "torch", "python"],
)
def test_memory_that_has_run_out_is_one_line(ask: Callable[[], object], size: str) -> None:
    with pytest.raises((MemoryError, RuntimeError)) as met:
        ask()
    line = memory_line(met.value)
    assert line.startswith(f"no memory left for {size} more; free some" if size else "no memory left; free some")
    assert "\n" not in line


@pytest.mark.parametrize("error", [RuntimeError("shapes"), OSError(28, "out of memory"), ValueError("out of memory")])
def test_no_other_error_is_taken_for_it(error: Exception) -> None:
    assert memory_line(error) == ""


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("train reacher2d-medium", "smaller batches with --budget batch_size=N"),
        ("sweep reacher2d-medium", "fewer --jobs or smaller batches with --budget batch_size=N"),
        ("ablation", "fewer --jobs or smaller batches with --budget batch_size=N"),
        ("faults", "fewer --jobs or smaller batches with --budget batch_size=N"),
        ("lm pretrain x", "smaller batches with --batch-size N"),
        ("evaluate runs/x", "fewer --episodes"),
        ("bench", "more --parts"),
        ("leaderboard", ""),
        ("data list", ""),
    ],
)
def test_only_options_that_the_command_has_are_named(words: str, advice: str) -> None:
    command = cli.parse(words.split())
    assert what_takes_less(command) == advice
    end = f", or ask for less at a time: {advice}" if advice else ""
    line = memory_line(MemoryError(), what_takes_less(command))
    assert line == f"no memory left; free some and start the same command again{end}"


def test_every_option_that_is_named_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """No option has another name, as nested fields may."""
    for words in ("sweep", "lm pretrain", "evaluate", "bench"):
        with pytest.raises(SystemExit):
            cli.parse([*words.split(), "--help"])
        text = capsys.readouterr().out
        options = re.findall(r"--[\w-]+", what_takes_less(cli.parse(f"{words} {GIVEN[words]}".split())))
        assert options
        assert all(re.search(rf"{option}\b", text) for option in options)
