"""Tests of views: what differs and what never does, every sentence of tidying, and words by hand."""

import random
import re
from collections import Counter

import pytest

from lamobench.datasets.errors import UserError
from lamobench.datasets.games.families import FAMILIES, make_games, missing
from lamobench.datasets.games.game import Scene
from lamobench.datasets.games.house import ROOM_OF, ROOMS, THINGS
from lamobench.datasets.games.sentences import PARAPHRASES
from lamobench.datasets.games.views import (
    SENTENCE_ENDS,
    SLOT,
    VIEWS,
    ViewedGame,
    _pattern,
    paraphrase,
    shuffle,
    substitute,
    view,
)

NAMES = ("orig", "paraphrase", "synonyms", "cohyponyms", "pseudowords", "paraphrase+synonyms", "shuffle")
OTHERS = NAMES[1:]


def scenes(name: str, games: int, moves: int) -> list[Scene]:
    """Scenes of random play in each split of a family."""
    if line := missing(name):
        pytest.skip(line)
    rng = random.Random(0)
    found = []
    for split, most in FAMILIES[name].games.items():
        for game in make_games(name, split, min(games, most)):
            found.append(game.reset())
            while not found[-1].over and found[-1].moves < moves:
                found.append(game.step(rng.randrange(len(found[-1].commands))))
    return found


def tidy_sentences() -> set[str]:
    """Every sentence and command of some hundreds of scenes."""
    found = set()
    for name in ("tidy-medium", "tidy-hard"):
        for scene in scenes(name, 8, 50):
            found |= {*SENTENCE_ENDS.split(scene.observation), *SENTENCE_ENDS.split(scene.inventory), *scene.commands}
    return found


def test_these_are_the_views() -> None:
    assert tuple(VIEWS) == NAMES
    scene = make_games("tidy-easy", "train", 1)[0].reset()
    assert view(scene, "orig") is scene
    with pytest.raises(UserError, match="unknown view 'synonym'; did you mean 'synonyms'"):
        view(scene, "synonym")


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("view_name", OTHERS)
def test_only_texts_differ_and_commands_stay_apart(name: str, view_name: str) -> None:
    texts = {"observation", "inventory", "commands"}
    seen_differ = 0
    for scene in scenes(name, 2, 20):
        seen = view(scene, view_name)
        assert {key: v for key, v in vars(seen).items() if key not in texts} == {
            key: v for key, v in vars(scene).items() if key not in texts
        }
        assert len(set(seen.commands)) == len(scene.commands)
        assert all(seen.commands)
        seen_differ += seen.observation != scene.observation
    assert seen_differ


@pytest.mark.parametrize("view_name", OTHERS)
def test_a_game_never_notices_its_view(view_name: str) -> None:
    (game,) = make_games("tidy-medium", "train", 1)
    (other,) = make_games("tidy-medium", "train", 1)
    viewed = ViewedGame(other, view_name)
    assert viewed.name == game.name
    scene = game.reset()
    assert viewed.reset() == view(scene, view_name)
    while not scene.over:
        index = game.expert()
        assert viewed.expert() == index
        assert index is not None
        scene = game.step(index)
        assert viewed.step(index) == view(scene, view_name)
    assert scene.won


def test_every_sentence_of_tidying_has_one_template_and_comes_back_from_its_paraphrase() -> None:
    ways_back = [(re.compile(_pattern(other)), own) for own, other in PARAPHRASES]
    ways_back.sort(key=lambda way: -len(way[0].pattern))
    for sentence in tidy_sentences():
        other = paraphrase(sentence)
        assert other != sentence
        found = [own.format_map(match.groupdict()) for back, own in ways_back if (match := back.fullmatch(other))]
        assert found[0] == sentence


def test_every_sentence_of_textworld_commonsense_has_a_template() -> None:
    for scene in scenes("twc-hard", 8, 50):
        texts = [*SENTENCE_ENDS.split(scene.observation), *SENTENCE_ENDS.split(scene.inventory), *scene.commands]
        assert [text for text in texts if paraphrase(text) == text] == []


def test_templates_have_the_same_slots_in_both_words() -> None:
    for own, other in PARAPHRASES:
        assert sorted(SLOT.findall(own)) == sorted(SLOT.findall(other))
        assert own != other
    assert len({other for _, other in PARAPHRASES}) == len(PARAPHRASES)


@pytest.mark.parametrize("table", ["synonyms", "cohyponyms", "pseudowords"])
def test_names_stay_apart_and_come_back(table: str) -> None:
    names = [*THINGS, *ROOM_OF, *ROOMS]
    others = [substitute(table, name) for name in names]
    assert len(set(others)) == len(names)
    assert [names[others.index(other)] for other in others] == names
    least = {"synonyms": 0.9, "cohyponyms": 0.95, "pseudowords": 1.0}[table]
    assert sum(other != name for name, other in zip(names, others, strict=True)) >= least * len(names)


def test_words_are_replaced_whole_with_their_article() -> None:
    assert substitute("synonyms", "take wet plate from dish rack") == "take wet platter from dish drainer"
    assert substitute("synonyms", "On the coffee table you see an atlas, a used tissue and an apple core.") == (
        "On the cocktail table you see a book of maps, a used paper handkerchief and a heart of an apple."
    )
    assert substitute("synonyms", "a flyer and an anorak") == "a leaflet and a parka"
    assert substitute("synonyms", "a pillow, an axe, a workbench") == "a bed cushion, a hatchet, a work table"
    assert substitute("synonyms", "Boots, TV stand, bedrock") == "Wellingtons, television stand, bedrock"
    assert substitute("cohyponyms", "take plate") == "take first base"  # the first sense is of baseball, as published
    assert substitute("cohyponyms", "a boot and an item") == "a boot and an item"
    assert substitute("cohyponyms", "a sock") == "a stocking"
    assert substitute("cohyponyms", "a desk") == "a card table"
    assert substitute("cohyponyms", "a wet umbrella and a parasol") == "a wet awning and a lampshade"


def test_pseudowords_leave_no_noun() -> None:
    nouns = {word for name in (*ROOM_OF, *ROOMS) for word in name.split()} - {"of"}
    for scene in scenes("tidy-hard", 3, 20):
        seen = view(scene, "pseudowords")
        assert not nouns & {*seen.observation.replace(".", " ").split()}
        assert not nouns & {word for command in seen.commands for word in command.split()}


def test_shuffled_words_are_the_same_words() -> None:
    for sentence in tidy_sentences():
        assert Counter(shuffle(sentence).rstrip(".").split()) == Counter(sentence.rstrip(".").split())
        assert shuffle(sentence).endswith(".") == sentence.endswith(".")
    assert shuffle("You are carrying some milk and a fork.") != "You are carrying some milk and a fork."


def test_a_sentence_keeps_its_capital_where_words_change_places() -> None:
    assert paraphrase("A three foot black rod lies nearby.") == "Close by lies a three foot black rod."
    assert paraphrase("There is food here.") == "You can see food."
    assert paraphrase("A low crawl leads inward.") == "Heading inward there is a low crawl."
    assert paraphrase("light lamp") == "switch lamp on"


def test_a_sentence_without_a_template_stays() -> None:
    assert paraphrase("A hollow voice says plugh.") == "A hollow voice says plugh."
    assert substitute("synonyms", "") == ""
    assert shuffle("") == ""
