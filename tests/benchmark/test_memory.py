import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from lamobench.benchmark.memory import keep_freed_memory

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
