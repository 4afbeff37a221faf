import csv
from dataclasses import fields
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from lamobench.benchmark.cli.main import parse
from lamobench.benchmark.finetune import severity
from lamobench.benchmark.finetune.measures import Measures
from lamobench.benchmark.finetune.severity import KNOBS, Measured, Point, points, severity_figure
from lamobench.benchmark.recompute.check import check_folder
from lamobench.datasets.environments.staged_tasks import find_staged_task
from lamobench.datasets.errors import UserError
from lamobench.datasets.storage import write_rows


def test_knobs_are_options_of_tasks_and_hold_what_the_task_has() -> None:
    for knob in KNOBS.values():
        options = vars(find_staged_task(knob.task).options)
        assert options[knob.option] in knob.values


def test_what_is_not_known_is_one_line() -> None:
    with pytest.raises(UserError, match="unknown knob 'distanze'; did you mean 'distance'"):
        points(["distanze"], (), (0,))
    with pytest.raises(UserError, match="unknown method of apple-retrieval 'finetune-em'"):
        points(["distance"], ("finetune-em",), (0,))


def test_a_little_sweep_ends_in_a_table_and_a_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    knob = severity.Knob("distance", "apple-retrieval", "distance", (2, 20), "M", "steps")
    monkeypatch.setitem(severity.KNOBS, "distance", knob)
    where = ["--runs", str(tmp_path / "runs"), "--output", str(tmp_path / "severity.csv"), "--jobs", "1"]
    command = ["severity", "distance", "--seeds", "0", "--methods", "frozen", "--steps", "20", *where]
    parse([*command, "--plan"]).run()
    assert not (tmp_path / "severity.csv").exists()
    parse(command).run()
    with (tmp_path / "severity.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["value"], row["method"], float(row["forgetting"])) for row in rows] == [
        ("2", "frozen", 0.0),
        ("20", "frozen", 0.0),
    ]
    assert rows[0]["forgetting_low"] == ""  # of one seed nothing is known
    assert "severity.png" in capsys.readouterr().out
    assert (tmp_path / "severity.png").exists()
    parse(
        ["leaderboard", "--runs", str(tmp_path / "runs"), "--output", str(tmp_path), "--no-figures", "--archive"]
    ).run()
    assert {checked.path.name: checked.faults for checked in check_folder(tmp_path)}["severity.csv"] == ()
    rows[1]["forgetting"] = "0.01"
    write_rows(tmp_path / "severity.csv", rows)
    (fault,) = next(checked.faults for checked in check_folder(tmp_path) if checked.path.name == "severity.csv")
    assert fault.startswith("forgetting is 0.01, recomputed 0 (task apple-retrieval, option distance, value 20")


def test_the_figure_shows_every_knob(tmp_path: Path) -> None:
    half = {field.name: 0.5 for field in fields(Measures)}
    seeds = tuple(Measures(**half | {"forgetting": forgetting}) for forgetting in (0.4, 0.5, 0.6))
    every = [
        Measured(Point(knob, value, method, ()), seeds)
        for knob in KNOBS.values()
        for value in knob.values
        for method in severity.METHODS
    ]
    severity_figure(every, tmp_path / "all.png")
    severity_figure([each for each in every if each.point.knob.option == "goals"], tmp_path / "one.png")
    everything, one = (matplotlib.image.imread(tmp_path / name) for name in ("all.png", "one.png"))
    assert everything.shape == one.shape
    assert not np.array_equal(everything, one)
