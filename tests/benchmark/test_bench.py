import csv
from functools import partial
from pathlib import Path

import pytest

from lamobench.benchmark import bench
from lamobench.benchmark.cli import parse
from lamobench.datasets import cache


def test_the_measurements_run_and_their_file_says_what_was_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {"loading_d4rl": 2000, "opening_cached": 2000, "atari_training_memory": 4000}
    sizes |= {"unpacking_memory": 2000, "sampling_memory": 2000}
    small = {
        name: partial(getattr(bench, name), **{key: size})
        for name, size in sizes.items()
        for key in [("frames", "steps")[name == "loading_d4rl"]]
    }
    monkeypatch.setattr(bench, "MEASUREMENTS", small)
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "home"))
    parse(["bench", "--output", str(tmp_path / "bench.csv")]).run()
    rows = list(csv.DictReader((tmp_path / "bench.csv").open()))
    assert [(row["unit"], row["wanted"]) for row in rows] == [
        ("s", "5 times faster"),
        ("ms", "below 50 ms"),
        ("GB", "below 1.5 GB"),
        ("GB", "below 1 GB"),
        ("GB", "below 1 GB"),
    ]
    for row in rows:
        assert float(row["ours"]) > 0
    assert float(rows[0]["ratio"]) == pytest.approx(float(rows[0]["other"]) / float(rows[0]["ours"]), rel=1e-2)
    assert rows[1]["other"] == rows[1]["ratio"] == ""
    assert [row["met"] for row in rows[1:]] == ["True"] * 4
    assert "load 2,000 transitions" in capsys.readouterr().out
    assert not (tmp_path / "home").exists(), "the measurements have a home of their own"


def test_black_frames_are_a_data_set_that_the_cache_opens(tmp_path: Path) -> None:
    with bench.temporary_home(tmp_path):
        data = cache.open_cached(bench._empty_atari(3000))
    assert (data.num_episodes, data.num_steps, data.observations.shape[1:]) == (3, 3000, (84, 84))
    data.check()
