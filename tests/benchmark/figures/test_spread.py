"""Tests of the marks for the spread of seeds."""

import numpy as np
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from lamobench.benchmark.figures.spread import about_spread, draw_intervals
from lamobench.benchmark.scores.measured import columns


def test_several_seeds_have_dots_and_a_bar_that_is_cut_to_what_can_be() -> None:
    axes = Figure().add_subplot()
    values = np.array([[10.0, 90.0], [20.0, 99.0], [60.0, 99.0]])  # the interval of either goes beyond an end
    draw_intervals(axes, np.array([1.0, 2.0]), values, "black", (0.0, 100.0))
    (bars,) = (each for each in axes.collections if isinstance(each, LineCollection))
    (dots,) = (each for each in axes.collections if isinstance(each, PathCollection))
    ends = [segment[:, 1] for segment in bars.get_segments()]
    found = [columns("", own, (0.0, 100.0)) for own in values.T.tolist()]
    assert_allclose(ends, [[each["_low"], each["_high"]] for each in found])
    assert (ends[0][0], ends[1][1]) == (0.0, 100.0)
    assert sorted(map(tuple, np.asarray(dots.get_offsets()).tolist())) == sorted(
        (float(place + 1), value) for seed in values.tolist() for place, value in enumerate(seed)
    )


def test_one_seed_has_neither() -> None:
    axes = Figure().add_subplot()
    draw_intervals(axes, np.array([1.0]), np.array([[50.0]]), "black", (0.0, 100.0))
    assert not axes.collections
    assert about_spread("Points", [1]) == "Points: one seed, no interval."
    assert about_spread("Points", [1, 3]).endswith("Small dots: single seeds. Bars: 95 % intervals.")
