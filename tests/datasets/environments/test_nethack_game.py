import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lamobench.datasets.environments import nethack_game
from lamobench.datasets.environments.nethack_game import INSTALL, Game, keys
from lamobench.datasets.environments.staged_tasks import find_staged_task
from lamobench.datasets.errors import UserError
from lamobench.tests.datasets.environments.nethack import DESCENTS, needs_nethack

STEPS = 300
ESCAPE = 27


def played(seed: int, level_seed: int | None = None, games: int = 0) -> str:
    """The hash of all screens of a game that is played at random, after so many `games` of others."""
    game = Game()
    for other in range(games):
        game.begin(900 + other)
        game.press(ESCAPE)
    game.begin(seed, level_seed)
    rng = np.random.default_rng(1)
    digest = hashlib.sha256(game.observation())
    for _ in range(STEPS):
        game.press(int(rng.choice(game.keys)))
        digest.update(game.observation())
        if game.ended:
            break
    game.close()
    return digest.hexdigest()


def test_without_nle_a_line_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nle", "nle.nethack", "nle.env", "nle.env.tasks"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "nle", None)  # type: ignore[arg-type] -- Python's way to say: not there
    with pytest.raises(UserError, match=r'type: pip install "lamobench\[nethack\]"') as caught:
        find_staged_task("nethack-lite").make()
    assert str(caught.value) == INSTALL


def test_seed_and_keys_are_all_that_decides_the_screens_in_every_process() -> None:
    needs_nethack()
    here = played(7)
    program = f"from {__name__} import played; print(played(7, games=2))"
    root = Path(nethack_game.__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join([str(root), *sys.path]), "TZ": "Asia/Tokyo"},
    )
    assert done.stdout.strip() == here, done.stderr
    assert played(8) != here
    assert played(7, level_seed=8) != here


def test_the_clock_and_high_scores_are_the_same_for_every_game(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_nethack()
    import ctypes

    game = Game()
    game.begin(3)
    engine = game._environment.nethack
    loaded = ctypes.CDLL(engine.dlpath)
    assert ctypes.c_long.in_dll(loaded, "ubirthday").value == nethack_game.BIRTHDAY
    ctypes.CDLL(None).dlclose(ctypes.c_void_p(loaded._handle))
    record = Path(engine._vardir) / "record"
    record.write_bytes(b"3.6.7 1000 0 1 1 10 10 1 20200101 20200101 0 Mon Hum Mal Neu Somebody,died\n")
    game.begin(3)
    assert record.read_bytes() == b""
    game.close()


def test_facts_are_those_before_the_end() -> None:
    needs_nethack()
    game = Game()
    game.begin(5)
    assert (game.facts.score, game.facts.turns, game.facts.depth, game.facts.experience) == (0, 1, 1, 1)
    game.press(ord("s"))
    assert game.facts.turns == 2
    for key in b"#quit\ry":
        game.press(key)
    assert game.ended
    assert game.facts.turns == 2  # NetHack shows zeros by now
    game.close()


@pytest.mark.parametrize(("seed", "arrivals"), [(1001, [444]), (1008, [590, 590, 590])])
def test_a_game_counts_the_keys_before_each_dungeon_level(seed: int, arrivals: list[int]) -> None:
    """The keys are those of a game that the bot played; in the second it fell three levels at once."""
    needs_nethack()
    game = Game()
    game.begin(seed)
    for key in DESCENTS[seed]:
        assert game.arrivals == []
        game.press(key)
    assert game.arrivals == arrivals
    assert game.facts.depth == len(arrivals) + 1
    game.close()


def test_every_key_is_there_once() -> None:
    needs_nethack()
    assert len(keys()) == len(set(keys())) == 118


def test_keys_that_are_replayed_lead_where_they_led() -> None:
    needs_nethack()
    game = Game()
    pressed = bytes(np.random.default_rng(0).choice(np.frombuffer(b"hjklyubn", np.uint8), 200))
    game.begin(9)
    for key in pressed:
        game.press(key)
    assert not game.ended
    seen = game.observation()
    facts = game.facts
    game.begin(9)
    game.replay(pressed)
    np.testing.assert_array_equal(game.observation(), seen)
    assert game.facts == facts
    assert game.pressed == pressed
    game.replay(b"")
    np.testing.assert_array_equal(game.observation(), seen)
    game.close()
