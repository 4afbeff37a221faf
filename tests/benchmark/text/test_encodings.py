"""Encoded sentences on the disk: the same as computed, shared by processes, refused where they are damaged."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lamobench.baselines.text.encoders import HashEncoder
from lamobench.benchmark.lm.sentences import load_sentence_encoder
from lamobench.benchmark.text.encodings import Encodings
from lamobench.datasets.errors import UserError

PIECES = ["the mean of the array", "a value", "each axis"]


class Counting(HashEncoder):
    """Counts what it encodes."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode_apart(self, pieces: Sequence[str]) -> Tensor:
        self.encoded += pieces
        return self.encode(pieces)


def test_what_was_kept_is_what_is_computed(tiny_gpt2: Path) -> None:
    encoder = load_sentence_encoder(str(tiny_gpt2))
    first = Encodings(encoder, "tiny")
    found = first(PIECES)
    first.save()
    again = Encodings(encoder, "tiny")
    assert torch.equal(again(PIECES), found)
    assert again.added == {}
    assert torch.equal(found, torch.cat([encoder.encode_apart([piece]) for piece in PIECES]))
    with torch.no_grad():
        torch.testing.assert_close(found, torch.cat([encoder.encode([piece]) for piece in PIECES]))


def test_runs_share_what_each_of_them_met() -> None:
    encoder = Counting()
    one, two = (Encodings(encoder, "shared") for _ in range(2))
    one(PIECES[:2])
    two(PIECES[1:])
    for encodings in (one, two, one):
        encodings.save()
    assert len(list(one.folder.iterdir())) == 2
    encoder.encoded.clear()
    assert torch.equal(Encodings(encoder, "shared")(PIECES), HashEncoder().encode(PIECES))
    assert encoder.encoded == []
    Encodings(encoder, "other weights")(PIECES[:1])
    Encodings(encoder, "shared", "bfloat16")(PIECES[:1])
    assert encoder.encoded == PIECES[:1] * 2


def test_a_damaged_file_is_one_line() -> None:
    encodings = Encodings(Counting(), "damaged")
    encodings(PIECES)
    encodings.save()
    (path,) = encodings.folder.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"encoded sentences is damaged; delete it"):
        Encodings(Counting(), "damaged")
