from dataclasses import fields

import numpy as np
import pytest
import torch

from lamobench.baselines.online.replay import ReplayBuffer
from lamobench.baselines.online.transitions import Transitions, concatenated
from lamobench.tests.baselines.online.made_up import CONTINUOUS, DISCRETE, transitions


def numbered(first: int, count: int) -> Transitions:
    """Rows whose rewards are their numbers."""
    made = vars(transitions(CONTINUOUS, count, seed=first))
    return Transitions(**made | {"rewards": torch.arange(first, first + count, dtype=torch.float32)})


def rewards(buffer: ReplayBuffer) -> list[float]:
    return buffer.columns["rewards"][: buffer.size].tolist()


def test_the_oldest_rows_make_room_and_protected_ones_survive() -> None:
    buffer = ReplayBuffer(7, CONTINUOUS)
    kept = numbered(100, 3)
    buffer.protect(kept)
    for first in range(0, 20, 2):  # twice around and a half
        buffer.add(numbered(first, 2))
    assert rewards(buffer)[:3] == [100, 101, 102]
    assert sorted(rewards(buffer)[3:]) == [16, 17, 18, 19]
    for field in fields(Transitions):
        assert np.array_equal(buffer.columns[field.name][:3], getattr(kept, field.name).numpy())


def test_without_protection_it_is_a_ring() -> None:
    buffer = ReplayBuffer(5, CONTINUOUS)
    for first in range(0, 12, 3):
        buffer.add(numbered(first, 3))
        assert set(rewards(buffer)) == set(range(max(0, first + 3 - 5), first + 3))


def test_rows_are_drawn_from_what_is_there_as_they_were_added() -> None:
    buffer = ReplayBuffer(100, DISCRETE)
    added = transitions(DISCRETE, 9)
    buffer.add(added)
    drawn = buffer.sample(np.random.default_rng(0), 400)
    (which,) = [np.random.default_rng(0).integers(9, size=400)]
    assert set(which) == set(range(9))
    for name, column in vars(added.rows(torch.from_numpy(which))).items():
        assert torch.equal(getattr(drawn, name), column)
        assert getattr(drawn, name).dtype == column.dtype


def test_a_buffer_goes_on_where_another_stood() -> None:
    buffer = ReplayBuffer(8, CONTINUOUS)
    other = ReplayBuffer(8, CONTINUOUS)
    buffer.protect(numbered(50, 2))
    buffer.add(numbered(0, 6))
    buffer.add(numbered(6, 3))
    other.load(buffer.tensors())
    for each in (buffer, other):
        each.add(numbered(20, 4))
    assert rewards(other) == rewards(buffer)
    assert vars(other).keys() == vars(buffer).keys()
    drawn = [each.sample(np.random.default_rng(1), 5).observations for each in (buffer, other)]
    assert torch.equal(*drawn)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(AssertionError, match="8 rows are to be protected in a buffer of 8"):
        ReplayBuffer(8, CONTINUOUS).protect(numbered(0, 8))
    buffer = ReplayBuffer(8, CONTINUOUS)
    buffer.protect(numbered(0, 4))
    with pytest.raises(AssertionError, match="5 rows at once are more than the 4"):
        buffer.add(numbered(0, 5))
    with pytest.raises(AssertionError, match="before any other"):
        buffer.protect(numbered(0, 1))


def test_parts_are_joined_in_order() -> None:
    joined = concatenated([numbered(0, 2), numbered(5, 3)])
    assert joined.rewards.tolist() == [0, 1, 5, 6, 7]
    assert len(joined) == 5
