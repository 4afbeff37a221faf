import base64
import hashlib
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markupsafe import escape

from lamobench.benchmark.report.contents import Contents, read_contents
from lamobench.benchmark.report.page import TEMPLATES, render_page, write_report
from lamobench.tests.benchmark.conftest import write_run
from lamobench.tests.benchmark.report.conftest import HOSTILE

VOID = {"meta", "link", "img", "br", "input"}


class Elements(HTMLParser):
    """Every element with its attributes; fails where tags do not match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def board_rows(page: str) -> list[str]:
    """The rows of the leaderboard, as they are written."""
    return re.findall(r"<tr data-dataset=.*?</tr>", page, re.S)


@pytest.fixture(scope="module")
def elements(report: Path) -> Elements:
    return Elements(report.read_text())


def test_the_file_refers_to_nothing_outside_itself(elements: Elements, report: Path) -> None:
    for tag, attributes in elements.found:
        for name in ("src", "href", "srcset", "action", "data", "poster", "background", "xlink:href"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:")), (tag, value)
    style = re.findall(r"<style>(.*?)</style>", report.read_text(), re.S)
    assert len(style) == 1
    assert not re.search(r"url\(|@import", style[0])
    assert "style" not in {name for _, attributes in elements.found for name in attributes}
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]


def test_nothing_but_its_own_script_may_run(elements: Elements, report: Path) -> None:
    policy = next(a["content"] for tag, a in elements.found if a.get("http-equiv") == "Content-Security-Policy")
    page = report.read_text()
    allowed = re.findall(r"'sha256-([^']+)'", policy or "")
    inline = re.findall(r"<script>(.*?)</script>", page, re.S) + re.findall(r"<style>(.*?)</style>", page, re.S)
    assert len(inline) == 3
    assert {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inline} == set(allowed)
    assert (policy or "").startswith("default-src 'none';")


def test_links_lead_somewhere(elements: Elements) -> None:
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = {a["href"] for tag, a in elements.found if tag in ("a", "use")}
    assert {str(href)[1:] for href in wanted} <= set(ids)
    labels = " ".join(str(a["aria-labelledby"]) for _, a in elements.found if "aria-labelledby" in a).split()
    assert set(labels) <= set(ids)


def test_hostile_names_are_text(elements: Elements) -> None:
    assert HOSTILE in "".join(elements.text)
    assert [a for tag, a in elements.found if tag == "img"] == []
    assert len([tag for tag, _ in elements.found if tag == "script"]) == 2
    assert not any(text.strip() == "49" for text in elements.text)  # no template of theirs was run


def test_every_figure_has_a_name_a_description_and_its_numbers(report: Path) -> None:
    figures = re.findall(r'<figure class="chart">(.*?)</figure>', report.read_text(), re.S)
    assert len(figures) > 8
    for figure in figures:
        assert re.search(r'<svg [^>]*role="img" aria-labelledby="(\S+)-t \1-d"', figure)
        assert re.search(r"<title id=.*?>[^<]+</title><desc id=.*?>[^<]+</desc>", figure)
        assert figure.count("<td") >= 1


def test_every_run_is_there_with_its_hashes(report: Path, contents: Contents) -> None:
    page = report.read_text()
    for row in contents.rows:
        for run in row.runs:
            assert page.count(f"<code>{escape(run.id)}</code>") == 1
        assert f'<details id="{row.anchor}">' in page
    assert page.count("d" * 64) >= len(contents.rows)  # the hash of the data


def test_clearly_best_is_marked_and_only_that(report: Path, contents: Contents) -> None:
    rows = board_rows(report.read_text())
    marked = {re.search(r"(BC|LaMo, random weights|LaMo)</th>", row)[1] for row in rows if " *</td>" in row}  # type: ignore[index]
    for row in contents.rows:
        rivals = [
            r
            for r in contents.rows
            if r is not row and (r.fraction, r.values["dataset"]) == (row.fraction, row.values["dataset"])
        ]
        if rivals and all(row.values["ci_low"] > r.values["ci_high"] for r in rivals):
            assert row.title in marked
    assert marked <= {"BC"}


def test_rows_with_seeds_far_below_the_others_are_marked(tmp_path: Path) -> None:
    for method, scores in (("bc", (60.0, 62.0, 10.0)), ("dt", (60.0, 50.0, 40.0))):
        for seed, score in enumerate(scores):
            write_run(tmp_path / "runs", [[score - 1.0, score + 1.0]] * 2, seed=seed, method=method)
    write_report(read_contents(tmp_path / "runs"), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    rows = {name: row for name in ("BC", "DT") for row in board_rows(page) if f'data-method="{name}"' in row}
    assert '<span class="tag">1 of 3 far below</span></td>' in rows["BC"]
    assert "far below" not in rows["DT"]
    cells = re.findall(r"44.0 \[.*?\][^<]*|50.0 \[.*?\][^<]*", page)
    assert {cell.partition("], ")[2] for cell in cells if cell.startswith("44.0")} == {"1 of 3 seeds far below"}
    assert {cell.partition("], ")[2] for cell in cells if cell.startswith("50.0")} == {""}


def test_published_scores_stand_beside_and_are_marked(report: Path) -> None:
    page = report.read_text()
    row = next(r for r in board_rows(page) if 'data-dataset="hopper-medium"' in r and 'data-method="LaMo"' in r)
    assert 'class="tag">not comparable</span>' in row
    assert "source recorded instead of d4rl; profile cpu instead of paper" in page


def test_a_comparable_score_is_set_beside_with_the_difference(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(
            tmp_path / "runs",
            [[2400.0 + seed, 2420.0]],
            dataset="hopper-medium",
            task="hopper",
            source="d4rl",
            profile="paper",
            fraction=1.0,
            method="bc",
            seed=seed,
            headline_evaluations=1,
        )
    page = render_page(read_contents(tmp_path / "runs"), {"hopper-medium-d4rl-paper-" + "d" * 40: []})
    assert 'class="tag">not comparable' not in "".join(board_rows(page))
    published = page.partition("Published scores</h4>")[2].partition("</table>")[0]
    score = np.mean([100 * (value + 20.272305) / 3254.572305 for value in (2400, 2420, 2401, 2420, 2402, 2420)])
    assert f'<td class="number">{score:.1f}</td><td class="number">47.8 ±5.3</td>' in published
    assert f"<td>{score - 47.8:.1f}" in published


def test_the_same_runs_give_the_same_bytes(report: Path, contents: Contents, tmp_path: Path) -> None:
    write_report(contents, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == report.read_bytes()


def test_a_page_that_fails_leaves_the_old_one(
    contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_report(contents, path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("report.html", "old")]


def test_a_run_costs_a_few_kilobytes(report: Path, contents: Contents) -> None:
    fixed = sum(path.stat().st_size for path in TEMPLATES.iterdir())
    runs = sum(page.runs for page in contents.pages)
    assert (report.stat().st_size - fixed) / runs < 10_000  # small pages have few runs to share a figure among
