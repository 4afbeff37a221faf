"""Make the tables of words that come from WordNet 3.0, out of its own files.

    apt-get install wordnet-base
    python -m lamobench.datasets.games.wordnet /usr/share/wordnet

writes `tables/cohyponyms.json`, `tables/pseudowords.json` and `tables/wordnet.json`. The games read those tables; they
never need WordNet itself.
"""

import hashlib
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..storage import write_json
from .words import TABLES, nouns, phrases

SOURCE = "WordNet 3.0, Copyright 2006 by Princeton University; its licence is in wordnet-licence.txt"
COMMAND = "python -m lamobench.datasets.games.wordnet"
ENDINGS = (("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("ies", "y"), ("s", ""))  # morphy
GLOSSES = 1000  # of senses of any kind, to hold a language model to
PAIRS_APART = 60  # pairs of nouns at most at each distance
CONSONANTS = "bdfgklmnprstvz"
VOWELS = "aeiou"


@dataclass(frozen=True)
class Sense:
    """One meaning of a noun, a synset."""

    words: tuple[str, ...]
    above: tuple[int, ...]  # offsets of hypernyms
    below: tuple[int, ...]  # offsets of hyponyms
    gloss: str  # the definition, without examples


class WordNet:
    """The nouns of WordNet, read from its files (wndb(5WN), wninput(5WN))."""

    def __init__(self, folder: Path) -> None:
        """Raise a `UserError` if the folder does not hold WordNet's files."""
        try:
            self.index = {words[0]: _offsets(words) for words in _rows(folder / "index.noun")}
            self.exceptions = {words[0]: words[1] for words in _rows(folder / "noun.exc")}
            self.senses = {int(line[:8]): _sense(line) for line in _lines(folder / "data.noun")}
        except OSError as error:
            raise UserError(f"{folder} does not hold WordNet ({error}); type: apt-get install wordnet-base") from None

    def offsets(self, noun: str) -> list[int]:
        """The noun's senses, the most frequent first; its base form is tried where there is none of it as it is."""
        word = noun.lower().replace(" ", "_")
        bases = [word, self.exceptions.get(word, word)]
        bases += [word.removesuffix(ending) + base for ending, base in ENDINGS if word.endswith(ending)]
        return next((self.index[base] for base in bases if base in self.index), [])

    def cohyponyms(self, noun: str) -> Iterator[str]:
        """The first word of each other hyponym of the first hypernym of the noun's first sense."""
        for offset in self.offsets(noun)[:1]:
            for above in self.senses[offset].above[:1]:
                for below in self.senses[above].below:
                    if below != offset:
                        yield self.senses[below].words[0]

    def distance(self, one: str, other: str) -> int | None:
        """The fewest steps up and down between any senses of two nouns; None where one is unknown."""
        ways = [self._heights(noun) for noun in (one, other)]
        return min((ways[0][met] + ways[1][met] for met in ways[0].keys() & ways[1].keys()), default=None)

    def _heights(self, noun: str) -> dict[int, int]:
        """The fewest steps up to everything above a noun."""
        heights = dict.fromkeys(self.offsets(noun), 0)
        reached = list(heights)
        for offset in reached:  # it grows: breadth first, so the first way is the shortest
            for above in self.senses[offset].above:
                if above not in heights:
                    heights[above] = heights[offset] + 1
                    reached.append(above)
        return heights


def cohyponyms(wordnet: WordNet) -> dict[str, str]:
    """Another noun for each one, by the automatic rule of arXiv 2404.10174: the first hyponym of its first hypernym.

    Two nouns never get the same one, unlike there: the second takes the next, so that commands still differ.
    """
    chosen: dict[str, str] = {}
    for noun in nouns():
        taken = {*chosen.values(), noun}
        if other := next((word for word in wordnet.cohyponyms(noun) if word.lower() not in taken), None):
            chosen[noun] = other.lower()
    return chosen


def pseudowords(wordnet: WordNet) -> dict[str, str]:
    """A word of two syllables for each noun that WordNet has no noun for, drawn by the noun's own hash."""
    chosen: dict[str, str] = {}
    for noun in nouns():
        rng = random.Random(hashlib.blake2b(noun.encode()).digest())
        while (word := _pseudoword(rng)) in wordnet.index or word in chosen.values():
            pass
        chosen[noun] = word
    return chosen


def glosses_and_distances(wordnet: WordNet) -> dict[str, Any]:
    """Glosses of the games' nouns and of senses of any kind; and how far nouns of the games are from each other."""
    known = {noun: offsets[0] for noun in phrases() if (offsets := wordnet.offsets(noun))}
    rng = random.Random(0)
    others = sorted(wordnet.senses.keys() - known.values())
    apart: dict[int, list[tuple[str, str]]] = {}
    for one, other in combinations(known, 2):
        if (distance := wordnet.distance(one, other)) is not None:
            apart.setdefault(distance, []).append((one, other))
    chosen = {distance: sorted(rng.sample(pairs, min(PAIRS_APART, len(pairs)))) for distance, pairs in apart.items()}
    return {
        "nouns": {noun: wordnet.senses[offset].gloss for noun, offset in known.items()},
        "glosses": [wordnet.senses[offset].gloss for offset in rng.sample(others, GLOSSES)],
        "pairs": [[*pair, distance] for distance in sorted(chosen) for pair in chosen[distance]],
    }


def main(folder: str = "/usr/share/wordnet") -> None:
    """Write the tables."""
    wordnet = WordNet(Path(folder))
    for name, words in (("cohyponyms", cohyponyms(wordnet)), ("pseudowords", pseudowords(wordnet))):
        write_json(TABLES / f"{name}.json", {"source": SOURCE, "command": COMMAND, "words": words})
    known = glosses_and_distances(wordnet)
    write_json(TABLES / "wordnet.json", {"source": SOURCE, "command": COMMAND} | known)


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file of WordNet without its licence, the lines of which begin with two spaces."""
    with path.open(encoding="utf-8") as file:
        yield from (line for line in file if not line.startswith("  "))


def _rows(path: Path) -> Iterator[list[str]]:
    return (line.split() for line in _lines(path))


def _offsets(words: list[str]) -> list[int]:
    return [int(word) for word in words[-int(words[2]) :]]


def _sense(line: str) -> Sense:
    fields, _, gloss = line.partition(" | ")
    parts = fields.split()
    end = 4 + 2 * int(parts[3], 16)
    pointers = parts[end + 1 : end + 1 + 4 * int(parts[end])]
    linked = list(zip(pointers[::4], map(int, pointers[1::4]), strict=True))
    return Sense(
        words=tuple(word.replace("_", " ") for word in parts[4:end:2]),
        above=tuple(offset for symbol, offset in linked if symbol in ("@", "@i")),
        below=tuple(offset for symbol, offset in linked if symbol in ("~", "~i")),
        gloss=gloss.partition('; "')[0].strip(),
    )


def _pseudoword(rng: random.Random) -> str:
    return "".join(rng.choice(letters) for letters in (CONSONANTS, VOWELS, CONSONANTS, VOWELS, CONSONANTS))


if __name__ == "__main__":
    main(*sys.argv[1:])
