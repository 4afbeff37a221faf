"""Shared states, pairs of nouns, and the test of the mechanism: by hand, beside a plain loop, and on mere noise."""

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
COUNT = 14  # nouns of drawn pairs


def symmetric(values: np.ndarray) -> np.ndarray:
    return np.triu(values) + np.triu(values, 1).T


def drawn(seed: int) -> Pairs:
    """Pairs that mean nothing: frequent nouns are read together more often, and rises are noise."""
    rng = np.random.default_rng(seed)
    frequent = rng.gamma(2.0, 20.0, COUNT)
    shared = symmetric(rng.poisson(np.outer(frequent, frequent) / 40.0)).astype(float)
    rewarded = symmetric(rng.binomial(shared.astype(int), 0.2)).astype(float)
    for counts, share in ((shared, 3.0), (rewarded, 0.6)):
        np.fill_diagonal(counts, (share * frequent).round() + counts.max())
    flat = np.eye(COUNT)
    rise = symmetric(rng.normal(0.0, 0.05, (COUNT, COUNT)))
    return Pairs(tuple(f"noun {n}" for n in range(COUNT)), shared, rewarded, flat, flat + rise)


def plain_partial(pairs: Pairs, places: np.ndarray | None = None) -> float:
    """The partial correlation from the inverse of the correlation matrix; `places` permutes what is left of sharing."""
    upper = np.triu_indices(len(pairs.nouns), 1)
    shared = np.log1p(pairs.rewarded)
    frequent = [np.log1p(m.diagonal())[:, None] + np.log1p(m.diagonal()) for m in (pairs.read, pairs.rewarded)]
    fixed = [matrix[upper] for matrix in frequent]
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
    assert sum(p < 0.05 for p in null) <= 2
    pairs = drawn(0)
    planted = replace(pairs, after=pairs.after + 0.1 * np.log1p(pairs.rewarded))
    assert pull(planted).correlation > 0.5
    assert pull(planted).p_value == 1 / (1 + mechanism.PERMUTATIONS)
    assert pull(replace(pairs, after=pairs.after - 0.1 * np.log1p(pairs.rewarded))).correlation < -0.5


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
