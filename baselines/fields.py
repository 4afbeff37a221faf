"""Types for the fields of a method's config: the values that they may have. `benchmark/runs/config.py` checks them."""

import math
from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True)
class Bounds:
    """Bounds of a number, both included."""

    low: float
    high: float = math.inf


Count = Annotated[int, Bounds(1)]  # of layers, steps, samples
Delay = Annotated[int, Bounds(0)]  # of steps; 0: none
Seed = Annotated[int, Bounds(0, 2**32 - 1)]
Amount = Annotated[float, Bounds(0.0)]  # a rate, a weight, a limit
Positive = Annotated[float, Bounds(1e-12)]  # what may be small but not zero
Share = Annotated[float, Bounds(0.0, 1.0)]  # a probability, a part of a whole
Environments = Annotated[int, Bounds(1, 1000)]  # side by side, each with a state of its own
Episodes = Annotated[int, Bounds(1, 10_000)]  # of an evaluation, played side by side too
