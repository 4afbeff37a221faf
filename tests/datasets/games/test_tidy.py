"""Tests of tidying as a game: what is paid, when it is over, and which games there are."""

import random
from itertools import pairwise

import pytest

from lamobench.datasets.games.families import TUNING_GAMES, find_family, make_games
from lamobench.datasets.games.house import THINGS
from lamobench.datasets.games.tidy import Tidy
from lamobench.datasets.games.tidy_plans import OTHER, SIZES, TRAINING, Plan, plan_of, plans

MOVE_LIMIT = 50
MILK = Plan(("kitchen",), (), ("milk",), ("stove",))


def play(game: Tidy, *commands: str) -> list[float]:
    """Give commands in their own words; returns the scores."""
    scene = game.reset()
    scores = []
    for command in commands:
        scene = game.step(scene.commands.index(command))
        scores.append(scene.score)
    return scores


def test_a_point_is_paid_once_and_kept() -> None:
    game = Tidy("", Plan(("kitchen",), (), ("milk", "fork"), ("stove", "stove")), MOVE_LIMIT)
    take = "take milk from fridge"
    put = "insert milk into fridge"
    assert play(game, "take milk from stove", put, take, put, take, "drop milk") == [0, 1, 1, 1, 1, 1]


def test_a_wrong_place_pays_nothing_and_a_right_one_ends_the_game() -> None:
    game = Tidy("", MILK, MOVE_LIMIT)
    assert play(game, "take milk from stove", "put milk on dish rack") == [0, 0]
    assert play(game, "take milk from stove", "insert milk into fridge") == [0, 1]
    scene = game._scene("")
    assert scene.over
    assert scene.won
    assert scene.commands == ()
    assert game.expert() is None


def test_time_runs_out() -> None:
    game = Tidy("", MILK, MOVE_LIMIT)
    scene = game.reset()
    while not scene.over:
        scene = game.step(scene.commands.index("look"))
    assert (scene.moves, scene.won, scene.score) == (MOVE_LIMIT, False, 0)


def test_the_last_move_can_win() -> None:
    game = Tidy("", MILK, MOVE_LIMIT)
    scores = play(game, *["look"] * (MOVE_LIMIT - 2), "take milk from stove", "insert milk into fridge")
    assert scores[-1] == 1
    assert game._scene("").won


@pytest.mark.parametrize("level", SIZES)
def test_games_differ_and_have_their_sizes(level: str) -> None:
    seen = plans(level, True)
    unseen = plans(level, False)
    assert (len(seen), len(unseen)) == (TRAINING + OTHER + TUNING_GAMES, OTHER)
    assert len({*seen, *unseen}) == TRAINING + 2 * OTHER + TUNING_GAMES
    numbers, rooms = SIZES[level]
    assert {len(plan.things) for plan in (*seen, *unseen)} == set(numbers)
    assert {len(plan.rooms) for plan in (*seen, *unseen)} == {rooms}
    assert all(THINGS[thing].seen for plan in seen for thing in plan.things)
    assert not any(THINGS[thing].seen for plan in unseen for thing in plan.things)


def test_nothing_begins_where_it_belongs_and_everything_has_a_place() -> None:
    for level in SIZES:
        for plan in (*plans(level, True), *plans(level, False)):
            game = Tidy("", plan, 50)
            assert all(game.right)
            assert all(p not in right for p, right in zip(game.house.start.places, game.right, strict=True))


@pytest.mark.parametrize("level", SIZES)
@pytest.mark.parametrize("learned", [5, 40])
def test_new_games_have_nothing_but_things_that_were_shown(level: str, learned: int) -> None:
    count = find_family(f"tidy-{level}").games["valid"]
    trained = [plan_of(level, "train", number) for number in range(TRAINING)]
    new = [plan_of(level, f"valid-of-{learned}", number) for number in range(count)]
    shown = {thing for plan in trained[:learned] for thing in plan.things}
    assert all(set(plan.things) <= shown for plan in new)
    begun = [plan.beginning for plan in (*trained, *(plan_of(level, "tuning", number) for number in range(5)))]
    assert len({*begun, *(plan.beginning for plan in new)}) == len(begun) + count
    games = make_games(f"tidy-{level}", "valid", 2, learned)
    assert [game.name for game in games] == [f"tidy-{level}/valid-of-{learned}/{number}" for number in (0, 1)]
    assert [game.reset() for game in games] == [Tidy("", plan, MOVE_LIMIT).reset() for plan in new[:2]]
    assert plan_of("easy", "ood", 0) == plans("easy", False)[0]


@pytest.mark.parametrize(("level", "limit"), [("easy", 2), ("medium", 6), ("hard", 17)])
def test_the_expert_is_quick(level: str, limit: int) -> None:
    """Two moves a thing, and one or two between the rooms."""
    for split, number in (("train", 0), ("valid-of-5", 7), ("ood", 99)):
        game = Tidy("", plan_of(level, split, number), MOVE_LIMIT)
        scene = game.reset()
        while not scene.over:
            scene = game.step(game.expert())  # type: ignore[arg-type]
        assert scene.won
        assert scene.moves <= limit


def test_the_expert_finds_its_way_from_anywhere() -> None:
    """Things may have been hidden, closed in, dropped and carried off."""
    rng = random.Random(0)
    for number in range(TRAINING):
        game = Tidy("", plan_of("hard", "train", number), MOVE_LIMIT)
        scene = game.reset()
        for _ in range(25):
            scene = game.step(rng.randrange(len(scene.commands)))
        scores = [scene.score]
        while not scene.over:
            scene = game.step(game.expert())  # type: ignore[arg-type]
            scores.append(scene.score)
        assert all(after >= before for before, after in pairwise(scores))
        assert scene.score >= scene.maximum - 1  # 25 moves are left for 7 things
