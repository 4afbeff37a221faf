import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lamobench.benchmark.scores.aggregates import Estimate
from lamobench.benchmark.scores.measured import (
    about_intervals,
    columns,
    difference,
    difference_columns,
    estimate_columns,
    percent,
    with_interval,
)
from lamobench.benchmark.scores.places import Place, draw_places, rows_by_place


def test_columns_are_the_mean_and_its_interval_cut_to_what_the_measure_can_be() -> None:
    found = columns("far", [0.0, 0.1, 0.0, 0.9], (0.0, 1.0))
    assert list(found) == ["far", "far_low", "far_high"]
    assert found["far"] == 0.25
    assert found["far_low"] == 0.0
    assert 0.25 < (found["far_high"] or 0.0) <= 1.0
    assert (columns("far", [0.0, 0.1, 0.0, 0.9])["far_low"] or 0.0) < 0.0


def test_values_beyond_what_a_measure_can_be_are_in_its_interval() -> None:
    found = columns("share", [-0.17, -0.1, -0.05], (0.0, 1.0))
    assert (found["share_low"] or 0.0) < -0.1 < (found["share_high"] or 0.0) < 1.0
    assert (columns("share", [0.9, 1.2, 1.1], (0.0, 1.0))["share_high"] or 0.0) > 1.2


def test_what_is_not_finite_is_left_out_and_what_is_unknown_is_none() -> None:
    assert columns("steps", [4.0, math.nan, 8.0])["steps"] == 6.0
    assert columns("steps", [4.0, math.nan]) == {"steps": 4.0, "steps_low": None, "steps_high": None}
    assert columns("steps", [math.nan]) == {"steps": None, "steps_low": None, "steps_high": None}
    assert estimate_columns("x", Estimate(1.0, math.nan, 2.0)) == {"x": 1.0, "x_low": None, "x_high": 2.0}


def test_a_difference_says_what_so_many_seeds_would_have_seen() -> None:
    """Three seeds with a deviation of 0.1: Student's t of two degrees of freedom, a unit of 0.1 / sqrt(3)."""
    found = difference_columns("gain", [0.1, 0.2, math.nan, 0.3])
    assert list(found) == ["gain", "gain_low", "gain_high", "gain_detectable"]
    seen = (found["gain_detectable"] or 0.0) / (0.1 / math.sqrt(3.0))
    rng = np.random.default_rng(0)
    drawn = rng.normal(seen / math.sqrt(3.0), 1.0, (20_000, 3))
    t = drawn.mean(1) / (drawn.std(1, ddof=1) / math.sqrt(3.0))
    assert np.mean(np.abs(t) > 4.3027) == pytest.approx(0.8, abs=0.01)
    assert difference_columns("gain", [0.1])["gain_detectable"] is None
    assert difference_columns("gain", [])["gain_detectable"] is None


def test_cells_show_shares_in_per_cent() -> None:
    row = {"gain": 0.261, "gain_low": 0.1, "gain_high": 0.4}
    assert with_interval(row, "gain") == "26 [10, 40]"
    assert difference(row, "gain") == "26 [10, 40] *"
    assert difference(row | {"gain_low": -0.1}, "gain") == "26 [-10, 40]"
    assert difference(row | {"gain_low": -0.4, "gain_high": -0.1}, "gain").endswith(" *")
    assert difference(row | {"gain_low": None, "gain_high": None}, "gain") == "26"
    assert difference(dict.fromkeys(row), "gain") == ""
    assert percent(-0.001) == "0"


def group(task: str, dataset: str, variant: str = "") -> Any:
    config = SimpleNamespace(task=task, profile="cpu")
    return SimpleNamespace(config=config, data=SimpleNamespace(dataset=dataset), variant=variant)


def test_a_place_is_named_by_its_task_and_data() -> None:
    rows = [
        {"task": "relay", "profile": "cpu", "variant": "", "seeds": 2},
        {"task": "relay", "profile": "cpu", "variant": "steps=4", "seeds": 3},
        {"task": "tidy", "dataset": "games-mixed", "profile": "cpu", "variant": "", "seeds": 3},
        {"task": "relay", "profile": "cpu", "variant": "", "seeds": 3},
    ]
    found = rows_by_place(rows)
    assert [place.heading(own) for place, own in found.items()] == [
        "relay (cpu profile, 2 to 3 seeds)",
        "relay (cpu profile, steps=4, 3 seeds)",
        "tidy-mixed (cpu profile, 3 seeds)",
    ]
    assert found[Place("relay", "relay", "cpu", "")] == [rows[0], rows[3]]


def test_a_figure_is_named_in_full_where_there_are_several_of_a_task(tmp_path: Path) -> None:
    groups = [group("tidy", "tidy"), group("relay", "relay", "lr=1"), group("relay", "relay"), group("relay", "relay")]
    drawn: list[tuple[int, str]] = []
    names = draw_places(groups, tmp_path, lambda own, path: drawn.append((len(own), path.name)))
    assert names == ["relay-cpu.png", "relay-cpu-lr=1.png", "tidy.png"]
    assert drawn == [(2, "relay-cpu.png"), (1, "relay-cpu-lr=1.png"), (1, "tidy.png")]


def test_a_note_says_of_intervals_what_the_rows_have() -> None:
    note = "area{interval}. gain.{star}{own}"
    one = columns("area", [0.5]) | columns("area_gain", [0.1])
    several = columns("area", [0.4, 0.6]) | columns("area_gain", [0.1, 0.3])
    assert about_intervals(note, [one], own="") == "area. gain."
    told = "area, with its 95 % interval. gain. *: its interval lies above or below 0. own."
    assert about_intervals(note, [one, several], own=" own.") == told
    alone = columns("area", [0.4, 0.6]) | columns("area_gain", [])
    assert about_intervals(note, [alone], own="") == "area, with its 95 % interval. gain."
