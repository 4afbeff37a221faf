import io
import json
import sys
from dataclasses import fields, replace
from typing import Any

import pytest

from lamobench.benchmark.cli.display import SweepBar, print_description, run_bar, sweep_line
from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.sweep.estimate import kind
from lamobench.benchmark.sweep.state import State
from lamobench.benchmark.terminal import duration, print_rows

ROWS: list[dict[str, Any]] = [
    {"name": "a", "count": 5, "score": 1.25, "note": ""},
    {"name": "longer", "count": 12345, "score": None, "note": "to do"},
]


@pytest.fixture
def state() -> State:
    """Three runs of 100 steps; one is done, one half-way, one not begun."""
    facts: dict[str, Any] = dict.fromkeys((each.name for each in fields(OfflineConfig)), "")
    facts |= {"steps": 100, "batch_size": 8, "seed": 0, "fraction": 0.5, "method": "dt", "policy": {}}
    facts |= {"task": "reacher2d", "evaluate_every": 50, "evaluation_episodes": 1, "target_returns": []}
    runs = [replace(OfflineConfig(**facts), seed=seed) for seed in range(3)]
    return State(
        runs, {runs[1].id: 50}, running={runs[1].id}, pace={kind(runs[0]): 0.5}, finished=[runs[0].id], failed={}
    )


def test_rows_are_aligned_numbers_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(ROWS, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "name    count  score  note",
        "a           5    1.2",
        "longer  12345      -  to do",
    ]


def test_small_numbers_are_not_rounded_away(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{"fraction": f, "score": s} for f, s in ((0.005, 0.62), (0.1, 35.24), (1.0, None))], as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "fraction  score",
        "   0.005    0.6",
        "     0.1   35.2",
        "       1      -",
    ]


def test_rows_as_json_are_the_rows(capsys: pytest.CaptureFixture[str]) -> None:
    for rows in (ROWS, []):
        print_rows(rows, as_json=True)
        assert json.loads(capsys.readouterr().out) == rows


def test_no_rows_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([], as_json=False)
    assert capsys.readouterr().out == "nothing to list\n"


def test_a_description_can_hold_numbers_and_tables(capsys: pytest.CaptureFixture[str]) -> None:
    print_description({"targets": [3600.0, 0.5], "none": [], "table": [{"a": "x", "b": 1}]}, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "targets  3600, 0.5",
        "none     none",
        "",
        "table",
        "  a  b",
        "  x  1",
    ]


def test_a_description_has_values_then_histograms(capsys: pytest.CaptureFixture[str]) -> None:
    description = {"episodes": 5, "return": {"mean": 1.25, "best": None}, "returns": ["0-1 ##", "1-2 #"]}
    print_description(description, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "episodes  5",
        "return    mean 1.2, best -",
        "",
        "returns",
        "  0-1 ##",
        "  1-2 #",
    ]
    print_description(description, as_json=True)
    assert json.loads(capsys.readouterr().out) == description


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_line_of_a_sweep_says_how_far_what_runs_and_how_long(state: State) -> None:
    line = sweep_line(state, jobs=2, width=200)
    assert line == "██████████░░░░░░░░░░  50%  1/3 runs  about 50 s left  [dt 50 % s1 50%]"
    assert sweep_line(state, jobs=1, width=200).split("  ")[3] == "about 1 min 15 s left"


def test_the_line_before_anything_is_known(state: State) -> None:
    fresh = State(state.runs)
    assert sweep_line(fresh, 1, 200) == "░░░░░░░░░░░░░░░░░░░░   0%  0/3 runs  starting  []"
    assert "100%  0/0 runs" in sweep_line(State([]), 1, 200)


def test_the_line_fits_the_terminal(state: State) -> None:
    assert len(sweep_line(state, jobs=2, width=40)) == 39


def test_failed_runs_count_as_over(state: State) -> None:
    state.failed[state.runs[1].id] = "reason"
    assert " 67%  2/3 runs" in sweep_line(state, jobs=2, width=200)


def test_without_a_terminal_a_sweep_writes_a_line_now_and_then(
    state: State, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("lamobench.benchmark.cli.display.time.monotonic", lambda: clock[0])
    bar = SweepBar(jobs=2)
    for now in (1000.0, 1010.0, 1029.0, 1031.0, 1040.0):
        clock[0] = now
        bar(state)
    bar.close()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "1/3 runs" in lines[0]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_of_a_run_follows_its_steps_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    bar, report = run_bar("label", 100)
    with bar:
        report(40, 100)  # resumed
        report(50, 100)
        assert bar.n == 50
    assert "label" in sys.stderr.getvalue()  # type: ignore[attr-defined]


def test_there_is_no_bar_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    bar, report = run_bar("label", 100)
    with bar:
        report(50, 100)
    assert capsys.readouterr() == ("", "")
