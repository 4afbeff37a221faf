import json
from collections.abc import Callable

import numpy as np

from lamobench.datasets.summary import describe, histogram
from lamobench.datasets.trajectories import Trajectories


def test_describe_counts_and_is_plain_json(make_trajectories: Callable[..., Trajectories]) -> None:
    data = make_trajectories()
    described = json.loads(json.dumps(describe(data)))
    assert (described["episodes"], described["steps"]) == (3, 11)
    assert (described["terminated_episodes"], described["truncated_episodes"]) == (1, 2)
    assert (described["observation_shape"], described["action_shape"]) == ([12], [2])
    assert described["lengths"]["median"] == 4
    assert [described["returns"][key] for key in ("min", "max")] == [data.returns.min(), data.returns.max()]
    assert described["content_hash"] == data.content_hash


def test_histogram_counts_every_value_once() -> None:
    lines = histogram(np.array([0, 0, 0, 5, 10, 100]))
    assert len(lines) == 10
    assert lines[0].split("|")[0].strip() == "0 to 10"
    assert [int(line.rsplit(maxsplit=1)[1]) for line in lines] == [4, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert [line.count("#") for line in lines] == [40, 10, 0, 0, 0, 0, 0, 0, 0, 10]


def test_histogram_of_equal_values_is_one_line() -> None:
    assert histogram(np.full(7, 100)) == [f"100 | {'#' * 40} 7"]
