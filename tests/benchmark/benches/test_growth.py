import csv
import sys
from functools import partial
from pathlib import Path

import pytest

from lamobench.benchmark.benches import growth, growth_figure, suite
from lamobench.benchmark.benches.harness import Settings
from lamobench.benchmark.benches.suite import empty_home
from lamobench.benchmark.cli.main import main
from lamobench.datasets.errors import UserError

QUICK = Settings(clock="cpu", rounds=2, seconds=1e-4)
HOW = {"clock": "cpu", "threads": "1", "rounds": "2"}


def row(axis: str, x: int, label: str, value: str, unit: str = "ms", gb: str = "0.5") -> dict[str, str]:
    point = {"axis": axis, "x": str(x), "what": label, "value": value, "low": value, "high": value}
    return point | {"unit": unit, "gb": gb} | HOW


@pytest.fixture
def no_children(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The arguments of processes that would be started to measure memory."""
    asked = list[list[str]]()

    def memory_of(arguments: list[str], scratch: Path, **_: str) -> float:
        asked.append(arguments)
        return 0.5

    monkeypatch.setattr(growth, "memory_of", memory_of)
    return asked


def test_steps_grow_with_the_context(no_children: list[list[str]], tmp_path: Path) -> None:
    points = growth.over_contexts(QUICK, tmp_path, contexts=(2, 100), windows=2)
    assert [(point.x, point.what) for point in points] == [
        (2, "DT step, 2 windows"),
        (100, "DT step, 2 windows"),
        (2, "LaMo step, gpt2-mini, 2 windows"),
        (100, "LaMo step, gpt2-mini, 2 windows"),
    ]
    assert no_children[-1] == ["gpt2-mini", "100", "2", "1"]
    for short, long in (points[:2], points[2:]):
        assert short.low is not None
        assert 0 < short.low <= short.value < long.value
        assert (short.unit, short.gb, short.clock, short.rounds) == ("ms", 0.5, "cpu", 2)


def test_wider_models_are_told_by_their_width(no_children: list[list[str]], tmp_path: Path) -> None:
    (point,) = growth.over_widths(QUICK, tmp_path, shapes=("gpt2-mini",), windows=1)
    assert (point.x, point.what) == (128, "LaMo step, 1 windows of 20")
    assert no_children == [["gpt2-mini", "20", "1", "1"]]


def test_batches_of_growing_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "SAMPLES", {"windows": growth.SAMPLES["windows"]})
    with empty_home() as scratch:
        (point,) = growth.over_data(QUICK, scratch, sizes=(1000,))
    assert (point.x, point.what, point.unit) == (1000, "batch of 64 windows", "ms")
    assert point.gb is not None
    assert 0.01 < point.gb < 2


def test_runs_on_the_pool_are_counted_by_the_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = {"steps": 2, "evaluate_every": 2, "evaluation_episodes": 1, "headline_evaluations": 1}
    with empty_home() as scratch:
        (point,) = growth.over_runs(QUICK, scratch, counts=(1,), budget=budget)
        assert len(list(scratch.glob("runs-1/*/done.json"))) == 1
    assert (point.x, point.unit, point.gb, point.clock, point.rounds) == (1, "runs an hour", None, "wall", 1)
    assert point.value > 0


def test_the_command_keeps_other_axes_and_writes_figure_and_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(settings: Settings, scratch: Path, x: int) -> list[growth.Point]:
        return [growth.Point(x, growth.DT, 2.5 * x, 2.0, 3.0, "ms", 0.25, settings.clock, settings.threads, 1)]

    monkeypatch.setattr(growth, "AXES", {"context": partial(measured, x=5), "data": partial(measured, x=1000)})
    page = tmp_path / "page.md"
    output = tmp_path / "growth.csv"
    page.write_text(f"{suite.BEGIN.format(name='growth')}\n{suite.END.format(name='growth')}\n")
    for axis in ("data", "context"):
        words = ["bench", "--growth", "--only", axis, "--output", str(output), "--page", str(page)]
        monkeypatch.setattr(sys, "argv", ["lamobench", *words])
        main()
    rows = list(csv.DictReader(output.open()))
    assert [(found["axis"], found["x"], found["value"]) for found in rows] == [
        ("context", "5", "12.5"),
        ("data", "1000", "2500"),
    ]
    assert output.with_suffix(".png").stat().st_size > 10_000
    assert "| context K, steps | 5 |\n|---|---|\n| DT step, ms | 12.5 |\n| DT step, GB | 0.25 |\n\n" in page.read_text()


def test_tables_have_gaps_where_nothing_was_measured() -> None:
    rows = [row("context", 5, growth.DT, "1"), row("context", 10, growth.DT, "2"), row("context", 10, "LaMo", "3")]
    rows.append(row("runs", 64, growth.BC, "400", "runs an hour", ""))
    assert growth_figure.growth_as_markdown(rows).splitlines() == [
        "| context K, steps | 5 | 10 |",
        "|---|---|---|",
        "| DT step, ms | 1 | 2 |",
        "| DT step, GB | 0.5 | 0.5 |",
        "| LaMo, ms |  | 3 |",
        "| LaMo, GB |  | 0.5 |",
        "",
        "| runs | 64 |",
        "|---|---|",
        "| runs of BC, runs an hour | 400 |",
    ]


def test_an_axis_that_there_is_not_is_refused() -> None:
    with pytest.raises(UserError, match="unknown axis 'depth'"):
        growth.chosen_axes(["depth"])


def test_the_page_of_the_documentation_has_its_places() -> None:
    text = (Path(suite.__file__).parents[2] / "docs" / "performance.md").read_text()
    for name in ("growth", "price"):
        assert text.index(suite.BEGIN.format(name=name)) < text.index(suite.END.format(name=name))
