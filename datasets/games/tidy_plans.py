"""Draw the games of tidying: which rooms, which things, and where each of them lies at first."""

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from ..counts import count
from ..errors import UserError
from .families import TUNING_GAMES, VALID_OF
from .house import ROOM_OF, ROOMS, THINGS

TRAINING = 40  # games
OTHER = 100  # new games of each kind
FIRST = {"train": 0, "tuning": TRAINING + OTHER, "ood": 0}  # of each split among those drawn: those between are of none
SIZES = {"easy": ((1,), 1), "medium": ((2, 3), 1), "hard": ((6, 7), 2)}  # numbers of things, and how many rooms
Beginning = tuple[tuple[str, ...], tuple[str, ...], frozenset[tuple[str, str]]]
OPPOSITE = {"north": "south", "south": "north", "east": "west", "west": "east"}


@dataclass(frozen=True)
class Plan:
    """A house, and the beginning of a game in it."""

    rooms: tuple[str, ...]  # in a row; the player begins in the first
    doors: tuple[str, ...]  # the direction from each room to the next
    things: tuple[str, ...]
    starts: tuple[str, ...]  # of each thing: a holder, or a room for its floor

    @property
    def beginning(self) -> Beginning:
        """The plan as a player sees it: things are in no order."""
        return self.rooms, self.doors, frozenset(zip(self.things, self.starts, strict=True))


@lru_cache
def plans(level: str, seen: bool) -> tuple[Plan, ...]:
    """All different games of a level, with things that training may show or with those that it never does."""
    most = TRAINING + OTHER + TUNING_GAMES if seen else OTHER
    names = {name for name, thing in THINGS.items() if thing.seen is seen}
    drawn = _endless(level, names, random.Random(f"{level} {'seen' if seen else 'unseen'}"))
    return tuple(islice(dict.fromkeys(islice(drawn, 4 * most)), most))


def plan_of(level: str, split: str, number: int) -> Plan:
    """The plan of a game of `train`, `valid-of-N`, `tuning` or `ood`; games of different splits never begin alike.

    Raises a `UserError` where so few training games show too little for so many new ones.
    """
    if split.startswith(VALID_OF):
        learned = int(split.removeprefix(VALID_OF))
        new = valid_plans(level, learned)
        if number >= len(new):
            showing = f"tidy-{level} has {len(new)} new games of what {count(learned, 'training game')} show"
            raise UserError(f"{showing}; expected a number from 0 to {len(new) - 1}, not {number}")
        return new[number]
    return plans(level, split != "ood")[FIRST[split] + number]


@lru_cache
def valid_plans(level: str, learned: int) -> tuple[Plan, ...]:
    """New games of a level, all different, with no things but those that `learned` training games show: 100 at most.

    Their rooms and right places may be new.
    """
    drawn_before = plans(level, True)
    begun = {plan.beginning for plan in (*drawn_before[:TRAINING], *drawn_before[FIRST["tuning"] :])}
    shown = {thing for plan in drawn_before[:learned] for thing in plan.things}
    drawn = _endless(level, shown, random.Random(f"{level} valid of {learned}"))
    found: list[Plan] = []
    for plan in islice(drawn, 40 * OTHER):
        if plan.beginning not in begun:
            begun.add(plan.beginning)
            found.append(plan)
    return tuple(found[:OTHER])


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
