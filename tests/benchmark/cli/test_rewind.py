"""`lamobench rewind`, from a run's folder to its table."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.datasets.errors import UserError

Run = Callable[..., str]


@pytest.fixture
def folder(tiny_request: Callable[..., RunRequest], tmp_path: Path) -> Path:
    """A finished run of LaMo on a tiny GPT-2."""
    return train(resolve(tiny_request("lamo")), tmp_path / "runs", "cpu")


def test_the_table_and_its_numbers(folder: Path, english: Path, typed: Run) -> None:
    arguments = ("rewind", folder, "--text", english, "--kilobytes", "1", "--episodes", "2", "--device", "cpu")
    lines = typed(*arguments).splitlines()
    assert lines[0].startswith(f"{folder.name}: english.txt, ")
    assert "before anything was added:" in lines[0]
    assert lines[2].split("  ")[0] == "alpha"
    assert [line.split()[0] for line in lines[3:9]] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert lines[10].startswith("area under the curve: score ")
    (row,) = json.loads(typed(*arguments, "--json"))
    first = row["points"][0]
    last = row["points"][-1]
    assert first["nats_per_token"] == pytest.approx(row["nats_before"], abs=1e-5)
    assert last["bits_per_byte"] == pytest.approx(
        last["nats_per_token"] * row["tokens"] / math.log(2) / row["bytes"], rel=1e-6
    )
    middle = [point["score"] for point in row["points"]]
    assert row["score_area"] == pytest.approx((sum(middle) - (middle[0] + middle[-1]) / 2) / 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"--episodes": 0}, "episodes is 0; give 1 or more"),
        ({"--alphas": 2}, "alphas 2: give 2 to 101 numbers from 0 to 1"),
        ({"--text": "no-such-text"}, "no text 'no-such-text': give 'docs'"),
        ({"--kilobytes": 0}, "the text may have 0 bytes"),
        ({"--lm": "gpt2-mini"}, "language model 'gpt2-mini' here is another one than the run's"),
    ],
    ids=str,
)
def test_mistakes_get_one_line(folder: Path, english: Path, typed: Run, options: dict[str, Any], message: str) -> None:
    given = {"--text": english, "--episodes": 1} | options
    with pytest.raises(UserError, match=message):
        typed("rewind", folder, *(word for pair in given.items() for word in pair))


def test_a_run_has_to_be_named(typed: Run) -> None:
    with pytest.raises(UserError, match="no run is named"):
        typed("rewind")
