import json
from collections.abc import Callable

import numpy as np
import pytest

from lamobench.datasets.catalog import find_dataset, find_task
from lamobench.datasets.summary import describe, describe_scores, histogram
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


def test_scores_are_those_of_the_catalog_s_references(make_trajectories: Callable[..., Trajectories]) -> None:
    data = make_trajectories()
    hopper = find_task("hopper")
    described = json.loads(json.dumps(describe_scores(data, find_dataset("hopper-medium"), hopper)))
    assert (described["task"], described["horizon"], described["target_returns"]) == ("hopper", 1000, [3600.0, 1800.0])
    assert described["published_fractions"] == [0.005, 0.01, 0.1, 1.0]
    assert described["reference_scores"] == {"0 at": -20.272305, "100 at": 3234.3}
    assert described["score_source"].startswith("D4RL")
    assert described["scores"]["mean"] == pytest.approx(hopper.normalise(data.returns.mean()))
    assert described["scores"]["max"] == pytest.approx(hopper.normalise(data.returns.max()))


def test_histogram_counts_every_value_once() -> None:
    lines = histogram(np.array([0, 0, 0, 5, 10, 100]))
    assert len(lines) == 10
    assert lines[0].split("|")[0].strip() == "0 to 10"
    assert [int(line.rsplit(maxsplit=1)[1]) for line in lines] == [4, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert [line.count("#") for line in lines] == [40, 10, 0, 0, 0, 0, 0, 0, 0, 10]


def test_histogram_of_equal_values_is_one_line() -> None:
    assert histogram(np.full(7, 100)) == [f"100 | {'#' * 40} 7"]
