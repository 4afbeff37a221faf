"""The pages of fine-tuning on the report: stages and what was forgotten, and not a word of data."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from lamobench.benchmark.cli.main import parse
from lamobench.benchmark.finetune import report as part
from lamobench.benchmark.finetune.figure import PANELS
from lamobench.benchmark.report.contents import Contents, read_contents
from lamobench.benchmark.report.page import render_page
from lamobench.benchmark.report.strips import read_strips
from lamobench.benchmark.runs.damage import sizes_and_hashes
from lamobench.benchmark.runs.stages import StageEpisode, stages_csv
from lamobench.datasets.environments.staged_tasks import STAGED_TASKS
from lamobench.tests.benchmark.conftest import write_run as write_offline_run
from lamobench.tests.benchmark.finetune.test_board import OUTCOMES, config_of, write_run
from lamobench.tests.benchmark.report.test_page import Elements, board_rows


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three methods with two seeds each."""
    root = tmp_path_factory.mktemp("finetune")
    for method in OUTCOMES:
        for seed in (0, 1):
            write_run(root, config_of(method, seed), *OUTCOMES[method])
    return root


@pytest.fixture(scope="module")
def contents(runs: Path) -> Contents:
    return read_contents(runs)


@pytest.fixture(scope="module")
def page(contents: Contents) -> str:
    return render_page(contents, read_strips(contents)[0])


def test_a_task_is_no_data_set_and_has_no_shares(page: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Elements(page).found  # every tag is closed
    said = re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", page, flags=re.S)
    found = re.search(r"\b[Dd]ata\b|100 %|\b0 episodes|[Pp]ublished|told a return|LaMo\b|[Hh]eld-out", said)
    assert found is None, said[found.start() - 80 : found.end() + 80]
    assert "grid-relay, 2 seeds" in page  # under a method's name, on a phone
    assert '<th scope="col" class="where">Task</th>' in page
    parse(["report", "--runs", str(runs), "--output", str(runs / "report.html")]).run()
    assert "6 runs, 1 task, " in capsys.readouterr().out


def test_data_sets_keep_their_words_beside_tasks(runs: Path, tmp_path: Path) -> None:
    write_offline_run(tmp_path, [[50.0] * 2] * 2, dataset="reacher2d-medium-large")
    contents = read_contents(runs, tmp_path)
    page = render_page(contents, read_strips(contents)[0])
    rows = {name: row for row in board_rows(page) for name in ("BC", "Scratch") if f'data-method="{name}"' in row}
    assert 'data-where="reacher2d-medium-large, 10 %, 1 seed"' in rows["BC"]
    assert 'data-where="grid-relay, 2 seeds"' in rows["Scratch"]
    assert '<td class="where number" data-sort=""></td>' in rows["Scratch"]
    assert '<th scope="col" class="where">Data set or task</th>' in page
    assert "<dt>Data sets</dt><dd>1" in page
    assert "<dt>Tasks</dt><dd>1" in page
    assert "Training on 10 % (50 episodes)" in page


def test_stages_are_drawn_at_their_numbers(contents: Contents) -> None:
    (setting,) = contents.settings
    far, close, full = part.charts(setting)
    assert far.head == ["round", "Fine-tuning", "BC", "Scratch"]
    assert [line[0] for line in far.rows] == ["0", "2", "4", "6", "8"]
    assert [line[1].split()[0] for line in far.rows] == ["100.0", "40.0", "20.0", "50.0", "80.0"]
    assert [line[1].split()[0] for line in close.rows] == ["0.0", "10.0", "20.0", "30.0", "40.0"]
    assert full.rows[-1][1] == "25.0 (20.0 to 30.0)"
    assert part.about(setting) == "Its stages, one after the other: room (CLOSE), maze (FAR)."


def test_what_is_forgotten_is_drawn_over_an_option_of_the_task(tmp_path: Path) -> None:
    least = {"finetune": {1: 9, 2: 6, 8: 0}, "finetune-bc": {1: 10, 2: 10, 8: 9}}
    for method, fell in least.items():
        for goals, worst in (fell | {0: 5}).items():  # no goals: left out of a logarithmic axis
            for seed in (0, 1):
                known = config_of(method, seed)
                config = replace(known, profile="cpu (changed)", policy=known.policy | {"environment.goals": goals})
                write_run(tmp_path, config, OUTCOMES[method][0], [10, worst, 10, 10, 10])
    contents = read_contents(tmp_path)
    (setting,) = contents.settings
    *_, severity = part.charts(setting)
    assert severity.title == "Forgetting over goals"
    assert severity.head == ["method", "goals 1", "goals 2", "goals 8"]
    means = {line[0]: [cell.split()[0] for cell in line[1:]] for line in severity.rows}
    assert means == {"Fine-tuning": ["10.0", "40.0", "100.0"], "BC": ["0.0", "0.0", "10.0"]}
    page = render_page(contents, read_strips(contents)[0])
    assert "goals of the room" in page
    assert Elements(page).found  # every tag is closed


def test_a_single_value_of_an_option_is_no_figure(contents: Contents) -> None:
    (setting,) = contents.settings
    assert [chart.title for chart in part.charts(setting)] == list(PANELS.values())


def test_the_table_says_what_was_forgotten(contents: Contents) -> None:
    (setting,) = contents.settings
    table = part.table(setting)
    assert [row.title for row, _ in table.lines] == ["Fine-tuning", "Fine-tuning + BC", "Scratch"]
    shown = dict(zip(table.head, table.lines[0][1], strict=True))
    assert (shown["FAR before"], shown["Least"], shown["At end"]) == ("100", "20", "50")
    gain = dict(zip(table.head, table.lines[2][1], strict=True))["Gain"]
    assert gain.startswith("\N{MINUS SIGN}8 [")


def test_a_task_of_more_stages_has_a_figure_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of("finetune", 0)
    task = STAGED_TASKS[config.task]
    monkeypatch.setitem(STAGED_TASKS, config.task, replace(task, stages=("room", "maze", "roof")))
    folder = write_run(tmp_path, config, *OUTCOMES["finetune"])
    third = [StageEpisode(step, 2, n, n, int(n < step), 1.0, 9) for step in range(0, 10, 2) for n in range(10)]
    (folder / "stages.csv").write_text((folder / "stages.csv").read_text() + stages_csv(third))
    done = json.loads((folder / "done.json").read_text())
    (folder / "done.json").write_text(json.dumps(done | sizes_and_hashes(folder)))
    (setting,) = read_contents(tmp_path).settings
    charts = part.charts(setting)
    assert [chart.title for chart in charts[3:]] == ["Stage 1: room", "Stage 2: maze", "Stage 3: roof"]
    assert [line[1].split()[0] for line in charts[5].rows] == ["0.0", "20.0", "40.0", "60.0", "80.0"]


def test_words_of_the_track_are_explained(page: str) -> None:
    reading = page.partition('<h2 id="how-to-read-title"')[2]
    assert "<h3>Online fine-tuning, and what it forgets</h3>" in reading
    assert re.findall(r"<dt>(pi\*|FAR|CLOSE|FULL|round)</dt>", reading) == ["pi*", "FAR", "CLOSE", "FULL", "round"]
    assert "held-out" not in reading
