"""Commands and texts of Colossal Cave, drawn from the tables of the package `adventure`."""

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Any

Words = list[str]  # of a command, as the game takes it

# The word for a way out: the first of these that leads there, else the first that the game has.
DIRECTIONS = ["north", "south", "east", "west", "ne", "nw", "se", "sw", "upward", "d", "inward", "out"]
SPELLING = {
    "upward": "up",
    "d": "down",
    "inward": "in",
    "ne": "northeast",
    "nw": "northwest",
    "se": "southeast",
    "sw": "southwest",
}
CREATURES = ("bird", "snake", "bear", "dragon", "troll", "clam", "oyster")


def commands(game: Any) -> dict[str, Words]:
    """Every command that names a way out or something that is here, and the words for it."""
    if game.yesno_callback:
        return {"no": ["no"], "yes": ["yes"]}
    ways = {SPELLING.get(word, word): [word] for word in _ways(game)}
    return ways | {text: text.split() for text in _deeds(game)}


def _ways(game: Any) -> Iterator[str]:
    """One word for each way out of a place; where it leads may depend on more than the word."""
    table = [move for move in game.loc.travel_table if not move.is_forced]
    taken: set[str] = set()
    told: list[list[str]] = []
    for move in table:
        names = [word.text for word in move.verbs]
        free = sorted(set(names) - taken, key=lambda name: (DIRECTIONS + names).index(name))
        if names not in told and free:
            yield free[0]
        told.append(names)
        taken |= set(names)


def _deeds(game: Any) -> Iterator[str]:
    """Deeds that name a thing that is here."""
    yield from ("look", "inventory")
    for thing in game.objects_here:
        if _is_movable(game, thing):
            yield f"take {thing.names[0]}"
    carried = [thing for thing in game.inventory if thing not in (game.water, game.oil)]
    for thing in carried:
        yield f"drop {thing.names[0]}"
        if thing == "axe" or (thing.is_treasure and game.is_here(game.troll)):
            yield f"throw {thing.names[0]}"
    yield from _deeds_with_tools(game)
    yield from _deeds_with_liquids(game)
    for name in CREATURES:
        if game.is_here(game.objects[name]):
            yield f"attack {name}"
            if game.food.is_toting:
                yield f"feed {name}"
    if any(dwarf.room is game.loc for dwarf in game.dwarves):
        yield "attack dwarf"
    if game.eggs.prop >= 0:
        yield from ("fee", "fie", "foe", "foo")
    if game.is_closed:
        yield "blast"


def _deeds_with_tools(game: Any) -> Iterator[str]:
    """Deeds with the lamp, the keys, the rod and food, and with things that can be read or broken."""
    here = game.is_here
    if here(game.lamp):
        yield "extinguish lamp" if game.lamp.prop else "light lamp"
    for thing in filter(here, (game.grate, game.chain, game.clam, game.oyster, game.door)):
        yield from (f"unlock {thing.names[0]}", f"lock {thing.names[0]}")
    if game.rod.is_toting:
        yield "wave rod"
    if here(game.food):
        yield "eat food"
    for thing in filter(here, (game.magazine, game.tablet, game.message, game.oyster)):
        if not game.is_dark:
            yield f"read {thing.names[0]}"
    for thing in filter(here, (game.vase, game.mirror)):
        yield f"break {thing.names[0]}"


def _deeds_with_liquids(game: Any) -> Iterator[str]:
    """Deeds with water and oil, and the bottle for them."""
    liquid = game.loc.liquid
    if game.bottle.is_toting:
        held = game.bottle.contents
        if held is not None:
            yield f"pour {held.names[0]}"
        elif liquid is not None:
            yield f"take {liquid.names[0]}"
    if game.is_here(game.water) or liquid is game.water:
        yield "drink water"


def _is_movable(game: Any, thing: Any) -> bool:
    """Check whether it is something that can be carried; the game marks what can't by a star in its inventory."""
    fixed = thing.is_fixed or len(thing.rooms) > 1 or thing.inventory_message.startswith("*")
    return not fixed and thing not in (game.water, game.oil)


def meaning(game: Any, words: Words) -> tuple[Any, ...]:
    """The effect of a command here: the same for all words that do the same."""
    found = [game.vocabulary.get(word) for word in words]
    if None in found:
        return tuple(words)  # an answer to a question
    first = found[0]
    if first.kind == "travel" and first != "look":
        ways = [number for number, move in enumerate(game.loc.travel_table) if first in move.verbs]
        return ("go", *ways[:1])
    if first == "fee":
        return (first.text,)  # fie, foe and foo are its synonyms, and have to follow one another
    return (first.n,) if first in ("light", "extinguish") else tuple(word.n for word in found)


def around(game: Any) -> str:
    """A place as the game tells it to whoever comes there, without what that would set going."""
    if game.is_dark:
        return str(game.messages[16])
    things = [thing for thing in game.objects_here if not (thing is game.steps and game.gold.is_toting)]
    on_steps = [thing is game.steps and game.loc is game.steps.rooms[1] for thing in things]
    told = [thing.messages.get(1 if on else thing.prop, "") for thing, on in zip(things, on_steps, strict=True)]
    return "\n".join([game.loc.long_description, *told])


def inventory(game: Any) -> str:
    """The things that are carried, as the game lists them."""
    carried = [thing for thing in game.inventory if thing is not game.bear]
    bear = str(game.messages[141]) if game.bear.is_toting else ""
    if not carried:
        return f"{game.messages[98]} {bear}"
    listed = ", ".join(thing.inventory_message.strip() for thing in carried)
    return f"{str(game.messages[99]).strip()} {listed}. {bear}"


def plain(text: str) -> str:
    """The text on one line in small letters, as it would be written today; the game's own is all capitals."""
    small = " ".join(text.split()).lower()
    small += "." if small[-1:].isalnum() else ""
    small = re.sub(r"\bi\b", "I", small)
    return re.sub(r"(^|[.!?]\"? )(\"?\w)", lambda found: found[1] + found[2].upper(), small)


@lru_cache
def walkthrough() -> tuple[str, ...]:
    """The commands of the walkthrough that the package ships, after its answer to the first question and `brief`."""
    lines = (files("adventure") / "tests" / "walkthrough2.txt").read_text(encoding="utf-8").splitlines()
    typed = [line.removeprefix(">>> ") for line in lines if line.startswith(">>> ")]
    played = [re.sub(r"\W+", " ", command).strip() for command in typed if "adventure" not in command]
    return tuple(played[2:])
