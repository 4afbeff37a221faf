import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch

from lamobench.benchmark.benches import figure, peaks, profile, suite
from lamobench.benchmark.benches.figure import wanted_ratio
from lamobench.benchmark.benches.harness import Row, Settings, above, below, faster
from lamobench.benchmark.cli.main import main
from lamobench.datasets.errors import UserError

PAGE = "# Speed\n\n{0}\nold\n{1}\n\n{2}\n{3}\nend\n"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    marks = [mark.format(name=name) for name in ("measurements", "profile") for mark in (suite.BEGIN, suite.END)]
    (tmp_path / "page.md").write_text(PAGE.format(*marks))
    return tmp_path / "page.md"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The command on made-up measurements; returns its table."""

    def measured(settings: Settings, scratch: Path) -> list[Row]:
        assert settings.clock == "cpu"
        assert settings.threads == torch.get_num_threads()
        return [faster("load", "theirs", [(1.0, 4.0)], 3.0), above("share", "%", [50.0], 60.0)]

    def bounded(settings: Settings, scratch: Path) -> list[Row]:
        return [below("seeds", "steps of one", [2.5], 2.0, 5.0, "one by one")]

    monkeypatch.setattr(suite, "MEASUREMENTS", {"first": measured, "second": bounded})

    def run(*arguments: str) -> list[dict[str, str]]:
        output = tmp_path / "bench.csv"
        monkeypatch.setattr(sys, "argv", ["lamobench", "bench", "--output", str(output), "--clock", "cpu", *arguments])
        main()
        return list(csv.DictReader(output.open()))

    return run


def test_the_command_writes_table_figure_and_page(bench: Callable[..., Any], page: Path, tmp_path: Path) -> None:
    rows = bench("--page", str(page))
    assert [(row["name"], row["met"], row["clock"]) for row in rows] == [
        ("first", "True", "cpu"),
        ("first", "False", "cpu"),
        ("second", "False", "cpu"),
    ]
    assert (tmp_path / "bench.png").stat().st_size > 10_000
    text = page.read_text()
    assert "| load | 1 | 1000 ms | 4000 ms, theirs | 4 [4, 4] | 3 times faster | yes |" in text
    assert "| share | 1 | 50 % [50, 50] |  |  | 60 % or more | **no** |" in text
    assert (
        "| seeds | 1 | 2.5 steps of one [2.5, 2.5] | 5 steps of one, one by one | 2 | below 2 steps of one | **no** |"
        in text
    )
    assert "old" not in text
    assert text.startswith("# Speed\n")
    assert text.endswith("end\n")


def test_rows_of_other_measurements_stay(bench: Callable[..., Any], tmp_path: Path) -> None:
    first = bench("--only", "second")
    assert [row["name"] for row in first] == ["second"]
    assert [row["name"] for row in bench("--only", "first")] == ["first", "first", "second"]


def test_rows_with_other_numbers_of_threads_stay(bench: Callable[..., Any], page: Path) -> None:
    bench()
    rows = bench("--only", "first", "--threads", "2", "--page", str(page))
    told = [(row["name"], row["what"], row["threads"]) for row in rows]
    assert told == [
        ("first", "load", "1"),
        ("first", "share", "1"),
        ("first", "load", "2"),
        ("first", "share", "2"),
        ("second", "seeds", "1"),
    ]
    assert "| load | 2 | 1000 ms |" in page.read_text()
    assert [row["threads"] for row in bench("--only", "first")] == [row["threads"] for row in rows]


def test_rows_of_another_processor_are_a_table_of_their_own(
    bench: Callable[..., Any], page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(suite, "processor", lambda: "Another One")
        elsewhere.setattr(torch, "__version__", "1.0")
        bench()
    here = suite.processor()
    rows = bench("--only", "first", "--page", str(page))
    found = sorted((row["processor"], row["name"]) for row in rows)
    assert found == sorted([*[("Another One", name) for name in ("first", "first", "second")], *[(here, "first")] * 2])
    text = page.read_text()
    assert text.count("| load | 1 | 1000 ms |") == 2
    assert f"### {here}\n\n{here}, PyTorch" in text
    assert "### Another One\n\nAnother One, PyTorch" in text


def test_the_figure_has_a_bar_for_each_processor(tmp_path: Path) -> None:
    row = {"what": "load", "threads": "1", "other_name": "theirs", "ratio": "4", "low": "3", "high": "5"}
    rows = [row | {"wanted": "3 times faster", "met": "True", "processor": name} for name in ("One", "Another")]
    heights = []
    for shown in (rows[:1], rows):
        figure.bench_figure(shown, "made up", tmp_path / "bench.png")
        heights.append(plt.imread(tmp_path / "bench.png").shape[0])
    assert heights[1] - heights[0] == pytest.approx(figure.BAR * figure.DPI, abs=1)


def test_rows_of_another_pytorch_go(bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(torch, "__version__", "1.0")
        bench()
    assert [row["name"] for row in bench("--only", "first")] == ["first", "first"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--only", "thrid"), "unknown measurement 'thrid'"),
        (("--clock", "sun"), "unknown clock 'sun'"),
        (("--threads", "0"), "threads 0, rounds 5, seconds 0.3: give 1 thread or more"),
        (("--page", "nowhere.md"), "there is no page nowhere.md; leave --page out"),
    ],
)
def test_mistakes_are_one_line(
    bench: Callable[..., Any], capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        bench(*arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_training_step_that_there_is_not_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["lamobench", "bench", "--profile", "--only", "lamo"])
    with pytest.raises(SystemExit):
        main()
    assert "unknown training step 'lamo'" in capsys.readouterr().err


def test_a_page_without_a_place_is_refused_before_anything_is_measured(
    bench: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.md").write_text("nothing\n")
    with pytest.raises(SystemExit):
        bench("--page", str(tmp_path / "page.md"))
    said = capsys.readouterr().err
    assert "has no place for 'measurements'; give a page with the lines" in said
    assert "measuring" not in said


def test_a_page_without_a_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("nothing\n")
    with pytest.raises(UserError, match="has no place for 'measurements'; give a page with the lines <!-- measure"):
        suite.write_into(tmp_path / "page.md", "measurements", "text")


def test_the_page_of_the_documentation_has_its_places() -> None:
    text = (Path(suite.__file__).parents[2] / "docs" / "performance.md").read_text()
    for name in ("measurements", "profile"):
        assert text.index(suite.BEGIN.format(name=name)) < text.index(suite.END.format(name=name))


def test_peaks_are_measured(tmp_path: Path) -> None:
    rows = peaks.peaks(Settings(rounds=2, seconds=1e-4), tmp_path, size=64, copied=1 << 16)
    assert [row.unit for row in rows] == ["GFLOP/s"] * 3 + ["GB/s"]
    assert all(row.ours > 0 and row.met is None for row in rows)


def test_a_step_is_taken_apart(page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "--profile", "--only", "td3-bc", "--rounds", "2", "--page", str(page)]
    monkeypatch.setattr(sys, "argv", ["lamobench", *words])
    main()
    head, line = capsys.readouterr().out.splitlines()[-2:]
    assert head.split()[:3] == ["step", "ms", "products"]
    shares = [float(cell) for cell in line.split()[2:]]
    assert sum(shares) == pytest.approx(100, abs=1)
    products, _, dropout, activations, *_ = shares
    assert products > activations > dropout == 0  # how much of the time they are depends on what else runs
    assert "| td3-bc |" in page.read_text()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("aten::addmm", "products"),
        ("aten::bernoulli_", "dropout"),
        ("aten::random_", "dropout"),
        ("aten::gelu_backward", "activations"),
        ("aten::_fused_adamw_", "optimiser"),
        ("aten::add_", "elementwise"),
        ("aten::copy_", "copies"),
        ("autograd::engine::evaluate_function: AddBackward0", profile.REST),
    ],
)
def test_operations_have_a_kind(name: str, kind: str) -> None:
    assert profile.kind_of(name) == kind


def test_shares_add_up() -> None:
    shares = profile.by_kind([("aten::mm", 6.0), ("aten::add", 1.0), ("Optimizer.step", 9.0)], 10.0)
    assert (shares["products"], shares["elementwise"], shares[profile.REST]) == (60.0, 10.0, 30.0)


def test_what_is_wanted_has_a_number() -> None:
    assert (wanted_ratio("30 times faster"), wanted_ratio("1.5 times faster")) == (30.0, 1.5)
