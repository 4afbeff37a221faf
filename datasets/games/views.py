"""Views: the texts of a scene in other words, its commands one to one. A game gets an index, always the same.

The perturbations are those of Gruppi et al. (arXiv 2404.10174): paraphrases, other nouns, words shuffled. They reword
what a player reads, never what the game is told.
"""

import hashlib
import random
import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial

from ..errors import choose
from .game import Game, Scene
from .sentences import PARAPHRASES
from .words import other_words

Rewording = Callable[[str], str]  # of a sentence or a command

SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+")
SLOT = re.compile(r"\{(\w+)\}")
# Words that begin with a vowel's letter and a consonant's sound: "a used tissue".
CONSONANT_SOUND = re.compile(r"u(?:s|ni|ti)|eu|one", re.IGNORECASE)


def view(scene: Scene, name: str) -> Scene:
    """The scene as the view of that name shows it; only its texts differ. A `UserError` names the valid views."""
    reword = VIEWS[choose("view", name, list(VIEWS))]
    if name == "orig":
        return scene
    return replace(
        scene,
        observation=_each_sentence(reword, scene.observation),
        inventory=_each_sentence(reword, scene.inventory),
        commands=tuple([reword(command) for command in scene.commands]),
    )


class ViewedGame:
    """A game whose scenes are seen through a view; it obeys `game.Game`."""

    def __init__(self, game: Game, view_name: str) -> None:
        """Look up the view; a `UserError` names the valid ones."""
        self.name = game.name
        self.game = game
        self.view_name = choose("view", view_name, list(VIEWS))

    def reset(self) -> Scene:
        """Begin anew; returns the first scene, as the view shows it."""
        return view(self.game.reset(), self.view_name)

    def step(self, index: int) -> Scene:
        """Give a command; returns the next scene, as the view shows it."""
        return view(self.game.step(index), self.view_name)

    def expert(self) -> int | None:
        """The index that a player who knows the game would choose now."""
        return self.game.expert()


def _each_sentence(reword: Rewording, text: str) -> str:
    return " ".join([reword(sentence) for sentence in SENTENCE_ENDS.split(text)])


@lru_cache(maxsize=20_000)
def paraphrase(sentence: str) -> str:
    """The same by another template, with a capital where a sentence begins; what none fits stays as it is."""
    for pattern, other in _templates():
        if found := pattern.fullmatch(sentence):
            slots = {name: _small(text) if found.start(name) == 0 else text for name, text in found.groupdict().items()}
            changed = other.format_map(slots)
            return changed[0].upper() + changed[1:] if sentence[0].isupper() else changed
    return sentence


def _small(text: str) -> str:
    """The text without the capital of a sentence that it began."""
    return text[0].lower() + text[1:]


@lru_cache
def _templates() -> list[tuple[re.Pattern[str], str]]:
    """Patterns of the games' own templates, those with the most text first, and the templates to use instead."""
    pairs = sorted(PARAPHRASES, key=lambda pair: -len(SLOT.sub("", pair[0])))
    return [(re.compile(_pattern(own)), other) for own, other in pairs]


def _pattern(template: str) -> str:
    """A regular expression of the sentences that a template can make."""
    literals = SLOT.split(template)
    return "".join(f"(?P<{part}>.+)" if place % 2 else re.escape(part) for place, part in enumerate(literals))


@lru_cache(maxsize=20_000)
def substitute(table: str, sentence: str) -> str:
    """The same with every noun replaced by that of a table, and "a" or "an" before it as the new one needs it."""
    words, pattern = _replacements(table)
    return pattern.sub(lambda found: _replacement(found, words), sentence)


@lru_cache
def _replacements(table: str) -> tuple[dict[str, str], re.Pattern[str]]:
    words = {phrase.lower(): other for phrase, other in other_words(table).items()}
    longest_first = sorted(words, key=len, reverse=True)
    return words, re.compile(rf"\b(?:(an?) )?({'|'.join(map(re.escape, longest_first))})\b", re.IGNORECASE)


def _replacement(found: re.Match[str], words: dict[str, str]) -> str:
    article, noun = found.groups()
    other = words[noun.lower()]
    if noun[:2].istitle():  # "Boots" at the beginning of a sentence, but not "TV stand"
        other = other[0].upper() + other[1:]
    if article is None:
        return other
    vowel = other[0].lower() in "aeiou" and not CONSONANT_SOUND.match(other)
    return f"{article[0]}{'n' if vowel else ''} {other}"


@lru_cache(maxsize=20_000)
def shuffle(sentence: str) -> str:
    """The same words in an order that the sentence itself decides; what ends it stays at its end."""
    body = sentence.rstrip(".!?")
    words = body.split()
    random.Random(hashlib.blake2b(sentence.encode()).digest()).shuffle(words)
    return " ".join(words) + sentence[len(body) :]


def _both(sentence: str) -> str:
    return substitute("synonyms", paraphrase(sentence))


VIEWS: dict[str, Rewording] = {
    "orig": str,
    "paraphrase": paraphrase,
    "synonyms": partial(substitute, "synonyms"),
    "cohyponyms": partial(substitute, "cohyponyms"),
    "pseudowords": partial(substitute, "pseudowords"),
    "paraphrase+synonyms": _both,
    "shuffle": shuffle,
}
