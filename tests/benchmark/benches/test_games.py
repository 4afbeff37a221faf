import random
from pathlib import Path

import pytest

from lamobench.benchmark.benches import games
from lamobench.benchmark.benches.harness import Settings
from lamobench.datasets.games.families import make_games

QUICK = Settings(clock="cpu", rounds=1, seconds=1e-4)


def test_games_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(games, "missing", lambda name: "not here")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    medium, hard = games.game_steps(QUICK, tmp_path)
    assert (medium.what, hard.what) == ("tidy-medium: random moves", "tidy-hard: random moves")
    assert medium.unit == hard.unit == "steps/s"
    assert medium.wanted == "50000 steps/s or more"
    assert medium.ours > 1000


def test_random_moves_go_on_from_call_to_call_and_from_game_to_game() -> None:
    made = make_games("tidy-easy", "train", 2)
    play = games.random_moves(made)
    for _ in range(4):
        play()
    ours = make_games("tidy-easy", "train", 2)
    rng = random.Random(0)
    number = 0
    scene = ours[0].reset()
    for _ in range(4 * games.MOVES):
        if scene.over:
            number += 1
            scene = ours[number % 2].reset()
        scene = ours[number % 2].step(int(rng.random() * len(scene.commands)))
    assert [game.moment.look for game in made] == [game.moment.look for game in ours]  # type: ignore[attr-defined]
