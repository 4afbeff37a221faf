"""The hash of a run's games, and what it does not see: scenes after the first."""

import hashlib
import random
from pathlib import Path

import pytest

from lamobench.benchmark.text import build
from lamobench.benchmark.text.build import games_hash, parts_of, split_games
from lamobench.benchmark.text.config import split_and_view
from lamobench.datasets.games.families import FAMILIES, find_family, make_games, missing
from lamobench.datasets.games.game import Game, Scene
from lamobench.datasets.games.stories import import_story
from lamobench.datasets.games.tasks import find_game_task
from lamobench.datasets.games.views import VIEWS, ViewedGame, view

FOUR_ROOMS = Path(__file__).parents[2] / "datasets" / "games" / "stories" / "four_rooms.z5"
STORY_NAME = "story-four-rooms"
# Hashes of first scenes, of which run ids are made: 7 episodes.
FIRST_SCENES = {
    "tidy-medium": "6aa824a028296109b3a259a50a70d231f4dd6ddee3f60835e0268ed611380802",
    "tidy-medium-40": "0e1bd3aeb98219efba96d090c1ce1d69071cd3eb2368ac5dd0035c25a4f70c54",
    "twc-medium": "463575f49f24b7932c1fe123c3ded6d1a84e70cc74c3bfff640d617487f4f5e1",
    "cave-start": "ca3548848b524b94d4aaef7a4bc97ed09571b12d3b888c224906d64ee1c025cd",
}
# SHA-256 of the plays of a family, in every view.
PLAYS = {
    "tidy-easy": "f7fbd44b72c80d8d4ea2fd87f665d2d612e2e708662221853094359ec9fd0054",
    "tidy-medium": "cf1b0536afb2ebc277ec30da538fff52d41b6f90ad0631c5ea078c62b44f0e82",
    "tidy-hard": "518a46a95f61a3d7faf7c5733e83dba02eebb186eb3b000a9141ee894258cba4",
    "twc-easy": "09606611efc29cf3b9619dfaf286cf688416f5b7dd554ed300f8ebb65819a01a",
    "twc-medium": "dddc810695378c245ae45e8fd29c618344af2e7092ac77a88d063688e5016bfd",
    "twc-hard": "3215f2ecc1b301e877728558dd0e8d9446652267d548cea8e7c7563fd2884a47",
    "cave": "2c72799385ebe16f35ca384517d50b669666c9d1986f4f38ca578a6c5f26f173",
    "cave-start": "c8fac6c61d08430d5a04a4c42de73cd2d2ade0f9742274be59e41469bb95d730",
    "story-four-rooms": "4aaa7aa2a20eef6a044d3f47aa3012510061eb7b5dc12d0bea1e75b4f2429ab7",
}
PLAYED = 2  # games of each split
EXPERT_MOVES = 3  # before random ones
RANDOM_MOVES = 20
CHANGED = (
    "plays of {} are other than they were. Give REVISION in benchmark/text/build.py another value, so that runs before "
    "and after have other ids, and put the new digest, {}, into PLAYS in tests/benchmark/text/test_build.py"
)


@pytest.fixture(autouse=True)
def _story(home: Path) -> None:
    import_story(STORY_NAME, FOUR_ROOMS)


def at_hand(name: str) -> None:
    if line := missing(name):
        pytest.skip(line)


def plays(game: Game) -> list[Scene]:
    """The expert's play to the end, if there is one; then a few of its moves, and random ones."""
    scenes = [game.reset()]
    while not scenes[-1].over and (choice := game.expert()) is not None:
        scenes.append(game.step(choice))
    scenes.append(game.reset())
    rng = random.Random(game.name)
    for move in range(EXPERT_MOVES + RANDOM_MOVES):
        if scenes[-1].over:
            break
        choice = game.expert() if move < EXPERT_MOVES else None
        scenes.append(game.step(rng.randrange(len(scenes[-1].commands)) if choice is None else choice))
    return scenes


def plays_hash(name: str) -> str:
    """SHA-256 of all scenes of plays of a family, in every view."""
    digest = hashlib.sha256()
    for split, count in find_family(name).games.items():
        for game in make_games(name, split, min(PLAYED, count)):
            scenes = plays(game)
            for view_name in VIEWS:
                digest.update("".join(repr(view(scene, view_name)) for scene in scenes).encode())
    return digest.hexdigest()


@pytest.mark.parametrize("name", [*FAMILIES, STORY_NAME])
def test_later_scenes_are_those_that_runs_were_made_of(name: str) -> None:
    at_hand(name)
    found = plays_hash(name)
    assert found == PLAYS[name], CHANGED.format(name, found)


@pytest.mark.parametrize("name", FIRST_SCENES)
def test_ids_of_runs_hang_on_first_scenes(name: str) -> None:
    at_hand(find_game_task(name).family.name)
    assert games_hash(find_game_task(name), 7) == FIRST_SCENES[name]


@pytest.mark.parametrize(
    ("name", "episodes"), [("tidy-easy", 3), ("tidy-easy", 12), ("tidy-easy-40", 41), ("cave-start", 7)]
)
def test_a_game_is_begun_once_and_hashed_as_often_as_it_is_played(name: str, episodes: int) -> None:
    task = find_game_task(name)
    at_hand(task.family.name)
    digest = hashlib.sha256()
    for split, view_name in map(split_and_view, parts_of(task)):
        for _, game in split_games(task, split, episodes):
            digest.update(repr(ViewedGame(game, view_name).reset()).encode())
    assert games_hash(task, episodes) == digest.hexdigest()


def test_another_revision_makes_other_games(monkeypatch: pytest.MonkeyPatch) -> None:
    before = games_hash(find_game_task("tidy-easy"), 2)
    monkeypatch.setattr(build, "REVISION", "2")
    assert games_hash(find_game_task("tidy-easy"), 2) != before
