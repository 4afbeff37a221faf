"""Shared states, pairs of nouns, and the test of the mechanism: by hand, beside a plain loop, and on mere noise."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lamobench.baselines.text.encoders import HashEncoder
from lamobench.baselines.text.replay import Transition
from lamobench.baselines.text.texts import Texts
from lamobench.benchmark.text import mechanism
from lamobench.benchmark.text.mechanism import pull
from lamobench.benchmark.text.pairs import Pairs, pairs_csv, parse_pairs
from lamobench.benchmark.text.shared_states import SharedStates
from lamobench.datasets.errors import UserError
from lamobench.tests.baselines.text.conftest import scene

NOUNS = ("coffee table", "plate", "sofa", "table")
COUNT = 24  # nouns of drawn pairs
WIDTH = 12  # of their vectors
ROOMS = 4
ROOM = np.arange(COUNT) % ROOMS
UPPER = np.triu_indices(COUNT, 1)


@pytest.fixture(autouse=True)
def _few_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mechanism, "PERMUTATIONS", 199)


def symmetric(values: np.ndarray) -> np.ndarray:
    return np.triu(values) + np.triu(values, 1).T


def vectors_of(seed: int) -> np.ndarray:
    """Vectors (W, D) of nouns that look alike, as a language model's do; those of one room more than others."""
    rng = np.random.default_rng([seed, 1])
    return 0.5 + 0.5 * rng.normal(0.0, 1.0, (ROOMS, WIDTH))[ROOM] + rng.normal(0.0, 1.0, (COUNT, WIDTH))


def cosines(vectors: np.ndarray) -> np.ndarray:
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units @ units.T


def drawn(seed: int) -> Pairs:
    """Pairs that mean nothing: what is frequent, and what is of one room, is read together; rises are noise."""
    rng = np.random.default_rng(seed)
    before = cosines(vectors_of(seed))
    frequent = rng.gamma(2.0, 20.0, COUNT)
    together = np.outer(frequent, frequent) / 40.0 * np.where(ROOM[:, None] == ROOM, 1.0, 0.05)
    shared = symmetric(rng.poisson(together)).astype(float)
    rewarded = symmetric(rng.binomial(shared.astype(int), 0.2)).astype(float)
    for counts, share in ((shared, 3.0), (rewarded, 0.6)):
        np.fill_diagonal(counts, (share * frequent).round() + counts.max())
    rise = symmetric(rng.normal(0.0, 0.05, (COUNT, COUNT)))
    return Pairs(tuple(f"noun {n}" for n in range(COUNT)), shared, rewarded, before, before + rise)


def moved(seed: int, pulled: float, away: float, noise: float) -> Pairs:
    """Pairs of vectors that moved: to those they share rewarded states with, all in one direction, and at random."""
    pairs = drawn(seed)
    vectors = vectors_of(seed)
    rng = np.random.default_rng([seed, 2])
    weights = np.log1p(pairs.rewarded)
    np.fill_diagonal(weights, 0.0)
    towards = weights @ vectors / weights.sum(1, keepdims=True) - vectors
    direction = rng.normal(size=WIDTH)
    drift = np.linalg.norm(vectors, axis=1).mean() * direction / np.linalg.norm(direction)
    after = vectors + pulled * towards + away * drift + noise * rng.normal(size=vectors.shape)
    return replace(pairs, after=cosines(after))


def plain_partial(pairs: Pairs, places: np.ndarray | None = None) -> float:
    """The partial correlation from the inverse of the correlation matrix; `places` permutes what is left of sharing."""
    upper = np.triu_indices(len(pairs.nouns), 1)
    shared = np.log1p(pairs.rewarded)
    nouns = [np.array([float(noun in pair) for pair in zip(*upper, strict=True)]) for noun in range(1, COUNT)]
    states = [matrix.diagonal() for matrix in (pairs.read, pairs.rewarded)]
    products = [np.outer(own, own)[upper] for count in states for own in (count, np.log1p(count))]
    fixed = [*nouns, *products, pairs.before[upper], pairs.before[upper] ** 2]  # one noun follows from the others
    tested = shared[upper]
    if places is not None:
        design = np.stack([np.ones(len(tested)), *fixed], 1)
        left = np.zeros_like(shared)
        left[upper] = tested - design @ np.linalg.lstsq(design, tested, rcond=None)[0]
        left += left.T
        tested = left[np.ix_(places, places)][upper]
    precision = np.linalg.inv(np.corrcoef([pairs.rise[upper], tested, *fixed]))
    return float(-precision[0, 1] / np.sqrt(precision[0, 0] * precision[1, 1]))


def test_states_are_counted_by_hand() -> None:
    texts = Texts(HashEncoder())
    counts = SharedStates(texts, NOUNS)
    before = texts.state(scene("On the Coffee Table is a plate.", "You carry nothing.", "take plate", "look at sofa"))
    after = texts.state(scene("You see a sofa. The tables are bare.", "You carry a plate.", "put plate on sofa"))
    counts.add(Transition(before, before.commands[0], 0.0, after, False))
    counts.add(Transition(after, after.commands[0], 1.0, before, False))
    counts.add(Transition(before, before.commands[1], 0.0, after, False))
    assert counts.read.tolist() == [[2, 2, 1, 0], [2, 3, 2, 0], [1, 2, 2, 0], [0, 0, 0, 0]]
    assert counts.rewarded.tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("seed", [0, 1])
def test_partial_correlations_are_those_of_the_precision_matrix(seed: int) -> None:
    pairs = drawn(seed)
    assert pull(pairs).correlation == pytest.approx(plain_partial(pairs))


def test_permutations_are_those_of_a_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mechanism, "PERMUTATIONS", 60)
    monkeypatch.setattr(mechanism, "CHUNK", 7)
    pairs = drawn(3)
    rng = np.random.default_rng(0)
    others = [plain_partial(pairs, rng.permutation(COUNT)) for _ in range(60)]
    found = pull(pairs)
    assert found.p_value == (1 + sum(abs(other) >= abs(found.correlation) for other in others)) / 61


def test_what_is_there_is_seen_and_what_is_not_is_not() -> None:
    null = [pull(drawn(seed)).p_value for seed in range(12)]
    assert sum(p < 0.05 for p in null) <= 2  # three or more: once in fifty times
    pairs = drawn(0)
    planted = replace(pairs, after=pairs.after + 0.1 * np.log1p(pairs.rewarded))
    assert pull(planted).correlation > 0.3
    assert pull(planted).p_value == 1 / (1 + mechanism.PERMUTATIONS)
    assert pull(replace(pairs, after=pairs.after - 0.1 * np.log1p(pairs.rewarded))).correlation < -0.3


@pytest.mark.parametrize(("away", "noise"), [(0.5, 0.0), (1.0, 0.0), (0.0, 0.3), (0.5, 0.3)])
def test_vectors_that_move_without_any_pull_show_none(away: float, noise: float) -> None:
    """Rewarded pairs are near from the start, and far ones rise the most: that is no pull apart."""
    found = [pull(moved(seed, 0.0, away, noise)) for seed in range(8)]
    assert abs(np.mean([test.correlation for test in found])) < 0.06
    nearness = [
        np.corrcoef(pairs.before[UPPER], np.log1p(pairs.rewarded)[UPPER])[0, 1] for pairs in map(drawn, range(8))
    ]
    assert np.mean(nearness) > 0.1


def test_a_pull_is_seen_behind_a_movement_of_all() -> None:
    for seed in range(4):
        found = pull(moved(seed, 0.2, 0.5, 0.02))
        assert found.correlation > 0.2
        assert found.p_value < 0.05


@pytest.mark.parametrize("scale", [np.log1p, np.sqrt, lambda states: states])
def test_frequent_nouns_that_rise_together_are_no_mechanism(scale: Callable[[np.ndarray], np.ndarray]) -> None:
    for beyond in (False, True):
        found = []
        for seed in range(8):
            pairs = drawn(seed)
            own = scale(pairs.rewarded.diagonal())
            found.append(
                pull(
                    replace(pairs, after=pairs.after + 0.2 * np.outer(own, own) / own.max() ** 2), beyond_reading=beyond
                )
            )
        assert abs(np.mean([test.correlation for test in found])) < 0.06
        assert sum(test.p_value < 0.05 for test in found) <= 2


def test_nouns_that_rise_with_all_others_are_no_mechanism() -> None:
    found = []
    for seed in range(12):  # each noun rises with all others by as much as it happens to, which is one draw a noun
        rng = np.random.default_rng(seed)
        own = rng.normal(0.0, 1.0, COUNT)
        liked = rng.normal(0.0, 1.0, COUNT)
        pairs = drawn(seed)
        rewarded = np.exp(2.0 + 0.5 * (liked[:, None] + liked[None, :]))
        np.fill_diagonal(rewarded, pairs.rewarded.diagonal())
        found.append(pull(replace(pairs, rewarded=rewarded, after=pairs.before + own[:, None] + own[None, :])).p_value)
    assert sum(p < 0.05 for p in found) <= 1  # permuted pairs, instead of nouns, find four of the twelve


def test_reading_together_can_be_held_fixed_too() -> None:
    pairs = drawn(0)
    reads = replace(pairs, after=pairs.before + np.log1p(pairs.read))
    assert pull(reads).p_value < 0.05
    assert abs(pull(reads, beyond_reading=True).correlation) < 1e-6 or np.isnan(
        pull(reads, beyond_reading=True).correlation
    )


def test_without_rewards_nothing_is_said() -> None:
    pairs = replace(drawn(0), rewarded=np.zeros((COUNT, COUNT)))
    assert np.isnan([pull(pairs).correlation, pull(pairs).p_value]).all()


def test_a_file_of_pairs_round_trips_and_a_damaged_one_is_a_line() -> None:
    pairs = drawn(0)
    content = pairs_csv(pairs)
    again = parse_pairs(content.encode())
    assert again.nouns == pairs.nouns
    for name in ("read", "rewarded"):
        np.testing.assert_array_equal(getattr(again, name), getattr(pairs, name))
    np.testing.assert_allclose(again.rise, pairs.rise, atol=2e-6)
    lines = content.splitlines(keepends=True)
    damaged = [
        "",
        lines[0],
        "".join(lines[:-1]),
        "".join([*lines[:-1], lines[1]]),
        content.replace("noun 1,", "noun,", 1),
    ]
    damaged += [content.replace(",read", ",seen"), content.replace(lines[2], lines[2].replace(".", ".x"))]
    for text in damaged:
        with pytest.raises(UserError, match=r"pairs\.csv can't be read"):
            parse_pairs(text.encode())


def test_one_noun_has_no_pull() -> None:
    one = np.ones((1, 1))
    assert np.isnan(pull(Pairs(("plate",), one, one, one, one)).correlation)


def test_nouns_that_became_one_direction_rose_by_what_they_were_and_show_no_pull() -> None:
    pairs = drawn(0)
    rounding = symmetric(np.random.default_rng(0).uniform(-5e-7, 5e-7, (COUNT, COUNT)))
    found = pull(replace(pairs, before=pairs.before.round(6), after=1.0 + rounding))
    assert np.isnan([found.correlation, found.p_value]).all()
    assert not np.isnan(pull(replace(pairs, after=1.0 + 100 * rounding)).correlation)
