"""The report in a real browser: what it does, and whom it serves."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.report.marks import MINUS
from lamobench.tests.benchmark.report.chromium import Chromium
from lamobench.tests.benchmark.report.conftest import HOSTILE_DATASET

ROOT = Path(__file__).resolve().parents[3]
Open = Callable[..., Chromium]
PAGES = ["overview", "hopper-medium", "reacher2d-medium-large", "how-to-read"]
OPEN_ALL = "for (const box of document.querySelectorAll('details')) box.open = true"
ROWS = "[...document.querySelectorAll('#leaderboard tbody tr')].filter(row => !row.hidden)"


@pytest.fixture
def visit(browser: Chromium, report: Path) -> Open:
    """Open the report at a page of it."""

    def visit(page: str = "", **options: Any) -> Chromium:
        browser.open(report.as_uri() + (f"#{page}" if page else ""), **options)
        browser.evaluate("localStorage.clear()") if options.get("script", True) else None
        return browser

    return visit


def column(browser: Chromium, name: str) -> list[str]:
    """The shown cells of the leaderboard's column of that name, from the top."""
    heads = "[...document.querySelectorAll('#leaderboard thead th')].map(th => th.textContent)"
    at = browser.evaluate(heads).index(name)
    return list(browser.evaluate(f"{ROWS}.map(row => row.cells[{at}].textContent)"))


def click(browser: Chromium, selector: str) -> None:
    browser.evaluate(f"document.querySelector({selector!r}).click()")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_asked_of_a_network_and_nothing_complained_of(
    visit: Open, report: Path, scheme: str, width: int
) -> None:
    browser = visit(scheme=scheme, width=width)
    for page in PAGES:
        browser.evaluate(f"location.hash = '{page}'")
        browser.evaluate(OPEN_ALL)
    assert browser.requests() == [report.as_uri()]
    assert browser.complaints() == []


def test_the_check_of_requests_and_complaints_sees_them(visit: Open) -> None:
    browser = visit()
    browser.evaluate("document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1:9/x.png' }))")
    browser.evaluate("new Promise(done => setTimeout(done, 200))")
    assert "Content Security Policy" in " ".join(browser.complaints())
    browser.evaluate("console.error('seen')")
    assert "seen" in " ".join(browser.complaints())


def test_one_page_is_shown_and_links_lead_to_the_others(visit: Open) -> None:
    shown = "[...document.querySelectorAll('.page')].filter(p => p.offsetHeight).map(p => p.id)"
    browser = visit()
    assert browser.evaluate(shown) == ["overview"]
    for page in PAGES:
        browser.evaluate(f"document.querySelector('nav a[href=\"#{page}\"]').click()")
        browser.evaluate("new Promise(done => setTimeout(done, 30))")
        assert browser.evaluate(shown) == [page]
        assert browser.evaluate("document.querySelector('nav [aria-current]').hash") == f"#{page}"
        assert browser.evaluate("document.activeElement.closest('.page').id") == page
    assert browser.evaluate("document.title").startswith("How to read it")


def test_a_row_leads_to_its_runs(visit: Open) -> None:
    browser = visit()
    row = "#leaderboard tr[data-dataset=hopper-medium]"
    link = browser.evaluate(f"document.querySelector('{row} a').hash")
    click(browser, f"{row} a")
    browser.evaluate("new Promise(done => setTimeout(done, 30))")
    assert browser.evaluate(f"document.querySelector('{link}').open")
    assert browser.evaluate("document.activeElement.parentElement.id") == link[1:]
    top = browser.evaluate(f"document.querySelector('{link}').getBoundingClientRect().top")
    assert 0 <= top < 900
    assert browser.evaluate(f"document.querySelector('{link}').querySelectorAll('dl').length") == 3  # 2 runs, in common


def test_sorting_by_number_and_by_text(visit: Open) -> None:
    browser = visit()
    before = column(browser, "Score")

    def sort(name: str) -> list[str]:
        browser.evaluate(
            f"[...document.querySelectorAll('#leaderboard thead button')].find(b => b.textContent === '{name}').click()"
        )
        return column(browser, name)

    def numbers(cells: list[str]) -> list[float]:
        return [float(cell.split()[0].replace(MINUS, "-")) for cell in cells]

    assert numbers(sort("Score")) == sorted(numbers(before))
    assert browser.evaluate("document.querySelectorAll('[aria-sort=ascending]').length") == 1
    assert numbers(sort("Score")) == sorted(numbers(before), reverse=True)
    assert browser.evaluate("document.querySelectorAll('[aria-sort=descending]').length") == 1
    assert sort("Method")[0] == "BC"
    assert browser.evaluate("document.querySelectorAll('#leaderboard [aria-sort]:not([aria-sort=none])').length") == 1
    assert sort("95 % interval")[-1] == "one seed"  # what is unknown is last, whichever way
    assert sort("95 % interval")[-1] == "one seed"


def test_filtering_by_choice_and_by_words(visit: Open) -> None:
    browser = visit()
    status = "document.querySelector('.filters [role=status]').textContent"
    assert browser.evaluate(status) == "13 of 13 rows"

    def choose(name: str, value: str) -> None:
        field = f"document.querySelector('.filters [name={name}]')"
        browser.evaluate(f"{field}.value = {value!r}; {field}.dispatchEvent(new Event('input', {{ bubbles: true }}))")

    choose("dataset", "hopper-medium")
    assert set(column(browser, "Data set")) == {"hopper-medium"}
    choose("fraction", "0.1")
    assert column(browser, "Method") == ["LaMo", "LaMo, random weights", "BC"]
    choose("words", "random gpt2")
    assert column(browser, "Method") == ["LaMo, random weights"]
    assert browser.evaluate(status) == "1 of 13 rows"
    choose("words", "no such thing")
    assert column(browser, "Method") == []
    click(browser, ".filters [type=reset]")
    browser.evaluate("new Promise(done => setTimeout(done, 30))")
    assert browser.evaluate(status) == "13 of 13 rows"


def test_filters_and_sorting_work_by_keyboard(visit: Open) -> None:
    browser = visit()
    browser.evaluate("document.querySelector('.filters [name=words]').focus()")
    browser.type("hopper random")
    assert column(browser, "Method") == ["LaMo, random weights"] * 2
    browser.evaluate("document.querySelectorAll('#leaderboard thead button')[4].focus()")
    browser.press("Enter")
    assert column(browser, "Data") == ["10 %", "100 %"]
    browser.press(" ")
    assert column(browser, "Data") == ["100 %", "10 %"]


def test_legends_hide_methods(visit: Open) -> None:
    browser = visit("hopper-medium")
    shown = (
        "[...document.querySelectorAll('#hopper-medium .panels g.series')]"
        ".filter(g => getComputedStyle(g).display !== 'none').map(g => g.dataset.method)"
    )
    assert set(browser.evaluate(shown)) == {"lamo", "lamo-random", "bc"}
    click(browser, "#hopper-medium .legend button[data-method=bc]")
    assert set(browser.evaluate(shown)) == {"lamo", "lamo-random"}
    pressed = "document.querySelector('#hopper-medium .legend button[data-method=bc]').getAttribute('aria-pressed')"
    assert browser.evaluate(pressed) == "false"
    click(browser, "#hopper-medium .legend button[data-method=bc]")
    assert "bc" in browser.evaluate(shown)


def test_dark_as_the_system_has_it_or_as_chosen(visit: Open) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    light = visit(scheme="light").evaluate(paper)
    browser = visit(scheme="dark")
    dark = browser.evaluate(paper)
    assert light != dark
    said = []
    for _ in range(3):
        click(browser, "#theme")
        said.append((browser.evaluate("document.querySelector('#theme').textContent"), browser.evaluate(paper)))
    assert said == [("Theme: light", light), ("Theme: dark", dark), ("Theme: auto", dark)]


@pytest.mark.parametrize("page", PAGES)
def test_a_phone_scrolls_down_only(visit: Open, page: str) -> None:
    browser = visit(page, width=360, height=740)
    browser.evaluate(OPEN_ALL)
    assert browser.evaluate("document.documentElement.scrollWidth") == 360
    too_wide = """[...document.querySelectorAll('.current *, header *, footer *')].filter(e =>
        e.getBoundingClientRect().right > 360.5 && !e.closest('.scroll, nav, .hidden-text') && e.offsetHeight !== 0)
        .map(e => e.outerHTML.slice(0, 80))"""
    assert browser.evaluate(too_wide) == []
    small = "Math.min(...[...document.querySelectorAll('.current figure.chart svg')].map(s => s.clientWidth / 340))"
    if page not in ("how-to-read", "overview"):
        assert browser.evaluate(small) > 0.85  # of the size at which labels are 11 pixels high


@pytest.mark.parametrize("width", [360, 500, 1920])
def test_every_score_is_seen_without_scrolling_sideways(visit: Open, width: int) -> None:
    browser = visit(width=width)
    ends = f"{ROWS}.map(row => row.cells[1].getBoundingClientRect().right)"
    assert max(browser.evaluate(ends)) < width
    assert browser.evaluate("document.querySelector('table').id") == "leaderboard"  # no other one comes first
    assert browser.evaluate("(box => box.scrollWidth - box.clientWidth)(document.querySelector('.board .scroll'))") == 0
    where = f"{ROWS}.map(row => getComputedStyle(row.cells[0], '::after').content)"
    shown = browser.evaluate(where)
    assert ('"hopper-medium, 10 %, 2 seeds, cpu"' in shown) == (width < 640)
    assert ('"cpu"' in shown) == (width >= 640)  # beside the method, as there are two profiles


@pytest.mark.parametrize("script", [True, False])
def test_further_columns_are_shown_when_they_are_asked_for(visit: Open, script: bool) -> None:
    browser = visit(script=script)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)  # for the questions below; the page's did not run
    columns = (
        "[...document.querySelectorAll('#leaderboard thead th')].filter(th => th.offsetWidth).map(th => th.textContent)"
    )
    first = ["Method", "Score", "95 % interval", "", "Data set", "Data", "Seeds"]
    assert browser.evaluate(columns) == first
    click(browser, "#show-settings")
    assert browser.evaluate(columns) == [*first, "Source", "Profile", "Language model"]
    click(browser, "#show-settings")
    assert browser.evaluate(columns) == first


@pytest.mark.parametrize("page", PAGES)
def test_everything_is_reached_by_keyboard_and_seen_to_be(visit: Open, page: str) -> None:
    browser = visit(page)
    wanted = browser.evaluate(
        "[...document.querySelectorAll('a[href], button, select, input, summary, [tabindex=\"0\"]')]"
        ".filter(e => e.checkVisibility()).map((e, i) => { e.dataset.place = i; return i })"
    )
    browser.evaluate("document.querySelector('.skip').focus()")
    reached = [0]
    unseen = []
    for _ in range(len(wanted) + 2):
        browser.press("Tab")
        place = browser.evaluate("document.activeElement.dataset.place ?? ''")
        if place == "" or int(place) in reached:
            break
        reached.append(int(place))
        outline = browser.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        unseen += [place] if outline == "none" else []
    assert sorted(reached) == wanted
    assert unseen == []


def test_the_skip_link_skips(visit: Open) -> None:
    browser = visit()
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.className") == "skip"
    assert browser.evaluate("document.activeElement.getBoundingClientRect().top >= 0")
    browser.evaluate("location.hash = 'hopper-medium'")
    browser.evaluate("document.querySelector('.skip').focus()")
    browser.press("Enter")
    browser.evaluate("new Promise(done => setTimeout(done, 30))")
    assert browser.evaluate("document.activeElement.id") == "main"
    assert browser.evaluate("document.querySelector('.page.current').id") == "hopper-medium"


NAMED = {"button", "link", "combobox", "searchbox", "textbox", "table", "image", "img", "region", "navigation", "form"}


@pytest.mark.parametrize("page", PAGES)
def test_a_screen_reader_finds_names_and_an_outline(visit: Open, page: str) -> None:
    browser = visit(page)
    browser.evaluate(OPEN_ALL)
    nodes = [n for n in browser.call("Accessibility.getFullAXTree")["nodes"] if not n.get("ignored")]
    named = [(node["role"]["value"], node.get("name", {}).get("value", "").strip()) for node in nodes]
    assert [role for role, name in named if role in NAMED - {"table"} and not name] == []
    roles = [role for role, _ in named]
    assert {"banner", "main", "navigation", "contentinfo", "heading"} <= set(roles)
    assert roles.count("main") == roles.count("banner") == 1
    levels = [
        next(p["value"]["value"] for p in node["properties"] if p["name"] == "level")
        for node in nodes
        if node["role"]["value"] == "heading"
    ]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    doubled = (
        "(ids => ids.filter((id, i) => ids.indexOf(id) !== i))([...document.querySelectorAll('[id]')].map(e => e.id))"
    )
    assert browser.evaluate(doubled) == []
    unscoped = "[...document.querySelectorAll('.current th:not([scope])')].length"
    assert browser.evaluate(unscoped) == 0


CONTRASTS = """(() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const linear = x => x <= 255 * .04045 ? x / 255 / 12.92 : ((x / 255 + .055) / 1.055) ** 2.4;
  const light = c => { const v = c.slice(0, 3).map(linear); return .2126 * v[0] + .7152 * v[1] + .0722 * v[2] };
  const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c } return [255, 255, 255] };
  const poor = [];
  for (const e of document.querySelectorAll('body *')) {
    if (!e.checkVisibility() || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    if (e.closest('.hidden-text, title, desc, script, style, option, .sign')) continue;
    const style = getComputedStyle(e), svg = e instanceof SVGElement;
    const [a, b] = [light(rgb(svg ? style.fill : style.color)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${e.outerHTML.slice(0, 70)}`);
  }
  return poor;
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_text_stands_out_from_what_is_behind_it(visit: Open, page: str, scheme: str) -> None:
    browser = visit(page, scheme=scheme)
    browser.evaluate(OPEN_ALL)
    assert browser.evaluate(CONTRASTS) == []
    browser.evaluate("document.querySelector('h2').style.color = 'rgb(128, 128, 128)'")
    seen = browser.evaluate(CONTRASTS) if page == "overview" and scheme == "light" else ["3.6"]
    assert seen  # the check sees what it is for


def test_names_from_runs_stay_text(visit: Open) -> None:
    browser = visit()
    assert browser.evaluate("document.title") == "lamobench report"
    assert HOSTILE_DATASET in column(browser, "Data set")
    assert browser.evaluate("document.querySelectorAll('img[src=x]').length") == 0
    assert browser.complaints() == []


def test_without_scripts_all_of_it_can_be_read(visit: Open, report: Path) -> None:
    browser = visit(script=False, width=360, height=740)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)  # for the questions below; the page's did not run
    assert browser.evaluate("document.documentElement.className") == ""
    assert browser.evaluate("[...document.querySelectorAll('.page')].every(p => p.offsetHeight > 0)")
    assert browser.evaluate("document.querySelector('#theme').checkVisibility()") is False
    assert browser.evaluate("document.querySelector('.filters').checkVisibility()") is False
    assert browser.evaluate("document.querySelectorAll('thead button').length") == 0
    assert browser.evaluate("document.documentElement.scrollWidth") == 360
    anchors = set(re.findall(r'href="#([^"]+)"', report.read_text()))
    assert [a for a in anchors if not browser.evaluate(f"!!document.getElementById({a!r})")] == []


def test_the_readme_says_how_many_tests_are_skipped_without_a_browser(request: pytest.FixtureRequest) -> None:
    (skipped,) = re.findall(r"and (\d+) more where Chromium is missing", (ROOT / "README.md").read_text())
    module = request.node.getparent(pytest.Module)
    asking = [test for test in module.collect() if "browser" in getattr(test, "fixturenames", ())]
    assert int(skipped) == len(asking)
