import sys
from pathlib import Path

import pytest

from lamobench.datasets import nethack_recordings
from lamobench.datasets.environments.nethack_game import SPACES, Game
from lamobench.datasets.errors import UserError
from lamobench.datasets.nethack_recordings import NetHackRecording
from lamobench.datasets.recording import autoascend, nethack
from lamobench.datasets.recording.nethack import record_games
from lamobench.datasets.sources.nethack import verify_games
from lamobench.datasets.sources.ttyrec import keys_of
from lamobench.tests.datasets.environments.nethack import needs_nethack

NAME = "nethack-three"
PLAYED: list[int] = []


def play(game: Game) -> str:
    """Search for ten turns, and fail in one game of three."""
    for _ in range(10):
        game.press(ord("s"))
    PLAYED.append(len(game.pressed))
    game.quit()
    return "RuntimeError: made up" if len(PLAYED) == 2 else "stopped"


@pytest.fixture
def _three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording of three short games by a player that needs no bot."""
    needs_nethack()
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path))
    monkeypatch.setitem(nethack_recordings.NETHACK_RECORDINGS, NAME, NetHackRecording(NAME, 3, 1002, ""))
    monkeypatch.setattr(nethack, "cores", lambda: 1)
    monkeypatch.setattr(autoascend, "load", lambda: "")
    monkeypatch.setattr(autoascend, "play", play)
    monkeypatch.setattr(autoascend, "OBSERVED", SPACES)
    PLAYED.clear()


@pytest.mark.usefixtures("_three")
def test_games_are_recorded_and_those_that_fail_are_kept(tmp_path: Path) -> None:
    found = record_games(NAME)
    assert verify_games(NAME) == found
    assert [(game.seed, game.steps, game.end) for game in found.games] == [
        (1002, 10, "stopped"), (1003, 10, "RuntimeError: made up"), (1004, 10, "stopped"),
    ]  # fmt: skip
    assert all(game.turns > 1 for game in found.games)
    assert [game.opening for game in found.games] == [1, 0, 0]  # the new moon takes a line of its own
    for game in found.games:
        assert keys_of(found.path(game))[game.opening :][:10].tolist() == [ord("s")] * 10
    assert sorted(path.name for path in found.folder.iterdir()) == sorted(
        ["games.json", *(game.file for game in found.games)]
    )
    assert record_games(NAME) == found
    assert len(PLAYED) == 3
    again = record_games(NAME, force=True)
    assert len(PLAYED) == 6
    assert again.hash == found.hash
    assert again.games[0].sha256 != found.games[0].sha256  # NLE writes the time beside each key


@pytest.mark.usefixtures("_three")
def test_a_recording_that_was_stopped_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(game: Game) -> str:
        if len(PLAYED) == 2:
            raise KeyboardInterrupt
        return play(game)

    monkeypatch.setattr(autoascend, "play", fail)
    with pytest.raises(KeyboardInterrupt):
        record_games(NAME)
    monkeypatch.setattr(autoascend, "play", play)
    assert [game.seed for game in record_games(NAME).games] == [1002, 1003, 1004]
    assert len(PLAYED) == 3


def test_without_the_bot_a_line_says_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(autoascend, "NEEDS", ())
    monkeypatch.setitem(sys.modules, "nethackers", None)  # type: ignore[arg-type] -- Python's way to say: not there
    monkeypatch.setattr(autoascend.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install --no-deps nethackers==0\.37\.3"):
        autoascend.load()
    monkeypatch.setattr(autoascend, "NEEDS", ("no_such_package",))
    with pytest.raises(UserError, match=r'pip install "lamobench\[nethack-recording\]"'):
        autoascend.load()


def test_another_bot_in_its_place_is_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("raise SystemExit('this is run')")
    monkeypatch.setattr(autoascend, "NEEDS", ())
    monkeypatch.setattr(autoascend, "find", lambda: tmp_path)
    with pytest.raises(UserError, match="is not the AutoAscend that is known here"):
        autoascend.load()


def test_the_bot_s_hash_is_of_every_file_that_could_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "agent.py").write_text("1")
    before = autoascend.folder_hash(tmp_path)
    compiled = tmp_path / "inner" / "__pycache__"
    compiled.mkdir()
    (compiled / "agent.cpython-311.pyc").write_bytes(b"2")
    assert autoascend.folder_hash(tmp_path) == before
    (tmp_path / "inner" / "agent.so").write_bytes(b"3")  # which Python would load in the place of agent.py
    assert autoascend.folder_hash(tmp_path) != before


class Careless:
    """A bot that makes an error of its own."""

    def __init__(self, seat: autoascend.Seat, panic_on_errors: bool) -> None:
        self.seat = seat
        self.all_panics: list[Exception] = []

    def main(self) -> None:
        seen, reward, over, _ = self.seat.step(ord("s"))
        assert reward == 0
        assert not over
        assert seen["tty_cursor"].dtype == "int64"
        self.all_panics.append(ZeroDivisionError("x" * 1000))
        assert len(str(self.all_panics[0])) == 200
        raise ZeroDivisionError("division by zero")


def test_a_bot_that_fails_ends_its_game_by_quitting(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_nethack()

    class Module:
        Agent = Careless

    monkeypatch.setattr(autoascend, "load", lambda: "bot")
    monkeypatch.setitem(sys.modules, "bot.agent", Module)  # type: ignore[arg-type]
    game = Game()
    game.begin(5)
    assert autoascend.play(game) == "ZeroDivisionError: division by zero"
    assert game.ended
    assert game.pressed == b"s"
    game.close()


@pytest.mark.parametrize(("keys", "end"), [(b"#quit\ry", "over"), (b"i\x1b" * 20, "no turn passed"), (b"s", "stopped")])
def test_a_game_ends_when_it_is_over_or_no_turn_passes(keys: bytes, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_nethack()

    class Bot(Careless):
        def main(self) -> None:
            for key in keys:
                if self.seat.step(key)[2]:
                    return

    class Module:
        Agent = Bot

    monkeypatch.setattr(autoascend, "load", lambda: "bot")
    monkeypatch.setattr(autoascend, "IDLE", 9)
    monkeypatch.setitem(sys.modules, "bot.agent", Module)  # type: ignore[arg-type]
    game = Game()
    game.begin(5)
    assert autoascend.play(game) == end
    assert game.ended
    assert len(game.pressed) == {"over": 7, "no turn passed": 9, "stopped": 1}[end]
    game.close()
