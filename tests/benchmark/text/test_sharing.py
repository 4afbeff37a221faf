"""Policies of this track for others."""

from pathlib import Path

import pytest

from lamobench.tests.benchmark.sharing.round_trip import check_round_trip
from lamobench.tests.benchmark.text.conftest import Tiny, train

READ = {"stages.csv", "transcript.json"}
METERED = {"meters.csv", "pairs.csv"}  # of what trains a language model


@pytest.mark.parametrize(("method", "logs"), [("drrn-hash", READ), ("drrn-top-k", READ | METERED), ("random", READ)])
def test_a_policy_is_published_and_comes_back(tiny: Tiny, tmp_path: Path, method: str, logs: set[str]) -> None:
    check_round_trip(train(tiny(method), tmp_path / "runs"), tmp_path, logs)
