"""Comparisons with d3rlpy: collected only where it is installed, which is the environment of `make parity`."""

from importlib.util import find_spec
from typing import Any

import pytest
import torch

torch.set_num_threads(1)

if find_spec("d3rlpy") is None:
    collect_ignore_glob = ["*"]
else:
    from lamobench.tests.parity.comparison import SEEN

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(terminalreporter: Any) -> None:
        """The table of docs/baselines.md."""
        if SEEN:
            terminalreporter.section("largest relative difference seen")
        for (method, quantity), difference in SEEN.items():
            terminalreporter.write_line(f"{method:<22} {quantity:<62} {difference:.1e}")
