from pathlib import Path

import pytest

from lamobench.benchmark.benches import nethack
from lamobench.benchmark.benches.harness import Settings


def test_what_is_measured_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses of both ways are compared before they are measured; episodes begin within the sequences."""
    for name, value in (("SEQUENCE", 4), ("STEPS", 4), ("ENVIRONMENTS", 4), ("BATCH", 8), ("BEGINS", 0.3)):
        monkeypatch.setattr(nethack, name, value)
    cloning, updates = nethack.nethack_updates(Settings(rounds=1, seconds=1e-4), tmp_path)
    assert cloning.what == "nethack-lite: cloning, 4 sequences of 4 screens"
    assert updates.what == "nethack-lite: acting and PPO, 4 games of 4 screens"
    for row in (cloning, updates):
        assert (row.unit, row.other_name) == ("frames/s", "plain PyTorch")
        assert row.ratio == pytest.approx(row.ours / row.other)  # one round
