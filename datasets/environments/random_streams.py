"""Many random streams side by side, one for each environment, drawn from as arrays.

A stream depends on its seed alone, so an environment does the same among others as by itself. Its whole state is one
number, which a checkpoint can hold. NumPy's own generators would take a Python call for each environment.
"""

import numpy as np
from numpy.typing import NDArray

GAMMA = np.uint64(0x9E3779B97F4A7C15)  # SplitMix64's increment: 2**64 divided by the golden ratio, made odd


class RandomStreams:
    """E streams of SplitMix64 (Steele, Lea and Flood, 2014: Fast Splittable Pseudorandom Number Generators, Figure 17).

    `states` is (E,) uint64: all that there is to save.
    """

    def __init__(self, seeds: NDArray[np.integer]) -> None:
        """One stream for each of the seeds (E,), whole numbers from 0 to 2**64 - 1."""
        self.states = np.array(seeds, np.uint64)

    def integers(self, high: int, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """Numbers (M,) int64, uniform from 0 to `high` - 1: one of each of the streams `rows` (M,), no row twice."""
        self.states[rows] += GAMMA
        uniform = (mix(self.states[rows]) >> np.uint64(11)) * 2.0**-53  # [0, 1) in steps of a float's precision
        return (uniform * high).astype(np.int64)


def mix(states: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's output for states, uint64 of any shape; overflow is meant (Stafford's thirteenth variant)."""
    mixed = (states ^ (states >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
