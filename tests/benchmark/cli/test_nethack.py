"""Recorded games of NetHack on the command line."""

import json
from pathlib import Path

import pytest

from lamobench.benchmark.cli.main import parse
from lamobench.datasets import nethack_recordings
from lamobench.datasets.environments.nethack_game import SPACES, Game
from lamobench.datasets.errors import UserError
from lamobench.datasets.nethack_recordings import NetHackRecording
from lamobench.datasets.recording import autoascend, nethack
from lamobench.tests.datasets.environments.nethack import needs_nethack

NAME = "nethack-autoascend-small"


def search(game: Game) -> str:
    """Search five times."""
    for _ in range(5):
        game.press(ord("s"))
    game.quit()
    return "stopped"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(nethack_recordings.NETHACK_RECORDINGS, NAME, NetHackRecording(NAME, 2, 7, ""))
    monkeypatch.setattr(nethack, "cores", lambda: 1)
    monkeypatch.setattr(autoascend, "load", lambda: "")
    monkeypatch.setattr(autoascend, "play", search)
    monkeypatch.setattr(autoascend, "OBSERVED", SPACES)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    parse(list(arguments)).run()
    return capsys.readouterr().out


def test_a_recording_goes_the_way_of_every_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    needs_nethack()
    assert "2 games, 10 steps\nmean score 0.0" in run(capsys, "data", "record", NAME)
    listed = [line.split() for line in run(capsys, "data", "list").splitlines() if line.startswith(NAME)]
    assert listed == [[NAME, "recorded", "2", "10", "0.0", "0.0", "0.0", "MB", "yes"]]
    shown = run(capsys, "data", "show", NAME)
    assert "quit                2" in shown
    assert shown.splitlines()[-1].split()[::6] == ["8", "stopped"]
    facts = json.loads(run(capsys, "data", "show", NAME, "--json"))
    assert (facts["games"], [game["seed"] for game in facts["each"]]) == (2, [7, 8])
    assert "intact" in run(capsys, "data", "verify", NAME)
    assert "intact" in run(capsys, "data", "verify")
    with pytest.raises(UserError, match="is a folder of NLE's own ttyrec files already"):
        run(capsys, "data", "export", NAME)
    assert "removed" in run(capsys, "data", "remove", NAME)
    assert run(capsys, "data", "verify") == "nothing to list\n"


def test_what_is_absent_gets_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=f"to get it, type: lamobench data record {NAME}"):
        run(capsys, "data", "show", NAME)
    with pytest.raises(UserError, match=f"nothing of '{NAME}' is here"):
        run(capsys, "data", "remove", NAME)
    with pytest.raises(UserError, match="damaged or absent"):
        run(capsys, "data", "verify", NAME)
