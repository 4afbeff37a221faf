"""Every family of text games, one row each. Plain data, light to import: a family's module is imported on use."""

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UserError, choose

if TYPE_CHECKING:
    from .game import Game

SPLITS = ("train", "valid", "ood")  # games to learn from; new games of the same objects; new games of unseen objects


@dataclass(frozen=True)
class Family:
    """Games of one kind and one difficulty."""

    name: str
    module: str  # beside this one: its `make(level, split, number)` is game `number` of the split, from 0 on
    level: str  # in the module's own terms
    move_limit: int  # commands after which a game is over
    description: str  # in a line
    games: Mapping[str, int]  # how many there are, by split
    package: str = ""  # importable only where the extra is installed; empty: nothing is needed
    extra: str = ""


def _rows() -> list[Family]:
    games = {"train": 40, "valid": 100, "ood": 100}
    tidy = {"easy": "1 object in 1 room", "medium": "2 or 3 objects in 1 room", "hard": "6 or 7 objects in 2 rooms"}
    return [
        Family(f"tidy-{level}", "tidy", level, 50, f"bring {held} where it belongs", games)
        for level, held in tidy.items()
    ]


FAMILIES = {family.name: family for family in _rows()}


def find_family(name: str) -> Family:
    """The family of that name; a `UserError` names the valid ones."""
    return FAMILIES[choose("game", name, list(FAMILIES))]


def make_games(name: str, split: str, count: int) -> "list[Game]":
    """The first `count` games of a split: `train`, `valid` or `ood`, as far as the family has it.

    The same name, split and number are the same game, everywhere. Raises a `UserError` for a name, a split or a count
    that there is none of, and where a package is missing.
    """
    family = find_family(name)
    choose(f"split of {name}", split, list(family.games))
    if not 1 <= count <= family.games[split]:
        most = family.games[split]
        raise UserError(f"{count} games of {name}'s split {split} were asked for; expected 1 to {most}")
    if line := missing(name):
        raise UserError(line)
    module = importlib.import_module(f".{family.module}", __package__)
    return [module.make(family.level, split, number) for number in range(count)]


def missing(name: str) -> str:
    """One line that says which package the family lacks here and what to type; empty if it can be played."""
    family = find_family(name)
    if not family.package or importlib.util.find_spec(family.package):
        return ""
    return f"{name} needs the package '{family.package}'; type: pip install 'lamobench[{family.extra}]'"


def describe(name: str) -> str:
    """One line about a family."""
    family = find_family(name)
    return f"{name}: {family.description}; at most {family.move_limit} moves"
