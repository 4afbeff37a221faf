from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lamobench.benchmark.cli.main import parse
from lamobench.benchmark.offline.build import build_policy, training_subset
from lamobench.benchmark.offline.describe import describe_policy
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.runs.methods import METHODS, methods_of


def rows_of(request: RunRequest) -> dict[str, tuple[int, int]]:
    config = resolve(request)
    policy = build_policy(config, training_subset(config), torch.device("cpu"))
    return {row["part"]: (row["trained"], row["frozen"]) for row in describe_policy(policy)}


@pytest.mark.parametrize("method", [name for name in methods_of("offline") if METHODS[name].continuous])
def test_every_method_is_described_to_the_last_parameter(tiny_request: Callable[..., RunRequest], method: str) -> None:
    rows = rows_of(tiny_request(method))
    trained, frozen = rows.pop("all")
    assert (trained, frozen) == tuple(sum(column) for column in zip(*rows.values(), strict=True))
    assert trained > 0
    assert (frozen > 0) == method.startswith("lamo")  # of Wiki-RL all is trained


def test_lamo_trains_what_the_paper_says(tiny_request: Callable[..., RunRequest]) -> None:
    """GPT-2 of width 16 in 2 layers of rank 2: an update is 2 * 16 * 2 parameters for each of q, k and v."""
    rows = rows_of(tiny_request("lamo"))
    assert {part for part, (trained, _) in rows.items() if trained and part != "all"} == {
        "language model: low-rank updates",
        "language model: biases of queries, keys, values",
        *("embed return", "embed state", "embed action", "embed time", "embed norm", "head"),
    }
    assert all(not (trained and frozen) for part, (trained, frozen) in rows.items() if part != "all")
    assert rows["language model: low-rank updates"] == (2 * 3 * 2 * 16 * 2, 0)
    assert rows["language model: biases of queries, keys, values"] == (2 * 3 * 16, 0)
    assert rows["language model: queries, keys, values"] == (0, 2 * 3 * 16 * 16)


def test_the_command_prints_the_parts_and_trains_nothing(
    tiny_request: Callable[..., RunRequest], tiny_gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_request()
    command = ["train", "reacher2d-medium", "--describe", "--lm", str(tiny_gpt2), "--runs", str(tmp_path / "runs")]
    parse(command).run()
    printed = capsys.readouterr().out
    assert "language model: low-rank updates" in printed
    assert printed.splitlines()[0].split() == ["part", "trained", "frozen"]
    assert not (tmp_path / "runs").exists()
