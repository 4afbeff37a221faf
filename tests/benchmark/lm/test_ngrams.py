import math

import numpy as np
import pytest

from lamobench.benchmark.lm.ngrams import bigram_loss, unigram_loss

TRAIN = np.array([0, 1, 0, 1, 0, 2], np.uint16)


def test_unigram_by_hand() -> None:
    # Counts 3, 2, 1, 0 with one added: 4/10, 3/10, 2/10, 1/10. The first token is not predicted.
    held_out = np.array([3, 0, 1, 3], np.uint16)
    expected = -(math.log(4 / 10) + math.log(3 / 10) + math.log(1 / 10)) / 3
    assert unigram_loss(TRAIN, held_out, 4) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("pair", "probability"),
    [
        ([0, 1], (2 + 2 * 0.3) / (3 + 2)),  # after 0: 1 twice, 2 once
        ([0, 3], (0 + 2 * 0.1) / (3 + 2)),
        ([1, 0], (2 + 1 * 0.4) / (2 + 1)),  # after 1: 0 twice
        ([2, 0], 0.4),  # 2 ends the training part: nothing follows it
        ([3, 3], 0.1),  # 3 does not occur
    ],
)
def test_bigram_by_hand(pair: list[int], probability: float) -> None:
    assert bigram_loss(TRAIN, np.array(pair, np.uint16), 4) == pytest.approx(-math.log(probability))


def test_bigram_probabilities_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    train = rng.integers(20, size=300)
    for history in range(20):
        total = sum(math.exp(-bigram_loss(train, np.array([history, token]), 20)) for token in range(20))
        assert total == pytest.approx(1.0)


def test_bigram_uses_the_token_before() -> None:
    cycle = np.tile(np.arange(10), 100)
    assert bigram_loss(cycle, cycle, 10) < 0.05
    assert unigram_loss(cycle, cycle, 10) == pytest.approx(math.log(10))
