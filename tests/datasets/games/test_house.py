"""Tests of the tables of the house: every place can be learned and tested, and unseen things are unseen."""

import re

from lamobench.datasets.games.house import ADJECTIVES, CONTAINERS, FLOOR, ROOM_OF, ROOMS, THINGS, noun_of


def test_the_house_has_its_size() -> None:
    assert len(ROOMS) == 8
    assert len(ROOM_OF) == 40
    assert len(THINGS) >= 120
    assert {len(thing.places) for thing in THINGS.values()} == {1, 2, 3}
    assert FLOOR not in ROOM_OF


def test_every_place_has_seen_and_unseen_things() -> None:
    for place in ROOM_OF:
        assert {thing.seen for thing in THINGS.values() if place in thing.places} == {True, False}, place
    assert {place for thing in THINGS.values() for place in thing.places} <= ROOM_OF.keys()


def test_unseen_things_share_no_noun_with_seen_ones() -> None:
    nouns = {
        seen: {w for t in THINGS.values() if t.seen is seen for w in noun_of(t.name).split()} for seen in (True, False)
    }
    assert nouns[True] & nouns[False] == set()


def test_names_are_phrases_without_their_article() -> None:
    for thing in THINGS.values():
        article, _, name = thing.phrase.partition(" ")
        assert name == thing.name
        assert article in ("a", "an", "some")
        vowel = name[0] in "aeiou" and not name.startswith("used")
        assert article == "some" or (article == "an") == vowel, name


def test_names_are_all_different_and_plain() -> None:
    names = [*THINGS, *ROOM_OF, *ROOMS, FLOOR]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+( [a-z]+)*", name) for name in names)


def test_adjectives_are_those_of_the_names() -> None:
    first = {thing.split()[0] for thing in THINGS}
    assert first >= ADJECTIVES
    assert noun_of("wet plate") == "plate"
    assert noun_of("dry pasta") == "pasta"
    assert noun_of("coffee table") == "coffee table"


def test_containers_can_be_opened() -> None:
    assert "fridge" in CONTAINERS
    assert "sofa" not in CONTAINERS
    assert len(CONTAINERS) == sum(kind == "in" for holders in ROOMS.values() for kind in holders.values())
