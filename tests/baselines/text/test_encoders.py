"""Encoders of texts."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch

from lamobench.baselines.text.encoders import HashEncoder, WordVectors, fitting, sentences


def test_a_hash_is_the_digest_s_bits_in_every_process() -> None:
    digest = hashlib.blake2b(b"take sock", digest_size=64).digest()
    bits = [byte >> place & 1 for byte in digest for place in range(7, -1, -1)]
    (vector,) = HashEncoder().encode(["take sock"])
    assert vector.tolist() == [2.0 * bit - 1.0 for bit in bits]
    program = (
        "from lamobench.baselines.text.encoders import HashEncoder\n"
        "print(HashEncoder().encode(['take sock', 'x'])[0].tolist())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(vector.tolist())


def test_a_hash_knows_no_likeness() -> None:
    encoder = HashEncoder()
    near, same, far = encoder.encode(["put sock in basket", "put sock in basket", "put socks in basket"])
    assert torch.equal(near, same)
    assert abs(float(near @ far)) < 120  # 512 coin tosses: five standard deviations
    assert encoder.cut("A room. It is dark.") == ("A room. It is dark.",)
    assert not encoder.cut("")


def test_words_have_rows_and_those_that_the_table_lacks_have_one() -> None:
    table = np.arange(8, dtype=np.float32).reshape(4, 2)
    words = WordVectors(table, {"unk": 0, "take": 1, "sock": 2, ".": 3})
    assert words.cut("Take the SOCK.") == ["take", "the", "sock", "."]
    assert words.encode(words.cut("Take the sock.")).tolist() == [[2, 3], [0, 1], [4, 5], [6, 7]]
    assert words.frozen == 8


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("One. Two!  Three?\nFour", ["One.", "Two!", "Three?", "Four"]),
        ("It has 1.5 litres.", ["It has 1.5 litres."]),
        ("  \n ", []),
    ],
)
def test_sentences_end_where_a_space_follows(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


def test_what_does_not_fit_is_cut_between_words() -> None:
    parts = fitting("a bb ccc dddd eeeee", lambda text: len(text) <= 6)
    assert parts == ["a bb", "ccc", "dddd", "eeeee"]
    assert fitting("incomprehensibilities", lambda text: len(text) <= 6) == ["incomprehensibilities"]
