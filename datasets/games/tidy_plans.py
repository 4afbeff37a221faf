"""Draw the games of tidying: which rooms, which things, and where each of them lies at first."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from .families import TUNING_GAMES
from .house import ROOM_OF, ROOMS, THINGS

TRAINING = 40  # games; those after them, with the same things, are for validation, and then for tuning
OTHER = 100  # games for validation, and as many with unseen things
FIRST = {"train": 0, "valid": TRAINING, "tuning": TRAINING + OTHER, "ood": 0}  # of each split among those drawn
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
    """All different games of a level, with things that are seen in training or with those that are not."""
    count = TRAINING + OTHER + TUNING_GAMES if seen else OTHER
    drawn = _endless(level, seen, random.Random(f"{level} {'seen' if seen else 'unseen'}"))
    return tuple(islice(dict.fromkeys(islice(drawn, 4 * count)), count))


def plan_of(level: str, split: str, number: int) -> Plan:
    """The plan of one game; games of `train`, `valid` and `tuning` never begin alike."""
    return plans(level, split != "ood")[FIRST[split] + number]


def _endless(level: str, seen: bool, rng: random.Random) -> Iterator[Plan]:
    numbers, room_count = SIZES[level]
    while True:
        rooms = rng.sample(list(ROOMS), room_count)
        here = [thing for thing in THINGS.values() if thing.seen == seen and _belongs_in(thing.places, rooms)]
        things = rng.sample(here, rng.choice([n for n in numbers if n <= len(here)]))
        spots = [*(holder for room in rooms for holder in ROOMS[room]), *rooms]
        starts = [rng.choice([spot for spot in spots if spot not in thing.places]) for thing in things]
        doors = [rng.choice(list(OPPOSITE)) for _ in rooms[1:]]
        yield Plan(tuple(rooms), tuple(doors), tuple(thing.name for thing in things), tuple(starts))


def _belongs_in(places: tuple[str, ...], rooms: list[str]) -> bool:
    return any(ROOM_OF[place] in rooms for place in places)
