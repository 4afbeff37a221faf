from pathlib import Path

import pytest

from lamobench.benchmark.benches import storage
from lamobench.benchmark.benches.harness import Settings
from lamobench.benchmark.benches.suite import empty_home
from lamobench.datasets import cache

QUICK = Settings(rounds=1, seconds=1e-4)


@pytest.mark.parametrize(
    ("name", "size", "unit", "wanted"),
    [
        ("load-d4rl", 2000, "s", "5 times faster"),
        ("open-cached", 2000, "ms", "below 50 ms"),
        ("memory-unpacking", 2000, "GB", "below 1 GB"),
        ("memory-sampling", 2000, "GB", "below 1 GB"),
        ("memory-atari", 4000, "GB", "below 1.5 GB"),
    ],
)
def test_loading_and_memory_are_measured(name: str, size: int, unit: str, wanted: str) -> None:
    with empty_home() as scratch:
        (row,) = storage.MEASUREMENTS[name](QUICK, scratch, size)  # type: ignore[call-arg]
    assert (row.unit, row.wanted, f"{size:,}" in row.what or "training" in row.what) == (unit, wanted, True)
    assert row.ours > 0
    if row.other is not None:
        assert row.ratio == pytest.approx(row.other / row.ours)
    else:
        assert row.met


def test_black_frames_are_a_data_set_that_the_cache_opens() -> None:
    with empty_home():
        data = cache.open_cached(storage.empty_atari(3000))
    assert (data.num_episodes, data.num_steps, data.observations.shape[1:]) == (3, 3000, (84, 84))
    data.check()


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)a measurement failed: .*ZeroDivisionError"):
        storage.memory_of([], tmp_path, script="1 / 0")
