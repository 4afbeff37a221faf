"""Numbers with their noun: 1 episode, 2 episodes."""

from collections.abc import Collection


def count(number: int, noun: str) -> str:
    """1 run, 2,000 runs."""
    return f"{number:,} {plural(number, noun)}"


def plural(number: int, noun: str) -> str:
    """The noun alone: run of 1, runs of any other number."""
    return noun if number == 1 else f"{noun}s"


def count_range(numbers: Collection[int], noun: str) -> str:
    """2 to 3 runs, or 3 runs where all numbers are the same."""
    low = min(numbers)
    high = max(numbers)
    return count(low, noun) if low == high else f"{low:,} to {high:,} {plural(high, noun)}"
