from pathlib import Path

import pytest

from lamobench.benchmark.benches import reading
from lamobench.benchmark.benches.harness import Settings


def test_an_update_is_measured_beside_one_that_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have the same loss, or the measurement would stop."""
    monkeypatch.setattr(reading, "at_hand", lambda model: model == "gpt2-mini")
    monkeypatch.setattr(reading, "MOVES", 20)
    monkeypatch.setattr(reading, "BATCH", 4)
    rows = reading.text_update(Settings(clock="cpu", rounds=1, seconds=1e-4), tmp_path)
    what = "update of 4 transitions, gpt2-mini, 2 layers trained"
    assert [row.what for row in rows] == [f"{what}, float32", f"{what}, bfloat16"]
    for row in rows:
        assert row.wanted == "3 times faster"
        assert row.ratio is not None
    assert rows[0].ratio is not None
    assert rows[0].ratio > 1
