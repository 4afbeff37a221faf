"""Nouns of the games, and the frozen tables of other words for them: `tables/`.

`synonyms.json` was chosen by hand. The others are made by `python -m lamobench.datasets.games.wordnet`, which needs the
files of WordNet 3.0; nothing else does.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..json_files import read_json
from .house import FLOOR, ROOM_OF, ROOMS, THINGS, noun_of

TABLES = Path(__file__).with_name("tables")
WORD = re.compile(r"[A-Za-z](?:[A-Za-z'-]*[A-Za-z])?")
NO_NOUNS = frozenset({"of", "and"})  # the other words in phrases like "chest of drawers"

# Nouns that the sentences of the games have besides the names of things and places.
SENTENCE_NOUNS = ("door", "point", "score", "thing")


@lru_cache
def table(name: str) -> dict[str, str]:
    """Another word for each word of a table: `synonyms`, `cohyponyms` or `pseudowords`."""
    words: dict[str, str] = read_json(TABLES / f"{name}.json")["words"]
    return words


@dataclass(frozen=True)
class Meanings:
    """Some of WordNet, to hold a language model to and to measure it by."""

    nouns: dict[str, str]  # the definition of the first sense of each noun of the games that WordNet has
    glosses: tuple[str, ...]  # definitions of other nouns, drawn at random
    pairs: tuple[tuple[str, str, int], ...]  # two of `nouns`, and the steps between them in WordNet's hierarchy


@lru_cache
def meanings() -> Meanings:
    """The table `wordnet.json`."""
    known = read_json(TABLES / "wordnet.json")
    return Meanings(known["nouns"], tuple(known["glosses"]), tuple((one, two, n) for one, two, n in known["pairs"]))


def other_words(name: str) -> dict[str, str]:
    """Another phrase for each phrase of the games, by a table: of a table of single words, each word by itself."""
    words = table(name)
    known = phrases()
    changed = {
        phrase: words.get(phrase) or WORD.sub(lambda word: words.get(word[0].lower(), word[0]), phrase)
        for phrase in known
    }
    return {phrase: other for phrase, other in changed.items() if other != phrase}


def phrases() -> list[str]:
    """Every noun of the games in alphabetical order, compounds whole: "coffee table"."""
    house = (noun_of(name) for name in (*THINGS, *ROOM_OF, *ROOMS, FLOOR))
    return sorted({*house, *SENTENCE_NOUNS, *table("synonyms")})


def nouns() -> list[str]:
    """Every single word of `phrases`, in small letters, as the tables of single words have them."""
    return sorted({word.lower() for phrase in phrases() for word in _nouns_in(phrase)})


def _nouns_in(phrase: str) -> Iterator[str]:
    return (word for word in WORD.findall(phrase) if word not in NO_NOUNS)
