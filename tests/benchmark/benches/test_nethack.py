from pathlib import Path

import pytest

from lamobench.benchmark.benches import nethack
from lamobench.benchmark.benches.harness import Settings


def test_what_is_measured_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nethack, "STEPS", 2)
    monkeypatch.setattr(nethack, "ENVIRONMENTS", 2)
    cloning, updates = nethack.nethack_updates(Settings(rounds=1, seconds=1e-4), tmp_path)
    assert cloning.what == "nethack-lite: cloning, 2 sequences of 2 screens"
    assert cloning.other_name == "plain PyTorch"
    assert updates.ours > 0
