from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lamobench.datasets import nethack_recordings
from lamobench.datasets.environments.nethack_game import SPACES, Game
from lamobench.datasets.errors import UserError
from lamobench.datasets.nethack_recordings import NetHackRecording
from lamobench.datasets.recording import autoascend, nethack, nethack_scores
from lamobench.datasets.recording.nethack import record_games
from lamobench.datasets.recording.nethack_scores import scores_after
from lamobench.tests.datasets.environments.nethack import DESCENTS, needs_nethack

NAME = "nethack-two"
SCORES: dict[int, list[int]] = {}


def descend(game: Game) -> str:
    """Press the keys that are known of the game, and note its score after each."""
    seed = list(DESCENTS)[len(SCORES)]
    SCORES[seed] = [0]
    for key in DESCENTS[seed]:
        game.press(key)
        SCORES[seed].append(game.facts.score)
    game.quit()
    return "stopped"


@pytest.fixture(autouse=True)
def _two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_nethack()
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path))
    recording = NetHackRecording(NAME, 2, 1001, "")
    monkeypatch.setattr(NetHackRecording, "seeds", property(lambda recording: list(DESCENTS)))
    monkeypatch.setitem(nethack_recordings.NETHACK_RECORDINGS, NAME, recording)
    monkeypatch.setattr(nethack, "cores", lambda: 1)
    monkeypatch.setattr(autoascend, "load", lambda: "")
    monkeypatch.setattr(autoascend, "play", descend)
    monkeypatch.setattr(autoascend, "OBSERVED", SPACES)
    SCORES.clear()


def test_scores_are_those_that_a_game_had_when_it_was_played(capsys: pytest.CaptureFixture[str]) -> None:
    counts = [1, 300, 500, 10_000]
    found = scores_after(record_games(NAME), counts)
    wanted = [[scores[min(count, len(scores) - 1)] for count in counts] for scores in SCORES.values()]
    np.testing.assert_array_equal(found, wanted)
    assert found[:, -1].min() > 0
    nethack_scores.main([NAME, "500", "300"])
    means = found.mean(0)
    assert capsys.readouterr().out == f"300 keys: {means[1]:.1f}\n500 keys: {means[2]:.1f}\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "nothing is no count of keys"),
        ([NAME, "0"], "is no count of keys"),
        ([NAME, "-5"], "is no count of keys"),
        (["elsewhere", "5"], "elsewhere"),
        ([NAME, "5"], "to get it, type: lamobench data record nethack-two"),
    ],
)
def test_what_can_t_be_scored_gets_a_line(arguments: list[str], line: str) -> None:
    with pytest.raises(SystemExit, match=line):
        nethack_scores.main(arguments)


def test_a_game_that_is_not_whole_gets_a_line() -> None:
    recording = record_games(NAME)
    longer = replace(recording, games=(replace(recording.games[0], steps=5000),))
    with pytest.raises(UserError, match=r"is not the game that was recorded \(it has \d+ of 5000 keys"):
        scores_after(longer, [444, 1000])
