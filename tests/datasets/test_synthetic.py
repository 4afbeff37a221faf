import math
from pathlib import Path

import numpy as np
import pytest
from transformers import GPT2TokenizerFast

from lamobench.datasets import synthetic
from lamobench.datasets.corpora import load_corpus, train_tokenizer
from lamobench.datasets.errors import UserError
from lamobench.datasets.synthetic import (
    entropy_rate,
    markov_corpus,
    sample_path,
    shuffle_tokens,
    transition_matrix,
)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "TRAIN_TOKENS", 20_000)
    monkeypatch.setattr(synthetic, "HELD_OUT_TOKENS", 2_000)


@pytest.fixture(scope="module")
def tokenizer(english: Path) -> GPT2TokenizerFast:
    return train_tokenizer(english.read_text().splitlines(), 280, 64)


def test_shuffling_keeps_frequencies_and_breaks_the_order(
    english: Path,
    lamobench_home: Path,
    tokenizer: GPT2TokenizerFast,
) -> None:
    corpus = load_corpus(str(english), tokenizer)
    shuffled = shuffle_tokens(corpus, seed=0)
    for before, after in ((corpus.train, shuffled.train), (corpus.held_out, shuffled.held_out)):
        np.testing.assert_array_equal(np.sort(after), np.sort(before))
        assert after.dtype == before.dtype
        assert (after != before).mean() > 0.5
    assert shuffled.train_sha256 != corpus.train_sha256
    assert shuffle_tokens(corpus, seed=0).train_sha256 == shuffled.train_sha256
    assert shuffle_tokens(corpus, seed=1).train_sha256 != shuffled.train_sha256


def test_rows_are_softmax_of_uniform_numbers() -> None:
    matrix = transition_matrix(50, 0.5, np.random.default_rng(3))
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    logits = np.random.default_rng(3).random((50, 50))
    np.testing.assert_allclose(np.log(matrix[:, 1:] / matrix[:, :1]), (logits[:, 1:] - logits[:, :1]) / 0.5)


def test_a_low_temperature_is_nearly_deterministic_and_a_high_one_nearly_uniform() -> None:
    rates = [entropy_rate(transition_matrix(20, t, np.random.default_rng(0))) for t in (1e-4, 0.1, 1.0, 1e4)]
    assert rates == sorted(rates)
    assert rates[0] < 0.1
    assert rates[-1] == pytest.approx(math.log(20), abs=1e-6)


def test_the_entropy_rate_of_a_chain_known_by_hand() -> None:
    # From 0 always to 1, from 1 to either: stationary (1/3, 2/3), and only leaving 1 is uncertain.
    assert entropy_rate(np.array([[0.0, 1.0], [0.5, 0.5]])) == pytest.approx(2 / 3 * math.log(2))


def test_the_path_follows_the_matrix() -> None:
    matrix = np.array([[0.0, 0.7, 0.3], [0.2, 0.0, 0.8], [0.5, 0.5, 0.0]])
    path = sample_path(matrix, 20_000, np.random.default_rng(0))
    counts = np.zeros((3, 3))
    np.add.at(counts, (path[:-1], path[1:]), 1)
    assert (np.diag(counts) == 0).all()  # what can't happen does not
    np.testing.assert_allclose(counts / counts.sum(axis=1, keepdims=True), matrix, atol=0.02)


def test_a_markov_corpus_has_a_token_for_each_state_and_follows_the_seed(tokenizer: GPT2TokenizerFast) -> None:
    corpus = markov_corpus(tokenizer, states=30, temperature=0.2, seed=0)
    assert (len(corpus.train), len(corpus.held_out), corpus.train.dtype) == (20_000, 2_000, np.uint16)
    assert len(np.unique(corpus.train)) == 30
    assert set(np.unique(corpus.held_out)) <= set(np.unique(corpus.train))
    assert 0 not in corpus.train  # the end-of-text token
    assert corpus.sources["entropy rate"].endswith(" nats per token")
    assert markov_corpus(tokenizer, 30, 0.2, 0).train_sha256 == corpus.train_sha256
    assert markov_corpus(tokenizer, 30, 0.2, 1).train_sha256 != corpus.train_sha256
    assert len(np.unique(markov_corpus(tokenizer, 279, 10.0, 0).train)) == 279  # all but the end-of-text token


def test_chains_that_do_not_fit(tokenizer: GPT2TokenizerFast) -> None:
    with pytest.raises(UserError, match=r"markov-states 280 does not fit, expected 2 to 279"):
        markov_corpus(tokenizer, 280, 1.0, 0)
    for temperature in (0.0, -1.0, math.nan):
        with pytest.raises(UserError, match=r"markov-temperature .* is not positive"):
            markov_corpus(tokenizer, 30, temperature, 0)
