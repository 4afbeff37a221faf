import pytest

from lamobench.datasets.counts import count, count_range, plural


@pytest.mark.parametrize(("number", "text"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs")])
def test_counts_agree_with_their_noun(number: int, text: str) -> None:
    assert count(number, "run") == text
    assert plural(number, "run") == text.split()[1]


@pytest.mark.parametrize(("numbers", "text"), [([1, 1], "1 seed"), ([3], "3 seeds"), ([3, 1, 2], "1 to 3 seeds")])
def test_ranges_name_their_ends_or_the_one_number(numbers: list[int], text: str) -> None:
    assert count_range(numbers, "seed") == text
