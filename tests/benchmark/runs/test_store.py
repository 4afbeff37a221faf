import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.runs.checkpoint import Progress
from lamobench.benchmark.runs.records import read_config
from lamobench.benchmark.runs.store import is_done, open_run, run_folder, write_logs
from lamobench.datasets.errors import UserError


@pytest.fixture
def config(tiny_request: Callable[..., RunRequest]) -> OfflineConfig:
    return resolve(tiny_request("bc"))


def test_a_run_has_a_folder_with_its_config(config: OfflineConfig, tmp_path: Path) -> None:
    root = tmp_path / "deep" / "runs"
    with open_run(root, config) as folder:
        assert folder == run_folder(root, config) == root / config.id
        assert read_config(folder) == config
    assert not is_done(root, config)


def test_a_second_one_on_the_same_run_is_told_so(config: OfflineConfig, tmp_path: Path) -> None:
    with (
        open_run(tmp_path, config) as folder,
        pytest.raises(UserError, match=r"is being worked on by another process; wait for it or stop it"),
    ):
        train(config, tmp_path, "cpu")
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "config.json"]
    with open_run(tmp_path, config):  # free again
        pass


@pytest.mark.parametrize("content", ["{", "[]", '{"dataset": "reacher2d-medium"}', ""])
def test_a_damaged_config_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"config.json is no run's configuration .*; give the folder of a run"):
        read_config(tmp_path)


def test_what_is_no_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(UserError, match=r"holds no run: there is no config.json in it"):
            read_config(path)


def test_logs_hold_numbers_exactly(tmp_path: Path) -> None:
    rows = [{"step": 10, "loss": 1 / 3}, {"step": 20, "loss": 1e-30, "seconds": math.pi}]
    write_logs(tmp_path, Progress(20, 1.0, rows, "step\n1\n"))
    assert [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == rows
    assert (tmp_path / "episodes.csv").read_text() == "step\n1\n"
