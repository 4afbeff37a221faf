"""The part of a player: the facts of the episode that it has to play."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One episode of a recording. It depends on these three numbers alone, so processes may play in any order."""

    seed: int  # everything random in the episode follows from it
    number: int  # which of the recording's episodes this is, from 0
    total: int  # how many the recording has
