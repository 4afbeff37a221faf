"""Tests of the rules of the house: beside TextWorld's own transcripts, by hand, and against the plainest way."""

import json
import random
from typing import Any

import pytest

from lamobench.datasets.games.tidy import Tidy
from lamobench.datasets.games.tidy_plans import Plan, plan_of
from lamobench.datasets.games.tidy_rules import CARRIED, MOST_MOMENTS, House
from lamobench.tests.datasets.games.textworld_transcripts import GAMES, TRANSCRIPTS

TRANSCRIBED = json.loads(TRANSCRIPTS.read_text())
KITCHEN = Plan(("kitchen", "hallway"), ("east",), ("milk", "raincoat"), ("stove", "kitchen"))


def as_plan(fields: dict[str, Any]) -> Plan:
    return Plan(**{name: tuple(value) for name, value in fields.items()})


@pytest.mark.parametrize("transcript", TRANSCRIBED, ids=["-".join(plan.rooms) for plan in GAMES])
def test_a_game_goes_as_in_textworld(transcript: dict[str, Any]) -> None:
    """The same commands at every move, the same score and end after it."""
    game = Tidy("", as_plan(transcript["plan"]), 50)
    scene = game.reset()
    for command, there, score, won in transcript["moves"]:
        texts = [transcript["commands"][number] for number in there]
        assert list(scene.commands) == texts
        scene = game.step(texts.index(transcript["commands"][command]))
        assert (scene.score, scene.won) == (score, won)
    assert scene.over


def test_the_transcripts_are_of_the_games_that_are_played() -> None:
    assert [as_plan(game["plan"]) for game in TRANSCRIBED] == GAMES
    said = {command.split()[0] for game in TRANSCRIBED for command in game["commands"]}
    assert said == {"take", "put", "insert", "drop", "open", "close", "examine", "go", "look", "inventory"}
    assert sum(game["moves"][-1][2] for game in TRANSCRIBED) >= 10  # points, so that scores are compared


def test_a_house_is_told_in_whole_sentences() -> None:
    house = House(KITCHEN)
    moment = house.moment(house.start)
    assert moment.look == (
        "You are in the kitchen. The fridge is open and empty. The cutlery drawer is open and empty. "
        "The kitchen cupboard is open and empty. There is nothing on the dish rack. On the stove you see some milk. "
        "On the floor you see a raincoat. A door leads east."
    )
    assert moment.inventory == "You are carrying nothing."
    both = house.start._replace(places=(CARRIED, CARRIED), closed=1)
    moment = house.moment(both)
    assert "The fridge is closed." in moment.look
    assert moment.inventory == "You are carrying some milk and a raincoat."
    assert "insert milk into fridge" not in moment.commands
    assert "put raincoat on stove" in moment.commands


def test_a_closed_container_hides_what_it_holds() -> None:
    house = House(Plan(("kitchen",), (), ("milk", "raincoat"), ("fridge", "fridge")))
    shown = house.moment(house.start)
    hidden = house.moment(house.start._replace(closed=1))
    assert "holds some milk and a raincoat" in shown.look
    assert "milk" not in hidden.look
    assert {c for c in shown.commands if "milk" in c} == {"examine milk", "take milk from fridge"}
    assert not [c for c in hidden.commands if "milk" in c]


def test_what_is_remembered_says_the_same_as_what_is_worked_out_anew() -> None:
    """Play far beyond what a house remembers, beside houses that never remember anything."""
    plan = plan_of("hard", "train", 0)
    house = House(plan)
    state = house.start
    rng = random.Random(3)
    for step in range(3 * MOST_MOMENTS):
        moment = house.moment(state)
        if step % 100 == 0:
            assert moment == House(plan).moment(state)
        state, _ = house.outcome(state, rng.choice(moment.actions))
    assert len(house._moments) <= MOST_MOMENTS
