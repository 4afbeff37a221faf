from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lamobench.datasets.errors import UserError
from lamobench.datasets.trajectories import Trajectories

Make = Callable[..., Trajectories]


def test_counts_lengths_and_returns_by_hand(make_trajectories: Make) -> None:
    data = replace(make_trajectories(), rewards=np.arange(11, dtype=np.float32))
    assert (data.num_steps, data.num_episodes) == (11, 3)
    assert data.lengths.tolist() == [4, 1, 6]
    assert data.returns.tolist() == [0 + 1 + 2 + 3, 4, 5 + 6 + 7 + 8 + 9 + 10]


def test_content_hash_sees_every_array_but_not_the_provenance(make_trajectories: Make) -> None:
    data = make_trajectories()
    assert make_trajectories(source="minari").content_hash == data.content_hash
    for name in ("observations", "actions", "rewards", "last_observations"):
        changed = getattr(data, name).copy()
        changed.flat[-1] += 1
        assert replace(data, **{name: changed}).content_hash != data.content_hash, name


@pytest.mark.parametrize("field", ["observations", "actions", "rewards", "last_observations"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused_and_named(make_trajectories: Make, field: str, bad: float) -> None:
    data = make_trajectories()
    array = getattr(data, field).copy()
    array[2] = bad
    with pytest.raises(UserError, match=rf"{field}\[2\] is not a finite number") as error:
        replace(data, **{field: array}).check()
    assert "\n" not in str(error.value)


def test_truncated_arrays_are_refused_and_named(make_trajectories: Make) -> None:
    data = make_trajectories()
    with pytest.raises(UserError, match="actions has 9 entries, but rewards has 11"):
        replace(data, actions=data.actions[:9]).check()
    with pytest.raises(UserError, match="last_observations has shape"):
        replace(data, last_observations=data.last_observations[:2]).check()
    with pytest.raises(UserError, match="offsets must rise"):
        replace(data, offsets=np.array([0, 4, 4, 11])).check()
    with pytest.raises(UserError, match="is empty"):
        replace(data, offsets=np.array([0])).check()


def test_an_episode_cannot_go_on_after_its_terminal(make_trajectories: Make) -> None:
    data = make_trajectories()
    terminals = data.terminals.copy()
    terminals[1] = True
    with pytest.raises(UserError, match="inside an episode"):
        replace(data, terminals=terminals).check()


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("observations", "f8"), ("actions", "c8"), ("rewards", "i4"), ("terminals", "u1"), ("offsets", "i4")],
)
def test_an_array_of_another_type_is_named(make_trajectories: Make, name: str, dtype: str) -> None:
    data = make_trajectories()
    with pytest.raises(UserError, match=f"{name} is of type .*, expected"):
        replace(data, **{name: getattr(data, name).astype(dtype)}).check()
