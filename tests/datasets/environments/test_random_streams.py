import numpy as np

from lamobench.datasets.environments.random_streams import GAMMA, RandomStreams, mix

# The first outputs for seed 1234567, by which implementations of SplitMix64 are commonly checked.
KNOWN = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]


def test_a_stream_is_splitmix64() -> None:
    states = np.uint64(1234567) + GAMMA * np.arange(1, 6, dtype=np.uint64)
    assert mix(states).tolist() == KNOWN


def test_a_stream_is_the_same_beside_others_and_moves_only_when_drawn_from() -> None:
    many = RandomStreams(np.arange(5))
    alone = RandomStreams(np.array([3]))
    for rows in ([3], [0, 3], [1, 2], [4, 3, 0]):
        drawn = many.integers(1000, np.array(rows))
        if 3 in rows:
            assert drawn[rows.index(3)] == alone.integers(1000, np.array([0]))[0]


def test_draws_are_uniform_and_inside() -> None:
    drawn = RandomStreams(np.arange(60_000)).integers(6, np.arange(60_000))
    counts = np.bincount(drawn, minlength=6)
    assert counts.shape == (6,)
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 20.5  # chi-squared with 5 degrees of freedom: 0.999
