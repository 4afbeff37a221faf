from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from lamobench.benchmark.runs.config import RunConfig
from lamobench.benchmark.scores.collect import finished, read_finished, read_run
from lamobench.benchmark.scores.run import Data, data_of
from lamobench.datasets.errors import UserError

WriteRun = Callable[..., Path]
RETURNS = [[1.0, 2.0], [3.0, 6.0]]


@dataclass(frozen=True, kw_only=True)
class ToyConfig(RunConfig):
    """A configuration of a track without data sets."""

    track: ClassVar[str] = "toy"


def toy(**changes: Any) -> ToyConfig:
    numbers = dict.fromkeys(("steps", "batch_size", "evaluate_every", "evaluation_episodes", "headline_evaluations"), 1)
    about = {"task": "bandit", "method": "own", "profile": "cpu", "precision": "float32", "version": "1", "policy": {}}
    return ToyConfig(**{**numbers, **about, "seed": 3, **changes})


def test_the_data_of_an_offline_run_is_that_of_its_configuration(write_run: WriteRun) -> None:
    run = read_finished(write_run(RETURNS, seed=2, data_seed=5))
    expected = Data(
        "reacher2d-medium-large", "recorded", "d" * 64, "subset 5 at 0.1", "lamobench/Reacher2d-v0", 0.1, 50
    )
    assert run.data == data_of(run.config) == expected
    assert (run.config.seed, run.data_seed) == (2, 5)


def test_a_run_without_a_data_set_has_what_its_row_shows_instead() -> None:
    assert data_of(toy()) == Data(dataset="bandit", source="", subset_hash="", fraction=1.0, episodes_in_subset=0)


def test_settings_are_what_seeds_of_a_row_share(write_run: WriteRun) -> None:
    first, second = (read_finished(write_run(RETURNS, seed=seed)) for seed in (0, 1))
    assert first.settings == second.settings
    assert first.settings["policy.hidden"] == 256
    assert first.settings["simulator"] == "mujoco 3.3.0"
    assert not {"seed", "data_seed", "subset_hash", "episodes_in_subset"} & first.settings.keys()
    changed = read_finished(write_run(RETURNS, seed=1, batch_size=32))
    assert changed.settings == first.settings | {"batch_size": 32}


def test_a_later_setting_at_its_default_is_no_other_setting(write_run: WriteRun) -> None:
    before = read_finished(write_run(RETURNS, seed=0))
    later = read_finished(write_run(RETURNS, seed=1, policy={"hidden": 256, "norm_before_time": True}))
    assert before.settings == later.settings


def test_a_run_that_is_not_finished_keeps_what_can_be_read(write_run: WriteRun) -> None:
    folder = write_run(RETURNS, seed=4)
    (folder / "done.json").unlink()
    run = read_run(folder)
    assert (run.id, run.status, run.config and run.config.seed) == (folder.name, "unfinished", 4)
    assert finished([run]) == []
    with pytest.raises(UserError, match=f"run {folder.name} is unfinished: start the same command again to go on"):
        read_finished(folder)
    (folder / "config.json").write_text("{")
    damaged = read_run(folder)
    assert (damaged.status, damaged.config) == ("damaged", None)
    assert damaged.what_and_how == f"{damaged.problem}; start the same command again, which sets its folder aside"
