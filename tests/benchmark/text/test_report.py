"""The pages of text games on the report: views side by side, score against degeneration, an episode to read."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.report.contents import Contents, read_contents
from lamobench.benchmark.report.page import render_page
from lamobench.benchmark.runs.damage import sizes_and_hashes
from lamobench.benchmark.text import report as part
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.report.test_page import Elements
from lamobench.tests.benchmark.text import little_runs
from lamobench.tests.benchmark.text.little_runs import OUTCOMES, write_changed, write_run

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


def write_study(root: Path) -> None:
    """Runs that read no language model, a fixed one, and one that is trained at three rates (own: 1e-4)."""
    for method in ("drrn-hash", "drrn-fixed", "drrn-top-k"):
        write_changed(root, method, 1e-4)
    for rate in (1e-5, 1e-3):
        write_changed(root, "drrn-top-k", rate, profile="cpu (changed)")


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
    assert {row[0]: row[1:] for row in chart.rows} == {
        "fixed": ["0.0", "100.0"],
        "fixed random": ["0.0", "100.0"],
        "top-k": ["34.8", "100.0"],
    }
    assert chart.svg.count('class="seed"') == 6


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


def test_each_run_has_its_episode_and_the_commands_of_later_moves(tmp_path: Path) -> None:
    long = TOLD | {"moves": 70, "kept": [MOVE] * 12 + [MOVE | {"given": "look"}] * 2}
    for seed, episode in ((0, TOLD), (1, long)):
        write_transcript(write_run(tmp_path, "drrn-top-k", seed), episode)
    contents = read_contents(tmp_path)
    (setting,) = contents.settings
    (first,) = part.passages(setting)
    (other,) = first.others
    assert other.title == "DRRN, top layers, seed 1: 50 % of the points in 70 moves"
    assert (len(first.moments), first.rest) == (2, "")
    assert (len(other.moments), other.rest) == (12, "The commands after that: look, look; 56 moves more.")
    page = render_page(contents, {setting.anchor: []}, {setting.anchor: []})
    assert '<small class="muted">1 other run inside</small></summary>' in page
    assert page.count("<details><summary>DRRN, top layers, seed 1: 50 % of the points") == 1
    assert Elements(page).found


def test_rates_of_a_language_model_stand_in_one_section(tmp_path: Path) -> None:
    write_study(tmp_path)
    contents = read_contents(tmp_path)
    (setting,) = contents.settings
    assert setting.profile == "cpu"
    assert [row.title for row in setting.rows] == [
        "DRRN, hash",
        "DRRN, fixed LM",
        "DRRN, top layers (rate 1e-05)",
        "DRRN, top layers (rate 0.0001)",
        "DRRN, top layers (rate 0.001)",
    ]
    assert [row.values["profile"] for row in setting.rows] == [*["cpu"] * 2, "cpu (changed)", "cpu", "cpu (changed)"]
    assert [row.variant for row in setting.rows][2:] == [
        "encoder_learning_rate=1e-05",
        "",
        "encoder_learning_rate=0.001",
    ]
    assert setting.bases == {}
    charts = {chart.title: chart for chart in part.charts(setting)}
    note = "At rate 0.0001, the profile's own; the tables have all."
    assert [row[0] for row in charts["View: orig"].rows] == ["hash", "fixed", "top-k"]
    assert charts["View: orig"].note == charts["Training"].note == note
    scatter = charts["Score against degeneration"]
    assert [row[0] for row in scatter.rows] == ["fixed", "top-k, rate 1e-05", "top-k, rate 0.0001", "top-k, rate 0.001"]
    assert scatter.note == "Larger marks: a higher rate (1e-05, 0.0001, 0.001)."
    assert re.findall(r"scale\(([\d.]+)\)", scatter.svg) == ["0.75", "1.05", "1.35"]
    assert len(part.table(setting).lines) == 5
    page = render_page(contents, {setting.anchor: []}, {setting.anchor: []})
    assert page.count("<small>At rate 0.0001, the profile&#39;s own") == 5
    assert Elements(page).found


def test_a_run_that_changed_anything_else_stays_in_a_section_of_its_own(tmp_path: Path) -> None:
    write_study(tmp_path)
    changed: dict[str, Any] = {"profile": "cpu (changed)"}
    write_changed(tmp_path, "drrn-top-k", 1e-2, {"temperature": 0.7}, **changed)  # an agent's setting
    write_changed(tmp_path, "drrn-fixed", 1e-3, **changed)  # it trains none: the rate is of no use to it
    write_changed(tmp_path, "drrn-hash", 1e-4, **changed, batch_size=8)
    write_changed(tmp_path, "drrn-top-k", 1e-2, profile="cpu (bfloat16, changed)", precision="bfloat16")
    found = {setting.profile: [row.title for row in setting.rows] for setting in read_contents(tmp_path).settings}
    assert len(found.pop("cpu")) == 5
    assert found == {
        "cpu (changed)": ["DRRN, hash", "DRRN, fixed LM", "DRRN, top layers"],
        "cpu (bfloat16, changed)": ["DRRN, top layers"],
    }


def test_a_budget_of_its_own_or_the_same_rate_again_is_not_set_beside(tmp_path: Path) -> None:
    write_changed(tmp_path, "drrn-top-k", 1e-4)
    write_changed(tmp_path, "drrn-top-k", 1e-4, profile="cpu (changed)")
    write_changed(tmp_path, "drrn-top-k", 1e-3, profile="cpu (changed)", view_episodes=2 * little_runs.EPISODES)
    found = {setting.profile: [row.details for row in setting.rows] for setting in read_contents(tmp_path).settings}
    assert found == {"cpu": [""], "cpu (changed)": ["", ""]}


def test_rates_stand_beside_each_of_several_variants(tmp_path: Path) -> None:
    for temperature in (0.1, 0.2):
        write_changed(tmp_path, "drrn-top-k", 1e-4, {"temperature": temperature})
        write_changed(tmp_path, "drrn-top-k", 1e-3, {"temperature": temperature}, profile="cpu (changed)")
    (setting,) = read_contents(tmp_path).settings
    assert [(row.details, row.variant) for row in setting.rows] == [
        ("rate 0.0001", ""),
        ("rate 0.001", "encoder_learning_rate=0.001"),
        ("temperature=0.2, rate 0.0001", "temperature=0.2"),
        ("temperature=0.2, rate 0.001", "temperature=0.2, encoder_learning_rate=0.001"),
    ]
    assert setting.bases == {"DRRN, top layers (rate 0.0001)": "temperature=0.1"}


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
