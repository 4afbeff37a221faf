"""The mechanism of degeneration, tested: do pairs of nouns come nearer, the more rewarded states they share?

A pair's rise in cosine is correlated with the logarithm of the rewarded states that it shares, a partial correlation
over pairs. Held fixed is all that would make such a correlation without any pull:

- each noun by itself: a column for each, which has whatever raises a noun's cosine with all others alike;
- how frequent two nouns are together: the products of their states, of their rewarded states, and of the logarithms;
- the cosine before training, and its square: a model that moves at all raises low cosines more than high ones, and
  what stands together in a game is near from the start.

Pairs that have a noun in common are not independent, so its p-value is that of permuted nouns, not of permuted pairs:
rows and columns of the matrix of what is tested change places together (quadratic assignment; Mantel 1967; with other
matrices held fixed the double semi-partialling of Dekker, Krackhardt and Snijders 2007, *Psychometrika* 72:563). Seeds
are independent runs, so the interval is over them.
Shapes: W nouns, P = W (W - 1) / 2 pairs, C columns held fixed, R permutations.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...datasets.trajectories import Array
from .pairs import DIGITS, Pairs

PERMUTATIONS = 999
CHUNK = 100  # permutations at a time
LEVEL = 0.05  # a p-value below which a run counts
LEAST = 10.0**-DIGITS  # root mean square of what is left of rises; less is the rounding of cosines
PULLS = {"pull": False, "pull_beyond_reading": True}  # columns, and whether what is read together is held fixed in them


@dataclass(frozen=True)
class Pull:
    """One run's test."""

    correlation: float  # partial; NaN where nothing was rewarded, or nothing is left of the rises
    p_value: float  # two-sided


def pull(pairs: Pairs, *, beyond_reading: bool = False) -> Pull:
    """Correlate the rise of pairs with the rewarded states that they share.

    With `beyond_reading` the logarithm of the states in which the two are read together is held fixed too, so that what
    is left is the reward's.
    """
    if len(pairs.nouns) < 2:
        return Pull(math.nan, math.nan)
    upper = np.triu_indices(len(pairs.nouns), 1)
    shared = np.log1p(pairs.rewarded)  # (W, W)
    fixed = _fixed(pairs)
    if beyond_reading:
        fixed.append(np.log1p(pairs.read)[upper])
    basis = _basis(np.stack(fixed, 1))  # (P, C)
    rise = _residuals(pairs.rise[upper], basis)
    if math.sqrt(float(np.mean(rise**2))) < LEAST:  # as where all nouns became one direction
        return Pull(math.nan, math.nan)
    matrix = np.zeros_like(shared)
    matrix[upper] = _residuals(shared[upper], basis)
    matrix += matrix.T
    found = _correlations(rise, matrix[upper][None], basis)[0]
    if not math.isfinite(found):
        return Pull(math.nan, math.nan)
    rng = np.random.default_rng(0)
    orders = np.stack([rng.permutation(len(matrix)) for _ in range(PERMUTATIONS)])  # (R, W)
    others = np.concatenate([_permuted(matrix, chunk, rise, basis) for chunk in _chunks(orders)])
    extreme = int((np.abs(others) >= abs(found) - 1e-12).sum())
    return Pull(float(found), (1 + extreme) / (1 + PERMUTATIONS))


def _fixed(pairs: Pairs) -> list[Array]:
    """The columns (P,) that are held fixed."""
    first, second = np.triu_indices(len(pairs.nouns), 1)
    nouns = np.arange(len(pairs.nouns))[:, None]
    own = ((nouns == first) | (nouns == second)).astype(float)  # (W, P); together they have the constant, too
    before = pairs.before[first, second]
    frequent = [pairs.read.diagonal(), pairs.rewarded.diagonal()]
    products = [
        scale(states)[first] * scale(states)[second] for states in frequent for scale in (_share_of_most, np.log1p)
    ]
    return [*own, *products, before, before**2]


def _share_of_most(states: Array) -> Array:
    """Counts as shares of the largest: columns of like sizes are told from each other's sums."""
    return np.asarray(states / max(states.max(), 1.0))


def _basis(columns: Array) -> Array:
    """An orthonormal basis (P, C) of columns (P, C), without those that follow from others."""
    vectors, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(vectors[:, sizes > 1e-10 * sizes[0]])


def _residuals(values: Array, basis: Array) -> Array:
    """The values (..., P) without what the columns that are held fixed explain of them."""
    return np.asarray(values - (values @ basis) @ basis.T)


def _correlations(rise: Array, shared: Array, basis: Array) -> Array:
    """The correlations (R,) of the residuals `rise` (P,) with those of `shared` (R, P); NaN where one doesn't vary."""
    left = _residuals(shared, basis)
    sizes = np.linalg.norm(left, axis=1) * np.linalg.norm(rise)
    return np.where(sizes > 1e-12, (left @ rise) / np.where(sizes > 1e-12, sizes, 1.0), np.nan)


def _permuted(matrix: Array, orders: Array, rise: Array, basis: Array) -> Array:
    """The correlations (R,) with the nouns of `matrix` (W, W) in other orders (R, W)."""
    rows, columns = np.triu_indices(len(matrix), 1)
    return _correlations(rise, matrix[orders[:, rows], orders[:, columns]], basis)


def _chunks(orders: Array) -> Sequence[Array]:
    return [orders[start : start + CHUNK] for start in range(0, len(orders), CHUNK)]
