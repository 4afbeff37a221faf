"""Batches of texts: each stands there once, and nothing is lost."""

import torch

from lamobench.baselines.text.encoders import HashEncoder
from lamobench.baselines.text.texts import PADDING, PieceVectors, Texts, make_batch
from lamobench.tests.baselines.text.conftest import Letters, scene


def test_a_batch_holds_each_text_once_and_says_whose_it_is() -> None:
    texts = Texts(Letters())
    first = texts.state(scene("a b a", "", "b", "c d"))
    second = texts.state(scene("a b a", "c", "b"))
    batch = make_batch(texts, [first, second])
    assert texts.names(batch.pieces) == ["a", "b", "c", "d"]
    assert batch.observations.rows.tolist() == [[1, 2, 1]]
    assert batch.observations.last.tolist() == [2]
    assert batch.observation_of.tolist() == [0, 0]
    assert batch.inventories.rows.tolist() == [[PADDING], [3]]
    assert batch.commands.rows.tolist() == [[2, PADDING], [3, 4]]
    assert batch.commands.last.tolist() == [0, 1]
    assert batch.command_of.tolist() == [0, 1, 0]
    assert batch.state_of.tolist() == [0, 0, 1]


def test_a_game_that_is_over_has_no_commands() -> None:
    texts = Texts(Letters())
    over = texts.state(scene("a", "b", "c", over=True))
    assert over.commands == ()
    batch = make_batch(texts, [over])
    assert len(batch.state_of) == len(batch.commands.rows) == 0


def test_vectors_are_computed_once_and_side_by_side() -> None:
    asked: list[list[str]] = []
    encoder = HashEncoder()

    def compute(pieces: list[str]) -> torch.Tensor:
        asked.append(list(pieces))
        return encoder.encode(pieces)

    texts = Texts(encoder)
    numbers = [texts.number(name) for name in ("one", "two", "three")]
    vectors = PieceVectors(texts, compute)  # type: ignore[arg-type]
    found = vectors(numbers[:2])
    assert found[0].eq(0).all()
    assert torch.equal(found[1:], encoder.encode(["one", "two"]))
    assert torch.equal(vectors([2, 0])[1:], encoder.encode(["three", "one"]))
    assert asked == [["one", "two"], ["three"]]
    vectors.clear()
    vectors([0])
    assert asked[2:] == [["one"]]


def test_the_table_of_vectors_grows() -> None:
    encoder = HashEncoder()
    texts = Texts(encoder)
    names = [f"text {number}" for number in range(700)]
    numbers = [texts.number(name) for name in names]
    vectors = PieceVectors(texts, encoder.encode)
    assert torch.equal(vectors(numbers)[1:], encoder.encode(names))
