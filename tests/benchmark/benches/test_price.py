import csv
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.benches import policies, price, suite
from lamobench.benchmark.benches.harness import KilledError, Settings, memory_of
from lamobench.benchmark.benches.price import cells_of, kind_of, price_table, stock_random
from lamobench.benchmark.benches.price_page import makespan, price_as_markdown
from lamobench.benchmark.benches.suite import empty_home
from lamobench.benchmark.cli.main import main
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.runs.methods import methods_for
from lamobench.datasets.entries import DATASETS, TABLE
from lamobench.datasets.errors import UserError

QUICK = Settings(rounds=1, seconds=1e-4)
MEASURED = {"step_ms": 36.0, "act_ms": 3.0, "gb": 1.5, "device": "AMD EPYC", "on": "cpu"}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The measurements asked for; a step is said to take 36 ms, a forward pass 3 ms, a simulator's step 0.1 ms."""
    asked = list[tuple[str, str]]()

    def measure(settings: Settings, cell: tuple[str, str], *_: Any) -> dict[str, Any]:
        asked.append(cell)
        return dict(MEASURED)

    stock = price.stock_random
    monkeypatch.setattr(price, "_measured", measure)
    monkeypatch.setattr(price, "stock_random", lambda dataset, settings: min(stock(dataset, settings), 0.0) + 1e-4)
    return asked


def test_a_full_table_is_what_the_makefile_trains() -> None:
    makefile = (Path(price.__file__).parents[2] / "Makefile").read_text()
    (targets,) = re.findall(r"^EVERY_TASK := (.*)$", makefile, re.M)
    assert targets.split() == list(TABLE)
    assert all(dataset == (target if "kitchen" in target else f"{target}-medium") for target, dataset in TABLE.items())
    assert all(DATASETS[dataset].published_fractions for dataset in TABLE.values())


def test_the_cells_of_a_full_table() -> None:
    cells = cells_of([])
    assert cells[0] == ("hopper-medium", "lamo")
    assert len(cells) == 6 * len(methods_for(discrete=False)) + 3 * len(methods_for(discrete=True))
    assert cells_of(["bc", "hopper-medium", "pong-medium"]) == [("hopper-medium", "bc"), ("pong-medium", "bc")]
    with pytest.raises(UserError, match="unknown method or data set of a full table 'hopper'"):
        cells_of(["hopper"])
    with pytest.raises(UserError, match="none of nfq plays hopper-medium; leave --only out"):
        cells_of(["nfq", "hopper-medium"])


def test_the_longest_runs_come_first_and_take_the_first_free_device() -> None:
    hours = [2.0, 3.0, 4.0, 5.0, 6.0]
    assert makespan(hours, 1) == 20.0
    assert makespan(hours, 2) == 11.0  # 6 + 3 + 2 beside 5 + 4
    assert makespan(hours, 64) == 6.0


def test_what_costs_alike_is_measured_once(measured: list[tuple[str, str]]) -> None:
    cells = [(dataset, method) for dataset in ("breakout-medium", "pong-medium") for method in ("lamo", "lamo-random")]
    rows = [row for rows in price_table(QUICK, "cpu", [*cells, ("pong-medium", "bc")], 1, print) for row in rows]
    assert measured == [("breakout-medium", "lamo"), ("pong-medium", "bc")]
    assert sorted((row["dataset"], row["method"]) for row in rows) == sorted([*cells, ("pong-medium", "bc")])


def test_hours_are_those_of_steps_and_evaluations(measured: list[tuple[str, str]]) -> None:
    ((row,),) = price_table(QUICK, "cpu", [("reacher2d-medium", "lamo")], 2, print)
    # 800 steps of 36 ms; 4 evaluations of 100 steps, each 3 ms and 20 episodes of 0.1 ms; 3 fractions, 5 seeds
    assert row["train_hours"] == pytest.approx(800 * 0.036 / 3600)
    assert row["evaluation_hours"] == pytest.approx(4 * 100 * (0.003 + 20 * 0.0001) / 3600)
    assert (row["runs"], row["steps"], row["episodes"], row["horizon"], row["batch"]) == (15, 800, 80, 100, 32)
    assert row["hours"] == pytest.approx(15 * (row["train_hours"] + row["evaluation_hours"]))
    assert (row["profile"], row["parts"], row["lm"]) == ("cpu", 2, "gpt2-mini")


def test_the_paper_profile_needs_neither_data_nor_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"n_layer": 1, "n_head": 1, "n_embd": 8, "vocab_size": 16, "n_positions": 128}
    monkeypatch.setitem(policies.SHAPES, "gpt2", sizes)
    with empty_home():
        assert stock_random("hopper-medium", QUICK) > 0
        price.place_random_model("gpt2")
        configs = [resolve(RunRequest("hopper-medium", m, profile="paper")) for m in ("lamo", "lamo-random", "wiki-rl")]
    assert (configs[0].batch_size, configs[0].lm, configs[0].steps) == (64, "gpt2", 100_000)
    with empty_home():
        stock_random("hopper-medium", QUICK)
        kinds = [kind_of(config) for config in configs]
    assert kinds[0] == kinds[1] != kinds[2]


def test_the_command_measures_and_says_what_a_core_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    output = tmp_path / "price.csv"
    page.write_text(f"{suite.BEGIN.format(name='price')}\n{suite.END.format(name='price')}\n")
    words = ["bench", "--price", "cpu", "--only", "bc", "reacher2d-medium", "--rounds", "1", "--seconds", "0.001"]
    monkeypatch.setattr(sys, "argv", ["lamobench", *words, "--output", str(output), "--page", str(page)])
    main()
    (row,) = csv.DictReader(output.open())
    assert (row["dataset"], row["method"], row["on"]) == ("reacher2d-medium", "bc", "cpu")
    assert all(float(row[column]) > 0 for column in ("step_ms", "act_ms", "simulator_ms", "gb", "hours"))
    text = page.read_text()
    assert "GPU" not in text
    assert f"A part of the full table (1 of {len(cells_of([]))} pairs) of the `cpu` profile, of 1 data set" in text
    assert f"On {row['device']}: **" in text
    assert "core-hours**" in text


def test_rows_of_the_same_profile_stay(
    measured: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "price.csv"
    for method, threads in (("iql", "1"), ("bc", "1"), ("iql", "1"), ("bc", "2")):
        words = ["bench", "--price", "cpu", "--only", method, "reacher2d-medium", "--output", str(output)]
        monkeypatch.setattr(sys, "argv", ["lamobench", *words, "--threads", threads])
        before = list(csv.DictReader(output.open())) if output.exists() else []
        main()
    assert [row["method"] for row in before] == ["iql", "bc"]
    (row,) = csv.DictReader(output.open())  # hours of one core and of two are not added up
    assert (row["method"], row["threads"]) == ("bc", "2")
    assert len(measured) == 4


def test_a_gpu_is_called_one() -> None:
    row = {"profile": "paper", "device": "NVIDIA H200", "on": "cuda", "dataset": "hopper-medium", "method": "lamo"}
    row |= {"step_ms": "18.04", "gb": "4.2", "runs": "20", "train_hours": "0.5", "evaluation_hours": "0.1"}
    text = price_as_markdown([row | {"hours": "12", "threads": "1", "clock": "wall", "rounds": "5"}])
    assert "On NVIDIA H200: **12 GPU-hours**, 10 of them training and 2 evaluations; one such GPU is done" in text
    assert "after 12 hours, 64 after 0.6 hours, the longest run alone takes 0.6 hours." in text
    assert text.endswith("| | hopper-medium |\n|---|---|\n| lamo | 12 (18 ms, 4.2 GB) |")
    slow = price_as_markdown([row | {"hours": "12", "step_ms": "2345.6", "gb": "10.19", "threads": "1"}])
    assert slow.endswith("| lamo | 12 (2.35 s, 10 GB) |")


def test_a_measurement_that_is_killed_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price, "SCRIPT", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(UserError, match=r"killed by signal 9: lamo on x needs more memory than .*--parts 4"):
        price._measured(QUICK, ("x", "lamo"), "paper", 2, tmp_path)
    with pytest.raises(KilledError):
        memory_of([json.dumps({})], tmp_path, script=price.SCRIPT)


def test_a_measurement_without_memory_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price, "SCRIPT", "raise RuntimeError('CUDA out of memory. Tried to allocate 2.00 GiB')")
    with pytest.raises(UserError, match=r"^lamo on x needs more memory than .*--parts 2, or leave it out"):
        price._measured(QUICK, ("x", "lamo"), "paper", 1, tmp_path)
    with pytest.raises(UserError, match=r"^cql on x needs more memory than there is; leave it out by naming others"):
        price._measured(QUICK, ("x", "cql"), "paper", 1, tmp_path)
    monkeypatch.setattr(price, "SCRIPT", "raise RuntimeError('a defect')")
    with pytest.raises(RuntimeError, match="a defect"):
        price._measured(QUICK, ("x", "lamo"), "paper", 1, tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--price paper --growth", "--growth and --price: give one of them at a time"),
        ("--price laptop", "unknown profile 'laptop'"),
        ("--price paper --parts 0", "parts is 0; give 1 or more"),
        ("--price paper --clock cpu --threads 2", "give --clock wall"),
        ("--growth --only depth", "unknown axis 'depth'"),
        ("--parts 4", "--parts 4 is of --price alone"),
        ("--growth --full", "have their own sizes; leave --full out"),
        ("--profile --output x.csv", "--profile writes no table; leave --output out"),
    ],
)
def test_mistakes_are_one_line(
    words: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["lamobench", "bench", *words.split()])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
