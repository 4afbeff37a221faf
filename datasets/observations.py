"""Dictionaries of observations as flat vectors: one rule for data sets and for the environments that made them.

The parts stand end to end in the order of their sorted keys, as `gymnasium.spaces.flatten` has them: arrays are
flattened, a discrete value becomes a one-hot vector. So a goal environment's vector is the achieved goal, the desired
goal and the observation. The achieved goal stays in: in AntMaze the ant's position is nowhere else.
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from .errors import UserError
from .trajectories import Array


def vector_size(space: gymnasium.Space) -> int:
    """S, the length of the vectors of a space; a `UserError` if it has parts that are no numbers."""
    if isinstance(space, spaces.Dict):
        return sum(vector_size(part) for part in space.spaces.values())
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if isinstance(space, spaces.Box):
        return int(np.prod(space.shape, dtype=np.int64))
    raise UserError(f"observations in {type(space).__name__} are no vectors; expected arrays, or dictionaries of them")


def vectors(space: gymnasium.Space, values: Any) -> Array:
    """Vectors (T, S) from T observations of a space, held as Minari holds them: of a dictionary, T values a part."""
    if isinstance(space, spaces.Dict):
        parts = [vectors(space.spaces[key], values[key]) for key in sorted(space.spaces)]
        lengths = sorted({len(part) for part in parts})
        if len(lengths) > 1:
            raise UserError(f"the parts of its observations have {' and '.join(map(str, lengths))} entries")
        return np.concatenate(parts, axis=1)
    array = np.asarray(values)
    if isinstance(space, spaces.Discrete):
        array = _one_hot(array.reshape(-1) - int(space.start), int(space.n))
    flat: Array = array.reshape(len(array), vector_size(space))
    return flat


def _one_hot(numbers: Array, count: int) -> Array:
    """One-hot vectors (T, count) from T numbers, 0 to count - 1."""
    if ((numbers < 0) | (numbers >= count)).any():
        raise UserError(f"a discrete observation is none of the {count} that its space has")
    hot = np.zeros((len(numbers), count))
    hot[np.arange(len(numbers)), numbers] = 1.0
    return hot


class VectorObservation(gymnasium.ObservationWrapper):  # type: ignore[misc]
    """An environment whose dictionaries of observations become vectors."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self.observation_space = spaces.Box(-np.inf, np.inf, (vector_size(env.observation_space),), np.float64)

    def observation(self, observation: Any) -> Array:
        """A vector (S,) from a dictionary."""
        vector: Array = vectors(self.env.observation_space, _one(observation))[0]
        return vector


def _one(value: Any) -> Any:
    """A single observation as the first of one."""
    if isinstance(value, dict):
        return {key: _one(part) for key, part in value.items()}
    return np.asarray(value)[None]
