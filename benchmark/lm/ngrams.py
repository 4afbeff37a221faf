"""Loss of count models on a token stream: what a language model must beat to have learned anything."""

import numpy as np

from ...datasets.trajectories import Array


def unigram_loss(train: Array, held_out: Array, vocabulary: int) -> float:
    """Nats per token of `held_out[1:]` under the token frequencies of `train`, with one added to every count.

    `train` and `held_out` are flat arrays of token ids below `vocabulary`. The first held-out token is left out: no
    model that predicts the next token is asked for it.
    """
    return float(-np.log(_unigram(train, vocabulary)[held_out[1:]]).mean())


def bigram_loss(train: Array, held_out: Array, vocabulary: int) -> float:
    """Nats per token of `held_out[1:]`, each given the token before it, under smoothed bigram counts of `train`.

    Witten-Bell interpolation (Witten and Bell 1991; Chen and Goodman 1999, section 2.3):
    p(w | h) = (c(h, w) + T(h) p(w)) / (c(h) + T(h)), with c the counts, T(h) the number of distinct tokens seen after h
    and p(w) the unigram above; p(w) alone where h was never followed by anything. It has no parameter to tune.
    """
    unigram = _unigram(train, vocabulary)
    pairs, counts = np.unique(_pairs(train, vocabulary), return_counts=True)
    followers = np.bincount(pairs // vocabulary, minlength=vocabulary)  # T(h)
    totals = np.bincount(np.asarray(train[:-1], np.int64), minlength=vocabulary)  # c(h)
    wanted = _pairs(held_out, vocabulary)
    place = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    pair_counts = np.where(pairs[place] == wanted, counts[place], 0)  # c(h, w)
    history = wanted // vocabulary
    back_off = np.where(totals[history] > 0, followers[history], 1)
    numerator = pair_counts + back_off * unigram[wanted % vocabulary]
    return float(-np.log(numerator / (totals[history] + back_off)).mean())


def _unigram(ids: Array, vocabulary: int) -> Array:
    counts = np.bincount(np.asarray(ids, np.int64), minlength=vocabulary) + 1.0
    probabilities: Array = counts / counts.sum()
    return probabilities


def _pairs(ids: Array, vocabulary: int) -> Array:
    pairs: Array = np.asarray(ids[:-1], np.int64) * vocabulary + np.asarray(ids[1:], np.int64)
    return pairs
