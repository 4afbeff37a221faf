"""The pages of text games on the report: views side by side, score against degeneration, an episode to read."""

import json
import re
from pathlib import Path

import pytest

from lamobench.benchmark.report.contents import Contents, read_contents
from lamobench.benchmark.report.page import render_page
from lamobench.benchmark.runs.damage import sizes_and_hashes
from lamobench.benchmark.text import report as part
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.report.test_page import Elements
from lamobench.tests.benchmark.text.little_runs import OUTCOMES, write_run

MOVE = {
    "observation": "You are in the study. <b>A desk</b> is here.",
    "inventory": "You carry nothing.",
    "offered": 9,
    "commands": {"look": 0.05, "put pen on desk": 0.7, "wait": 0.1},
    "given": "wait",
}
TOLD = {"game": "tidy-medium/train/0", "share": 0.5, "moves": 2, "kept": [MOVE, MOVE]}


def write_transcript(folder: Path, episode: dict[str, object]) -> None:
    (folder / "transcript.json").write_text(json.dumps(episode))
    done = json.loads((folder / "done.json").read_text())
    (folder / "done.json").write_text(json.dumps(done | sizes_and_hashes(folder)))


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """Four methods with two seeds; one has told an episode."""
    root = tmp_path_factory.mktemp("text")
    for method in OUTCOMES:
        for seed in (0, 1):
            write_run(root, method, seed)
    write_transcript(next(root.glob("*top-k-s0*")), TOLD)
    return read_contents(root)


@pytest.fixture(scope="module")
def page(contents: Contents) -> str:
    nothing = {setting.anchor: [] for setting in contents.settings}
    return render_page(contents, nothing, nothing)


def test_each_view_is_a_figure_with_every_kind_of_games_that_there_is(contents: Contents) -> None:
    (setting,) = contents.settings
    charts = {chart.title: chart for chart in part.charts(setting)}
    assert list(charts) == [
        "Training",
        "View: orig",
        "View: paraphrase",
        "View: shuffle",
        "Score against degeneration",
        "Score against degeneration, paraphrase",
    ]
    orig = charts["View: orig"]
    assert orig.head == ["method", "learned", "unseen"]
    cells = {row[0]: row[1:] for row in orig.rows}
    assert cells["hash"] == ["75.0 [75.0,\N{NO-BREAK SPACE}75.0]", "25.0 [25.0,\N{NO-BREAK SPACE}25.0]"]
    assert charts["View: shuffle"].head == ["method", "learned"]


def test_score_stands_against_the_neighbours_lost(contents: Contents) -> None:
    (setting,) = contents.settings
    (chart, _) = part.charts(setting)[-2:]
    assert {row[0]: row[1:] for row in chart.rows} == {"fixed": ["0.0", "100.0"], "top-k": ["34.8", "100.0"]}
    assert chart.svg.count('class="seed"') == 4


def test_the_table_has_meters_of_trained_language_models_alone(contents: Contents) -> None:
    (setting,) = contents.settings
    table = part.table(setting)
    rows = {row.method: dict(zip(table.head, cells, strict=True)) for row, cells in table.lines}
    assert rows["drrn-top-k"]["CKA"].startswith("0.55 [")
    assert rows["drrn-fixed"]["CKA"] == ""
    assert rows["drrn-fixed"]["Robust"] == "50 [50,\N{NO-BREAK SPACE}50]"
    assert rows["drrn-fixed"]["New games"] == "\N{EN DASH}"


def test_an_episode_is_told_with_its_likeliest_commands_first(contents: Contents, page: str) -> None:
    (setting,) = contents.settings
    (passage,) = part.passages(setting)
    assert passage.title == "DRRN, top layers, seed 0: 50 % of the points in 2 moves"
    assert list(passage.moments[0].choices) == ["put pen on desk", "wait", "look"]
    assert Elements(page).found  # every tag is closed
    assert "&lt;b&gt;A desk&lt;/b&gt;" in page
    assert "<b>A desk" not in page
    assert re.search(r'<li class="best">.{0,200}wait<span class="hidden-text">, which was given</span>', page)
    assert "neighbours lost" in page.partition('<h2 id="how-to-read-title"')[2]


@pytest.mark.parametrize(
    "episode",
    [{"game": 3}, TOLD | {"share": 2.0}, TOLD | {"kept": [7]}, TOLD | {"kept": [MOVE | {"given": "jump"}]}],
    ids=["lacking", "range", "kind", "given"],
)
def test_a_transcript_that_is_none_is_one_line(episode: dict[str, object], tmp_path: Path) -> None:
    write_transcript(write_run(tmp_path, "drrn-top-k", 0), episode)
    (setting,) = read_contents(tmp_path).settings
    with pytest.raises(UserError, match=r"transcript\.json"):
        part.passages(setting)
