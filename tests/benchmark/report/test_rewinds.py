"""Rewind curves on the report's page."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lamobench.benchmark.report.contents import read_contents
from lamobench.benchmark.report.page import write_report
from lamobench.benchmark.report.rewinds import read_rewinds, rewind_charts
from lamobench.benchmark.runs.layout import REWIND
from lamobench.benchmark.scores.rewind import Point, Rewind, write_rewind

WriteRun = Callable[..., Path]


def curve(score: float, nats: float, text: str = "a <text>", alphas: tuple[float, ...] = (0.0, 0.5, 1.0)) -> Rewind:
    """A curve on which score and change of cross entropy rise evenly from 0."""
    points = tuple(Point(alpha, alpha * score, 4.0 + alpha * nats, 2.0 + alpha * nats / 2) for alpha in alphas)
    return Rewind(text, text * 8, 1000, 500, 20, 3, 76.0, 4.0, 2.0, points)


@pytest.fixture
def runs(runs_root: Path, write_run: WriteRun) -> list[Path]:
    """Two seeds of LaMo, which have curves, and one of BC."""
    lamo = [write_run([[50.0] * 2] * 2, seed=seed, method="lamo", lm="gpt2-mini") for seed in (0, 1)]
    for folder, score, nats in zip(lamo, (40.0, 60.0), (0.2, 0.4), strict=True):
        write_rewind(folder, curve(score, nats))
    write_run([[40.0] * 2] * 2, method="bc")
    return lamo


def test_runs_are_averaged(runs: list[Path]) -> None:
    contents = read_contents(runs[0].parent)
    (found,) = read_rewinds(contents)[0][contents.settings[0].anchor]
    problems = read_rewinds(contents)[1]
    (line,) = found.lines
    assert problems == []
    assert (found.text, found.bytes, line.bits_before) == ("a <text>", 1000, 2.0)
    assert line.nats_change == pytest.approx([0.0, 0.15, 0.3])
    assert line.bits_change == pytest.approx([0.0, 0.075, 0.15])
    assert (line.score_area, line.bits_area) == pytest.approx((25.0, 0.075))
    score, language = rewind_charts(found, "name")
    assert score.rows == [["0", "0.0"], ["0.5", "25.0"], ["1", "50.0"]]
    assert [row[1] for row in language.rows] == ["0.000", "0.075", "0.150"]


def test_the_page_has_charts_and_a_table(runs: list[Path], tmp_path: Path) -> None:
    assert write_report(read_contents(runs[0].parent), tmp_path / "report.html") == []
    page = (tmp_path / "report.html").read_text()
    assert page.count("What became of language</h4>") == 1
    assert "Cross entropy of the a &lt;text&gt; (1,000 bytes)" in page
    assert "0.150" in page


def test_what_was_measured_otherwise_is_not_averaged(runs: list[Path]) -> None:
    write_rewind(runs[1], curve(60.0, 0.4, text="another"))
    contents = read_contents(runs[0].parent)
    found = read_rewinds(contents)[0][contents.settings[0].anchor]
    assert [len(each.lines[0].curves) for each in found] == [1, 1]


def test_a_damaged_curve_is_named_and_left_out(runs: list[Path], tmp_path: Path) -> None:
    (runs[0] / REWIND).write_text("{}")
    (problem,) = write_report(read_contents(runs[0].parent), tmp_path / "report.html")
    assert problem.startswith(f"the curve in '{runs[0]}' can't be read (rewind.json lacks text")


def test_a_report_without_curves_says_nothing_of_language(runs_root: Path, write_run: WriteRun, tmp_path: Path) -> None:
    write_run([[50.0] * 2] * 2)
    write_report(read_contents(runs_root), tmp_path / "report.html")
    assert "What became of language" not in (tmp_path / "report.html").read_text()
