import itertools

import pytest

from lamobench.benchmark.benches import harness
from lamobench.benchmark.benches.harness import Settings, above, below, faster, in_turn


def test_ways_take_turns_and_each_round_begins_with_another(monkeypatch: pytest.MonkeyPatch) -> None:
    time = itertools.count()  # a second passes whenever the clock is looked at
    calls = list[str]()
    monkeypatch.setitem(harness.CLOCKS, "wall", lambda: float(next(time)))
    rounds = in_turn(Settings(rounds=3, seconds=0.5), lambda: calls.append("a"), lambda: calls.append("b"))
    assert rounds == [(1.0, 1.0)] * 3
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab", "a call of each to warm up, then blocks in turn"


def test_what_is_quick_is_measured_in_larger_blocks() -> None:
    calls = list[int]()
    in_turn(Settings(clock="cpu", rounds=1, seconds=0.01), lambda: calls.append(1))
    assert len(calls) > 1000


def test_ratios_are_of_neighbouring_blocks() -> None:
    row = faster("what", "theirs", [(1.0, 2.0), (2.0, 8.0), (1.0, 3.0)], target=3.0)
    assert (row.ours, row.other, row.ratio) == (1000.0, 3000.0, 3.0)
    assert (row.low, row.high, row.wanted, row.met) == (2.5, 3.5, "3 times faster", True)
    assert not faster("what", "theirs", [(1.0, 2.0)], target=3.0).met
    assert faster("what", "theirs", [(1.0, 2.0)], target=None).met is None


def test_bounds_from_both_sides() -> None:
    row = below("what", "%", [1.0, 2.0, 3.0], 2.5, other=8.0, name="theirs")
    assert (row.ours, row.ratio, row.low, row.high, row.wanted, row.met) == (2.0, 4.0, 1.5, 2.5, "below 2.5 %", True)
    assert not below("what", "%", [3.0], 2.5).met
    assert above("what", "%", [70.0], 60.0).met
    assert (above("what", "%", [50.0], 60.0).met, above("what", "%", [50.0]).met) == (False, None)
