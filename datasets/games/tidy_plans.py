"""Draw the games of tidying: which rooms, which things, and where each of them lies at first."""

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from .families import TUNING_GAMES, VALID_OF
from .house import ROOM_OF, ROOMS, THINGS

TRAINING = 40  # games
OTHER = 100  # games for validation, and as many with unseen things
FIRST = {"train": 0, "tuning": TRAINING + OTHER, "ood": 0}  # of each split among those drawn
SIZES = {"easy": ((1,), 1), "medium": ((2, 3), 1), "hard": ((6, 7), 2)}  # numbers of things, and how many rooms
OPPOSITE = {"north": "south", "south": "north", "east": "west", "west": "east"}


@dataclass(frozen=True)
class Plan:
    """A house, and the beginning of a game in it."""

    rooms: tuple[str, ...]  # in a row; the player begins in the first
    doors: tuple[str, ...]  # the direction from each room to the next
    things: tuple[str, ...]
    starts: tuple[str, ...]  # of each thing: a holder, or a room for its floor


@lru_cache
def plans(level: str, seen: bool) -> tuple[Plan, ...]:
    """All different games of a level, with things that training may show or with those that it never does."""
    count = TRAINING + OTHER + TUNING_GAMES if seen else OTHER
    names = {name for name, thing in THINGS.items() if thing.seen is seen}
    drawn = _endless(level, names, random.Random(f"{level} {'seen' if seen else 'unseen'}"))
    return tuple(islice(dict.fromkeys(islice(drawn, 4 * count)), count))


def plan_of(level: str, split: str, number: int) -> Plan:
    """The plan of one game; games of `train`, `valid` and `tuning` never begin alike."""
    if split.startswith(VALID_OF):
        return valid_plans(level, int(split.removeprefix(VALID_OF)))[number]
    return plans(level, split != "ood")[FIRST[split] + number]


@lru_cache
def valid_plans(level: str, learned: int) -> tuple[Plan, ...]:
    """New games of a level with nothing but things that `learned` training games show: 100, or all of them."""
    drawn_before = plans(level, True)
    others = {*drawn_before[:TRAINING], *drawn_before[FIRST["tuning"] :]}
    shown = {thing for plan in drawn_before[:learned] for thing in plan.things}
    drawn = _endless(level, shown, random.Random(f"{level} valid of {learned}"))
    new = (plan for plan in drawn if plan not in others)
    return tuple(islice(dict.fromkeys(islice(new, 40 * OTHER)), OTHER))


def _endless(level: str, names: Collection[str], rng: random.Random) -> Iterator[Plan]:
    numbers, room_count = SIZES[level]
    while True:
        rooms = rng.sample(list(ROOMS), room_count)
        here = [thing for thing in THINGS.values() if thing.name in names and _belongs_in(thing.places, rooms)]
        if len(here) < min(numbers):
            continue
        things = rng.sample(here, rng.choice([n for n in numbers if n <= len(here)]))
        spots = [*(holder for room in rooms for holder in ROOMS[room]), *rooms]
        starts = [rng.choice([spot for spot in spots if spot not in thing.places]) for thing in things]
        doors = [rng.choice(list(OPPOSITE)) for _ in rooms[1:]]
        yield Plan(tuple(rooms), tuple(doors), tuple(thing.name for thing in things), tuple(starts))


def _belongs_in(places: tuple[str, ...], rooms: list[str]) -> bool:
    return any(ROOM_OF[place] in rooms for place in places)
