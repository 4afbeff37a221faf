"""TextWorld Commonsense as TextWorldExpress 1.1 plays it (Jansen and Côté 2022, arXiv 2208.01174), in Java.

The score counts the things that are in a right place now. The game's own score, which also pays half for taking a
thing, stands beside it. Texts are the game's, but for spaces and a capital letter.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..json_files import read_json
from .families import Family
from .game import NOT_BEGUN, Scene
from .twc_java import Engine

SIZES = {"easy": (1, 1), "medium": (1, 3), "hard": (2, 4)}  # rooms and things; four are the most that the game allows
# Its folds have no new games of the things of training: those are other seeds of the training fold.
FOLDS = {"train": "train", "valid": "train", "tuning": "train", "ood": "test"}
SEEDS = Path(__file__).with_name("tables") / "twc_seeds.json"  # of each split; `twc_seeds.py` says how they are chosen
TASK = "Put every misplaced thing where it belongs."
EMPTY = "Your inventory is currently empty."
EXIT = re.compile(r"To the (\w+) you see the ([\w ]+)")
HOLDS = re.compile(r"\ban? (?:open )?(?P<place>[\w ]+?)(?: that has |, that contains )(?P<things>.+?)(?: on it)?\.?$")
ALONE = re.compile(r"(?:see|also) an? (?P<thing>[\w -]+)\.?$")


def make(family: Family, split: str, number: int) -> "Twc":
    """Game `number` of a split, from 0 on."""
    seed = seeds(family.level)[split][number]
    return Twc(f"{family.name}/{split}/{number}", family.level, FOLDS[split], seed, family.move_limit)


@lru_cache
def seeds(level: str) -> dict[str, list[int]]:
    """The seed of each game of a level, by split."""
    found: dict[str, list[int]] = read_json(SEEDS)["seeds"][level]
    return found


@lru_cache
def right_places(fold: str) -> dict[str, tuple[str, ...]]:
    """The right places of each thing of a fold, by the game's own table.

    A place that it spells otherwise than the game's texts, such as "nightstand", is never right to the game.
    """
    import textworld_express.constants

    folds = read_json(Path(textworld_express.constants.BASEPATH) / "twc_objects.folds.json")
    return {name: tuple(thing["locations"]) for name, thing in folds[fold].items()}


class Twc:
    """One game; it obeys `game.Game`."""

    def __init__(self, name: str, level: str, fold: str, seed: int, move_limit: int) -> None:
        rooms, self.things = SIZES[level]
        self.name = name
        self.fold = fold
        self.seed = seed
        self.move_limit = move_limit
        options = f"numLocations={rooms},numItemsToPutAway={self.things},includeDoors=0,limitInventorySize=0"
        self.engine = Engine("twc", options)
        self.right = right_places(fold)
        self.scene = NOT_BEGUN

    def reset(self) -> Scene:
        """Begin anew; returns the first scene."""
        self.looks: dict[str, str] = {}  # the last look of each room
        return self._read(self.engine.begin(self.seed, self.fold), 0)

    def step(self, index: int) -> Scene:
        """Give a command; returns the next scene. An `IndexError` for one that there is not."""
        if not 0 <= index < len(self.scene.commands):
            raise IndexError(f"{self.name} has no command {index} now")
        return self._read(self.engine.give(self.scene.commands[index]), self.scene.moves + 1)

    def _read(self, answer: str, moves: int) -> Scene:
        """The scene that the engine's answer tells."""
        told: dict[str, Any] = json.loads(answer)
        self.look = _plain(told["look"])
        self.carried = _items(told["inventory"])
        self.looks[_room(self.look)] = self.look
        over = told["tasksuccess"] or moves >= self.move_limit
        feedback = _plain(told["observation"]) if moves else TASK
        repeated = feedback == self.look or feedback.startswith("Inventory:")
        self.scene = Scene(
            observation=self.look if repeated else f"{feedback} {self.look}",
            inventory=f"Inventory: {', '.join(self.carried)}." if self.carried else EMPTY,
            commands=() if over else tuple(sorted(told["validActions"])),
            score=(int(told["scoreRaw"]) - len(self.carried)) // 2,  # it has 1 for a thing that is carried, 2 if placed
            maximum=self.things,
            moves=moves,
            over=over,
            won=told["tasksuccess"],
            own_score=told["score"],
        )
        return self.scene

    def expert(self) -> int | None:
        """Put down what belongs here, take what does not, else look for more in other rooms and behind doors."""
        commands = self.scene.commands
        if not commands:
            return None
        for command in (*self._work(), *self._ways(), *(c for c in commands if c.startswith("open "))):
            if command in commands:
                return commands.index(command)
        return None

    def _work(self) -> Iterator[str]:
        """Commands that would do something for a thing in this room, if the game takes them."""
        for thing in map(_name, self.carried):
            for place in self.right[thing]:
                yield f"put {thing} in {place}"
                if _has(self.look, place):
                    yield f"open {place}"
        for thing in _misplaced(self.look, self.right):
            yield f"take {thing}"

    def _ways(self) -> Iterator[str]:
        """Commands that lead to a room with something to do, or to one that is not known; the nearest first."""
        rooms = [_room(self.look)]
        reached = {rooms[0]: ""}  # the first command on the way to each room
        for room in rooms:  # it grows: breadth first
            for direction, other in EXIT.findall(self.looks.get(room, "")):
                if other not in reached:
                    reached[other] = reached[room] or f"move {direction.lower()}"
                    rooms.append(other)
        wanted = {place for thing in map(_name, self.carried) for place in self.right[thing]}
        for room in rooms[1:]:
            look = self.looks.get(room)
            if look is None or _misplaced(look, self.right) or any(_has(look, place) for place in wanted):
                yield reached[room]


def taken(game: Twc) -> set[str]:
    """The things that its expert takes to the end: all that lie in a wrong place. The game begins anew."""
    scene = game.reset()
    found = set()
    while not scene.over and (choice := game.expert()) is not None:
        verb, _, thing = scene.commands[choice].partition(" ")
        if verb == "take":
            found.add(thing)
        scene = game.step(choice)
    game.reset()
    return found


def _plain(text: str) -> str:
    """The text on one line, without the capital letter that the game puts amid a sentence."""
    return " ".join(text.split()).replace(" An open ", " an open ")


def _items(inventory: str) -> list[str]:
    """The things that an inventory lists, with their articles."""
    lines = [line.strip() for line in inventory.splitlines()[1:]]
    return [line for line in lines if line and line != EMPTY]


def _room(look: str) -> str:
    return look.removeprefix("You are in the ").partition(".")[0]


def _name(phrase: str) -> str:
    """The name of a thing or place without its article."""
    return phrase.partition(" ")[2]


def _has(look: str, place: str) -> bool:
    return re.search(rf"\ban? (?:open )?{re.escape(place)}(?:,| that)", look) is not None


def _misplaced(look: str, right: dict[str, tuple[str, ...]]) -> list[str]:
    """The things that a look shows where they do not belong, given their right places."""
    found = []
    for sentence in look.split(". "):
        if holds := HOLDS.search(sentence):
            things = map(_name, re.split(r",? and |, ", holds["things"]))
            found += [thing for thing in things if holds["place"] not in right[thing]]
        elif (alone := ALONE.search(sentence)) and alone["thing"] in right:
            found.append(alone["thing"])
    return found
