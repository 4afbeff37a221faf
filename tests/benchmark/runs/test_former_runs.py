"""Runs of an older tree, in `former/`: their ids, scores and policies are what they were when that tree made them.

What the older tree printed and wrote of them is in `former/expected/`; how, in `former/README.md`. No data set is at
hand.
"""

import csv
import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.cli import main as cli
from lamobench.benchmark.offline.build import policy_config
from lamobench.benchmark.runs.records import read_config
from lamobench.datasets.storage import write_json
from lamobench.tests.benchmark.little_runs import snapshot

FORMER = Path(__file__).with_name("former")
EXPECTED = FORMER / "expected"
RUNS = sorted((FORMER / "runs").iterdir())
PULLED = sorted((FORMER / "pulled").iterdir())
PROFILE = "cpu (changed)"
LEADERBOARD = Path("results", "leaderboard.csv")

Command = Callable[..., tuple[str, str]]


@pytest.fixture
def lamobench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command beside a copy of the runs, the test's own: output, errors."""
    for folder in ("runs", "pulled"):
        shutil.copytree(FORMER / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "home"))

    def run(*arguments: str) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["lamobench", *arguments])
        capsys.readouterr()
        cli.main()
        output, errors = capsys.readouterr()
        return output, errors

    return run


def expected(name: str) -> str:
    return (EXPECTED / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", [*RUNS, *PULLED], ids=lambda folder: f"{folder.parent.name} {folder.name}")
def test_an_id_and_what_it_is_the_hash_of_stay(folder: Path, tmp_path: Path) -> None:
    config = read_config(folder)
    assert config.id == folder.name
    write_json(tmp_path / "config.json", config.stored())
    assert (tmp_path / "config.json").read_bytes() == (folder / "config.json").read_bytes()


@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.name)
def test_settings_are_still_settings_of_their_method(folder: Path) -> None:
    config = read_config(folder)
    settings = vars(policy_config(config.method, config.policy))
    assert json.loads(json.dumps({name: settings[name] for name in config.policy})) == config.policy


def test_no_run_was_lost() -> None:
    assert [folder.name for folder in RUNS] == [row["run"] for row in json.loads(expected("runs.json"))]
    assert {folder.name for folder in PULLED} < {folder.name for folder in RUNS}


def test_runs_are_listed_as_they_were(lamobench: Command) -> None:
    assert lamobench("runs", "list", "--json") == (expected("runs.json"), "")


def test_runs_are_ranked_as_they_were(lamobench: Command) -> None:
    output, errors = lamobench("leaderboard", "--no-figures")
    assert output == expected("leaderboard.txt")
    assert errors == expected("left_out.txt")
    for name in ("aggregates.csv", "comparisons.csv"):
        assert Path("results", name).read_bytes() == (EXPECTED / name).read_bytes()
    before, after = (list(csv.DictReader(path.open())) for path in (EXPECTED / "leaderboard.csv", LEADERBOARD))
    later = [name for name in after[0] if name not in before[0]]
    assert [{name: row[name] for name in row if name not in later} for row in after] == before
    assert {row[name] for row in after for name in later} == {""}


def test_scores_over_the_share_of_the_data_are_what_they_were(lamobench: Command) -> None:
    output, _ = lamobench("fractions", "--profile", PROFILE, "--output", "results/fractions.csv")
    assert output == expected("fractions.txt")
    assert Path("results", "fractions.csv").read_bytes() == (EXPECTED / "fractions.csv").read_bytes()


class _Words(HTMLParser):
    """The texts between the tags of a page; no style and no script."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self.hidden = False

    def handle_data(self, data: str) -> None:
        if not self.hidden and data.strip():
            self.texts.append(" ".join(data.split()))


def texts_of(page: str) -> list[str]:
    words = _Words()
    words.feed(page)
    return words.texts


def test_the_report_says_all_that_it_said(lamobench: Command) -> None:
    """Each text as often as before, or more often: a later page may say more, or in another order."""
    lamobench("report", "--output", "report.html")
    said = Counter(expected("report.txt").splitlines())
    lost = said - Counter(texts_of(Path("report.html").read_text(encoding="utf-8")))
    assert lost == Counter()


def test_finished_runs_can_be_sent_and_unpacked(lamobench: Command) -> None:
    """Both ends check each file of a run, its checkpoint too, where there is one."""
    lamobench("runs", "export", "runs.tar")
    lamobench("runs", "import", "runs.tar", "--runs", "arrived")
    finished = {row["run"] for row in json.loads(expected("runs.json")) if row["status"] == "finished"}
    sent = {name: content for name, content in snapshot(Path("runs")).items() if Path(name).parts[0] in finished}
    assert snapshot(Path("arrived")) == sent


@pytest.mark.parametrize("folder", PULLED, ids=lambda folder: folder.name)
def test_a_pulled_policy_plays_as_it_did(lamobench: Command, folder: Path) -> None:
    """Scores are within a point of what they were: other processors round otherwise."""
    output, _ = lamobench("evaluate", f"pulled/{folder.name}", "--episodes", "10", "--json")
    before = json.loads(expected(f"{folder.name}.json"))
    after = json.loads(output)
    assert [row["target_return"] for row in after] == [row["target_return"] for row in before]
    assert [row["score"] for row in after] == pytest.approx([row["score"] for row in before], abs=1.0)


DIGITS = {  # in each file, the text up to the end of a digit
    "config.json": r'"seed": \d',
    "episodes.csv": r"\n\d+,[\d.]+,\d+,\d+,-?\d",  # of a return
    "done.json": r'"config\.json": "\D*\d',  # of a hash
}


@pytest.mark.parametrize("name", DIGITS)
def test_one_changed_digit_damages_its_run_alone(lamobench: Command, name: str) -> None:
    before: list[dict[str, Any]] = json.loads(expected("runs.json"))
    run = next(row["run"] for row in before if row["status"] == "finished")
    path = Path("runs", run, name)
    path.write_text(re.sub(DIGITS[name], _other_digit, path.read_text(), count=1))
    after: list[dict[str, Any]] = json.loads(lamobench("runs", "list", "--json")[0])
    assert [row["run"] for row in after if row["status"] == "damaged"] == [run]
    assert [row for row in after if row["run"] != run] == [row for row in before if row["run"] != run]


def _other_digit(found: re.Match[str]) -> str:
    return found[0][:-1] + str(9 - int(found[0][-1]))
