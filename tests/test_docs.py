import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("docs/*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


def test_the_example_of_the_api_page_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "home"))
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "api.md").read_text(), re.S)
    exec(compile(example, "docs/api.md", "exec"), {"__name__": "example"})
    printed = capsys.readouterr().out
    assert "15 of 50 episodes, 1500 steps" in printed
    assert "'config.json', 'done.json', 'episodes.csv', 'metrics.jsonl'" in printed
    assert re.search(r"bc\s+0\.3\s+1\s", printed)


def test_the_example_of_the_games_page_runs_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    example = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "text.md").read_text(), re.S)[0]
    exec(compile(example, "docs/text.md", "exec"), {"__name__": "example"})
    printed = capsys.readouterr().out
    assert "This room is the kitchen." in printed
    assert printed.endswith("3 of 3 points in 6 moves\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_the_docs_name_exist(page: Path) -> None:
    text = page.read_text()
    named = set(
        re.findall(r"`((?:benchmark|baselines|datasets|results|docs|tests)/[\w/.-]+\.(?:py|md|csv|png|xml))`", text)
    )
    missing = sorted(name for name in named if "/NAME." not in name and not (ROOT / name).exists())
    assert not missing, f"{page.name} names files that are not there"


def anchors(page: Path) -> set[str]:
    """The addresses of a page's headings, as they are made from their words."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not link.startswith("http"):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link
