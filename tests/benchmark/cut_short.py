"""The check that a run which is cut short and begun again ends as one that was not, for the tests of every track."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from lamobench.benchmark.training.life import Life


class StoppedError(Exception):
    """The run is cut short here."""


@contextmanager
def stopped_after(step: int) -> Iterator[None]:
    """Cut runs short once they have settled after a step."""
    settle = Life.settle

    def stop(life: Life) -> None:
        settle(life)
        if life.progress.step == step:
            raise StoppedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Life, "settle", stop)
        yield


def assert_goes_on(train: Callable[[Path], Path], folder: Path, stop: int) -> Path:
    """Check that `train`, which gives a run's folder below another one, goes on after it was cut short at a step.

    Returns the folder of the run that was not.
    """
    whole = train(folder / "whole")
    with stopped_after(stop), pytest.raises(StoppedError):
        train(folder / "cut")
    torch.manual_seed(123)  # what a run draws doesn't come from there
    np.random.seed(123)  # noqa: NPY002
    assert_same_run(train(folder / "cut"), whole)
    return whole


def assert_same_run(folder: Path, expected: Path) -> None:
    """Check that two folders hold the same run, bit by bit, but for the seconds that it took."""
    tables = {path.name for path in expected.iterdir() if path.suffix in (".csv", ".json")} - {"done.json"}
    assert tables >= {"config.json", "episodes.csv"}
    for name in tables:
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name
    assert rows_of(folder) == rows_of(expected)
    ours, theirs = (
        safe_open(path / "checkpoint.safetensors", framework="pt")  # type: ignore[no-untyped-call]
        for path in (folder, expected)
    )
    assert set(ours.keys()) == set(theirs.keys())
    for name in ours.keys():  # noqa: SIM118 - safe_open is no mapping
        assert torch.equal(ours.get_tensor(name), theirs.get_tensor(name)), name
    states = [without_seconds(json.loads(file.metadata()["state"])) for file in (ours, theirs)]
    assert states[0] == states[1]


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The rows of a run's metrics, without seconds."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [without_seconds(row) for row in rows]


def without_seconds(row: dict[str, Any]) -> dict[str, Any]:
    """The values but for seconds, also in the rows that are among them."""
    kept = {name: value for name, value in row.items() if "seconds" not in name}
    return kept | {"metrics": [without_seconds(each) for each in row["metrics"]]} if "metrics" in row else kept
