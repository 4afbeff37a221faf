"""Tests of the frozen tables, and of how they are made, on a WordNet of a few lines."""

from pathlib import Path

import pytest

from lamobench.datasets.errors import UserError
from lamobench.datasets.games import wordnet
from lamobench.datasets.games.words import TABLES, meanings, nouns, phrases, table

INSTALLED = Path("/usr/share/wordnet")
# offset, file, kind, words, pointers; "@" leads up, "~" down.
SENSES = [
    "00000010 03 n 01 thing 0 002 ~ 00000020 n 0000 ~ 00000060 n 0000 | a thing; \"a thing of beauty\"",
    "00000020 03 n 01 seat 0 004 @ 00000010 n 0000 ~ 00000030 n 0000 ~ 00000040 n 0000 ~ 00000050 n 0000 | to sit on",
    "00000030 03 n 02 sofa 0 couch 0 001 @ 00000020 n 0000 | a long seat",
    "00000040 03 n 02 box_seat 0 lodge 0 001 @ 00000020 n 0000 | a seat in a box",
    "00000050 03 n 01 bench 0 001 @ 00000020 n 0000 | a hard seat",
    "00000060 03 n 01 knife 0 001 @ 00000010 n 0000 | it cuts",
]  # fmt: skip
INDEX = ["bench n 1 1 @ 1 0 00000050", "couch n 1 1 @ 1 0 00000030", "sofa n 1 1 @ 1 0 00000030",
         "box_seat n 1 1 @ 1 0 00000040", "knife n 1 1 @ 1 0 00000060",
         "thing n 1 1 ~ 1 0 00000010", "seat n 1 1 ~ 1 0 00000020"]  # fmt: skip


@pytest.fixture
def little(tmp_path: Path) -> wordnet.WordNet:
    licence = "  1 This is a licence  \n"
    (tmp_path / "data.noun").write_text(licence + "\n".join(SENSES) + "\n")
    (tmp_path / "index.noun").write_text(licence + "\n".join(INDEX) + "\n")
    (tmp_path / "noun.exc").write_text("knives knife\n")
    return wordnet.WordNet(tmp_path)


def test_the_rule_takes_the_first_other_hyponym_of_the_first_hypernym(little: wordnet.WordNet) -> None:
    assert list(little.cohyponyms("sofa")) == ["box seat", "bench"]
    assert list(little.cohyponyms("bench")) == ["sofa", "box seat"]
    assert list(little.cohyponyms("thing")) == []
    assert list(little.cohyponyms("unheard")) == []
    chosen = wordnet.cohyponyms(little)
    assert chosen == {"bench": "sofa", "knife": "seat", "sofa": "box seat"}


def test_forms_are_found_by_their_base(little: wordnet.WordNet) -> None:
    assert little.offsets("knives") == little.offsets("Knife") == [60]
    assert little.offsets("benches") == [50]
    assert little.offsets("box seat") == [40]


def test_distances_are_the_fewest_steps_up_and_down(little: wordnet.WordNet) -> None:
    assert little.distance("sofa", "couch") == 0
    assert little.distance("sofa", "bench") == 2
    assert little.distance("sofa", "knife") == 3
    assert little.distance("sofa", "thing") == 2
    assert little.distance("sofa", "unheard") is None
    assert little.senses[10].gloss == "a thing"


def test_a_folder_without_wordnet_gets_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not hold WordNet .*; type: apt-get install wordnet-base"):
        wordnet.WordNet(tmp_path)


@pytest.mark.skipif(not INSTALLED.is_dir(), reason="apt-get install wordnet-base")
def test_the_frozen_tables_are_what_the_command_makes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(wordnet, "TABLES", tmp_path)
    wordnet.main(str(INSTALLED))
    for name in ("cohyponyms", "pseudowords", "wordnet"):
        assert (tmp_path / f"{name}.json").read_bytes() == (TABLES / f"{name}.json").read_bytes(), name


def test_no_two_words_become_the_same_one() -> None:
    for name in ("cohyponyms", "pseudowords"):
        words = table(name)
        assert set(words) <= set(nouns())
        assert len(set(words.values())) == len(words)
        assert not any(word == other for word, other in words.items())
    assert set(table("pseudowords")) == set(nouns())
    assert not {*table("pseudowords").values()} & {*nouns()}


def test_synonyms_are_of_known_nouns_and_differ() -> None:
    assert set(table("synonyms")) <= set(phrases())
    assert not any(word == other for word, other in table("synonyms").items())


def test_glosses_and_pairs_come_with_their_licence() -> None:
    known = meanings()
    assert len(known.glosses) == wordnet.GLOSSES
    assert known.nouns["sofa"].startswith("an upholstered seat")
    assert len(known.pairs) >= 500
    assert all(one in known.nouns and other in known.nouns for one, other, _ in known.pairs)
    assert min(distance for *_, distance in known.pairs) == 0
    licence = (TABLES / "wordnet-licence.txt").read_text()
    assert "WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved." in licence
    assert "Permission to use, copy, modify and distribute" in licence
