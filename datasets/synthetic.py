"""Token streams without language: controls for pre-training on language."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .corpora import END_OF_TEXT, Corpus, tokenizer_sha256
from .errors import UserError
from .trajectories import Array, array_hash

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MARKOV = "markov"  # the name of the corpus
TRAIN_TOKENS = 1 << 21  # about as many as the embedded corpus has
HELD_OUT_TOKENS = 1 << 17


def shuffle_tokens(corpus: Corpus, seed: int) -> Corpus:
    """Shuffle the tokens of each part of `corpus`: their frequencies stay, everything else of the language goes.

    The least loss that any model can have on it is the entropy of the frequencies (the unigram loss).
    """
    rng = np.random.default_rng([seed, 1])
    train = rng.permutation(corpus.train)
    held_out = rng.permutation(corpus.held_out)
    return replace(
        corpus, train=train, held_out=held_out, train_sha256=array_hash(train), held_out_sha256=array_hash(held_out)
    )


def markov_corpus(tokenizer: "PreTrainedTokenizerBase", states: int, temperature: float, seed: int) -> Corpus:
    """Tokens of a one-step Markov chain, as Wang et al. (2023, arXiv 2310.00771) pre-train Decision Transformers on.

    `transition_matrix` gives the chain; its `states` are as many different tokens of the vocabulary, drawn at random,
    the end-of-text token not among them. One chain runs through both parts, the held-out one last. Raises `UserError`
    if the vocabulary has too few tokens.
    """
    words = np.setdiff1d(np.arange(len(tokenizer)), tokenizer.convert_tokens_to_ids(END_OF_TEXT))
    if not 2 <= states <= len(words):
        raise UserError(
            f"markov-states {states} does not fit, expected 2 to {len(words)} (the vocabulary without its end-of-text "
            "token); e.g. --markov-states 100"
        )
    rng = np.random.default_rng([seed, 2])
    tokens = rng.choice(words, states, replace=False)
    matrix = transition_matrix(states, temperature, rng)
    path = sample_path(matrix, TRAIN_TOKENS + HELD_OUT_TOKENS, rng)
    ids = tokens[path].astype(np.uint16 if len(tokenizer) <= 65536 else np.uint32)
    train = ids[:TRAIN_TOKENS]
    held_out = ids[TRAIN_TOKENS:]
    return Corpus(
        name=MARKOV,
        train=train,
        held_out=held_out,
        train_sha256=array_hash(train),
        held_out_sha256=array_hash(held_out),
        tokenizer_sha256=tokenizer_sha256(tokenizer),
        paragraphs={},
        sources={
            "states": str(states),
            "temperature": f"{temperature:g}",
            "entropy rate": f"{entropy_rate(matrix):.4f} nats per token",
        },
    )


def transition_matrix(states: int, temperature: float, rng: np.random.Generator) -> Array:
    """A matrix (states, states) float64: row s is the distribution of the state after s.

    Each row is the softmax of numbers drawn uniformly from [0, 1) and divided by `temperature`, as in the authors' code
    (`ngram_generator.py`; their default: 100 states, temperature 1). The lower the temperature, the more is to be
    learned. Raises `UserError` for a temperature that is not positive.
    """
    if not temperature > 0:
        raise UserError(f"markov-temperature {temperature:g} is not positive; e.g. --markov-temperature 1")
    logits = rng.random((states, states)) / temperature
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    matrix: Array = weights / weights.sum(axis=1, keepdims=True)
    return matrix


def sample_path(matrix: Array, length: int, rng: np.random.Generator) -> Array:
    """States (length,) int64 of the chain `matrix`, from a first one drawn uniformly."""
    cumulative = matrix.cumsum(axis=1)
    cumulative[:, -1] = 1.0  # a sum that rounds to less would let the largest draws fall outside
    path = np.empty(length, np.int64)
    state = int(rng.integers(len(matrix)))
    for step, draw in enumerate(rng.random(length)):
        path[step] = state
        state = int(cumulative[state].searchsorted(draw, side="right"))
    return path


def entropy_rate(matrix: Array) -> float:
    """Nats per step of the chain `matrix` in the long run: the least loss that any model can have on it."""
    states = len(matrix)
    balance = np.vstack([matrix.T - np.eye(states), np.ones(states)])  # p P = p, and p sums to 1
    stationary = np.linalg.lstsq(balance, np.append(np.zeros(states), 1.0), rcond=None)[0]
    logs = np.log(matrix, out=np.zeros_like(matrix), where=matrix > 0)
    return float(-(stationary[:, None] * matrix * logs).sum())
