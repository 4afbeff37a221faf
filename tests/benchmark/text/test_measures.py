"""Measures of runs whose evaluations are written by hand."""

import math
from pathlib import Path

import numpy as np
import pytest

from lamobench.benchmark.runs.damage import sizes_and_hashes
from lamobench.benchmark.scores.collect import read_finished
from lamobench.benchmark.scores.measured import UNBOUNDED
from lamobench.benchmark.text.measures import METERS, bounds_of, ends, measure, robustness, steps_to_enough
from lamobench.datasets.errors import UserError
from lamobench.datasets.json_files import read_json
from lamobench.datasets.storage import write_json
from lamobench.tests.benchmark.text.little_runs import OUTCOMES, write_run


def test_a_run_by_hand(tmp_path: Path) -> None:
    run = read_finished(write_run(tmp_path, "drrn-fixed", 0))
    found = measure(run)
    assert found.area == pytest.approx((0.25 + 0.75 + 1.0 + 1.0) / 4)
    assert found.best == pytest.approx(1.0)
    assert found.steps_to_80 == 200
    assert found.moves == 10
    assert found.robustness == pytest.approx((0.75 + 0.25) / 2 / 1.0)
    assert found.cpu_seconds == 30.0
    assert ends(run) == OUTCOMES["drrn-fixed"][1]


def test_what_is_never_learned_has_no_steps_and_no_robustness() -> None:
    steps = np.array([0, 10, 20])
    assert steps_to_enough(steps, np.array([0.0, 0.8, 1.0])) == 10
    assert steps_to_enough(steps, np.array([0.5, 0.5, 0.5])) == 0
    assert math.isnan(steps_to_enough(steps, np.zeros(3)))
    assert math.isnan(robustness({"train/orig": 0.0, "train/shuffle": 0.0}, "train"))
    assert math.isnan(robustness({"train/orig": 1.0}, "train"))
    assert robustness({"train/orig": 0.5, "train/shuffle": 0.25, "ood/shuffle": 0.0}, "train") == 0.5


def test_intervals_of_meters_end_where_the_meters_do() -> None:
    """The rise of cross entropy alone has no ends."""
    assert {name for name in METERS if bounds_of(name) == UNBOUNDED} == {"cross_entropy"}
    assert bounds_of("anisotropy_nouns") == bounds_of("wordnet_before") == (-1.0, 1.0)
    assert bounds_of("neighbours_glosses") == bounds_of("holders_others_before") == (0.0, 1.0)


def test_parts_that_are_cut_short_are_damage(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "random", 0)
    lines = (folder / "stages.csv").read_text().splitlines(keepends=True)
    (folder / "stages.csv").write_text("".join(lines[:-1]))
    with pytest.raises(UserError, match=r"stages\.csv"):
        measure(read_finished(folder))
    write_json(folder / "done.json", read_json(folder / "done.json") | sizes_and_hashes(folder))
    with pytest.raises(UserError, match="must hold 8 episodes of each of 4 splits in views"):
        measure(read_finished(folder))
