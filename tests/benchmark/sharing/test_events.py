"""Tests of what TensorBoard reads, with its own reader: every point of a run's logs once, whenever it was asked for."""

import json
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from lamobench.benchmark.cli import main as cli
from lamobench.benchmark.cli import runs as runs_command
from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.runs.records import read_config
from lamobench.benchmark.scores.collect import read_finished
from lamobench.benchmark.sharing import events as event_files
from lamobench.benchmark.sharing.events import write_events
from lamobench.datasets.errors import UserError


@pytest.fixture
def finished(copied_runs: Path) -> Path:
    """The folder of a finished run."""
    return next(iter(copied_runs.glob("*-s0-*")))


@pytest.fixture
def half_way(copied_runs: Path) -> Path:
    """The folder of a run that was stopped after its first evaluation."""
    return next(iter(copied_runs.glob("*-s2-*")))


def read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder)).Reload()


def scalars(folder: Path, tag: str) -> dict[int, float]:
    points = read(folder).Scalars(tag)
    assert len({point.step for point in points}) == len(points), "a step twice"
    return {point.step: point.value for point in points}


def test_metrics_and_evaluations_are_all_there(finished: Path, tmp_path: Path) -> None:
    assert write_events(finished, tmp_path / "events") == 2
    folder = tmp_path / "events" / finished.name
    rows = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert scalars(folder, "training/loss") == pytest.approx({row["step"]: row["loss"] for row in rows})
    result = read_finished(finished).result
    curve = dict(zip(result.curve_steps.tolist(), result.curve_scores.tolist(), strict=True))
    assert scalars(folder, "evaluation/score") == pytest.approx(curve)
    assert set(scalars(folder, "evaluation/length")) == {10, 20}
    times = [point.wall_time for point in read(folder).Scalars("training/loss")]
    assert times[1] - times[0] == pytest.approx(rows[1]["seconds"] - rows[0]["seconds"], abs=1e-5)
    assert not {"training/step", "training/seconds"} & set(read(folder).Tags()["scalars"])


def test_the_table_of_hyper_parameters(finished: Path, tmp_path: Path) -> None:
    write_events(finished, tmp_path)
    (held,) = read(tmp_path / finished.name).summary_metadata.values()
    about = HParamsPluginData.FromString(held.plugin_data.content).session_start_info.hparams
    assert (about["method"].string_value, about["seed"].number_value) == ("bc", 0)
    assert about["learning_rate"].number_value == read_config(finished).policy["learning_rate"]


def test_a_run_in_progress_is_added_to(half_way: Path, tmp_path: Path, home: Path) -> None:
    assert write_events(half_way, tmp_path) == 1
    (file,) = (tmp_path / half_way.name).iterdir()
    before = file.read_bytes()
    number = file.stat().st_ino
    open_one = read(file.parent)
    assert write_events(half_way, tmp_path) == 0
    train(read_config(half_way), half_way.parent, "cpu")  # on from its checkpoint
    assert write_events(half_way, tmp_path) == 1
    assert file.stat().st_ino == number
    assert [point.step for point in open_one.Reload().Scalars("training/loss")] == [10, 20], "seen where it is open"
    assert file.read_bytes().startswith(before)
    assert set(scalars(file.parent, "training/loss")) == set(scalars(file.parent, "evaluation/score")) == {10, 20}


def test_what_was_cut_short_is_completed(finished: Path, tmp_path: Path) -> None:
    write_events(finished, tmp_path)
    (file,) = (tmp_path / finished.name).iterdir()
    whole = file.read_bytes()
    for length in (0, 5, 30, len(whole) - 3):
        file.write_bytes(whole[:length])
        write_events(finished, tmp_path)
        assert file.read_bytes() == whole


def test_a_run_that_was_started_anew_replaces_the_old_one(finished: Path, tmp_path: Path) -> None:
    write_events(finished, tmp_path)
    (old,) = (tmp_path / finished.name).iterdir()
    os.utime(finished / "config.json", (1000, 1000))
    assert write_events(finished, tmp_path) == 2
    (new,) = (tmp_path / finished.name).iterdir()
    assert new.name == "events.out.tfevents.1000.lamobench" != old.name


def test_logs_between_two_writes_give_whole_steps_alone(finished: Path, tmp_path: Path) -> None:
    """`metrics.jsonl` is written before `episodes.csv`."""
    lines = (finished / "episodes.csv").read_text().splitlines(keepends=True)
    (finished / "episodes.csv").write_text("".join(lines[:3]))
    assert write_events(finished, tmp_path) == 1
    (finished / "episodes.csv").write_text("".join(lines))
    assert write_events(finished, tmp_path) == 1
    (finished / "episodes.csv").unlink()
    (finished / "metrics.jsonl").unlink()
    assert write_events(finished, tmp_path / "new") == 0


@pytest.mark.parametrize("name", ["metrics.jsonl", "episodes.csv"])
def test_damaged_logs_are_named(finished: Path, tmp_path: Path, name: str) -> None:
    content = (finished / name).read_text()
    (finished / name).write_text(content[:-20])
    with pytest.raises(UserError, match=rf"{name} can't be read .*look at `lamobench runs list`"):
        write_events(finished, tmp_path)


def test_several_targets_have_a_tag_each(finished: Path, tmp_path: Path) -> None:
    config = json.loads((finished / "config.json").read_text())
    (finished / "config.json").write_text(json.dumps(config | {"target_returns": [76.0, 40.0]}))
    rows = (finished / "episodes.csv").read_text()
    (finished / "episodes.csv").write_text(rows + "10,40.0,0,1,3.0,100\n20,40.0,0,1,5.0,100\n")
    write_events(finished, tmp_path)
    assert scalars(tmp_path / finished.name, "evaluation/return_at_40") == {10: 3.0, 20: 5.0}
    assert "evaluation/return_at_76" in read(tmp_path / finished.name).Tags()["scalars"]


def test_without_the_package_a_line_says_what_to_install(
    copied_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = find_spec
    monkeypatch.setattr(event_files, "find_spec", lambda name: None if name == "tensorboard" else known(name))
    with pytest.raises(UserError, match=r"^TensorBoard is not installed; type: pip install tensorboard$"):
        cli.parse(["runs", "tensorboard", "--runs", str(copied_runs)]).run()
    assert not (copied_runs / "tensorboard").exists()


def test_the_command_takes_all_runs_or_those_that_are_named(
    copied_runs: Path, half_way: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.parse(["runs", "tensorboard", "--runs", str(copied_runs)]).run()
    assert f"5 new points of 3 runs; to look at them: tensorboard --logdir {copied_runs}/tensorboard" in (
        capsys.readouterr().out
    )
    assert len(list((copied_runs / "tensorboard").iterdir())) == 3
    output = tmp_path / "events"
    cli.parse(["runs", "tensorboard", str(half_way), "--output", str(output)]).run()
    assert [path.name for path in output.iterdir()] == [half_way.name]


def test_following_goes_on_until_it_is_stopped(
    copied_runs: Path, half_way: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            train(read_config(half_way), copied_runs, "cpu")
        if len(waits) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(runs_command.time, "sleep", wait)
    monkeypatch.setattr(sys, "argv", ["lamobench", "runs", "tensorboard", "--follow", "--runs", str(copied_runs)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 130
    output: Callable[[], Any] = capsys.readouterr
    assert output().out.splitlines() == ["5 new points of 3 runs", "1 new point of 1 run"]
