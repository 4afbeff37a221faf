import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from lamobench.datasets.errors import UserError
from lamobench.datasets.observations import VectorObservation, vector_size, vectors

BOX = spaces.Box(-1, 1, (2, 3), np.float64)
NESTED = spaces.Dict({"z": BOX, "a": spaces.Dict({"y": spaces.Discrete(4, start=2), "x": spaces.Box(0, 9, (1,))})})


def test_vectors_are_gymnasium_s() -> None:
    NESTED.seed(0)
    samples = [NESTED.sample() for _ in range(5)]
    values = {
        "z": np.stack([s["z"] for s in samples]),
        "a": {key: np.stack([s["a"][key] for s in samples]) for key in ("x", "y")},
    }
    found = vectors(NESTED, values)
    np.testing.assert_array_equal(found, np.stack([spaces.flatten(NESTED, s) for s in samples]))
    assert found.shape == (5, vector_size(NESTED))


def test_the_environment_s_vectors_are_the_data_s() -> None:
    class Samples(gymnasium.Env):  # type: ignore[misc]
        observation_space = NESTED
        action_space = spaces.Discrete(2)

        def reset(self, **_: object) -> tuple[object, dict[str, object]]:
            return NESTED.sample(), {}

    NESTED.seed(3)
    env = VectorObservation(Samples())
    found, _ = env.reset()
    NESTED.seed(3)
    np.testing.assert_array_equal(found, spaces.flatten(NESTED, NESTED.sample()))
    assert env.observation_space.shape == (11,)


@pytest.mark.parametrize("space", [spaces.Text(3), spaces.Tuple([BOX]), spaces.Dict({"a": spaces.MultiBinary(3)})])
def test_other_spaces_are_refused(space: spaces.Space) -> None:
    with pytest.raises(UserError, match=r"observations in (Text|Tuple|MultiBinary) are no vectors"):
        vector_size(space)


@pytest.mark.parametrize("number", [1, 6, -1])
def test_a_number_that_is_none_of_its_space_is_refused(number: int) -> None:
    space = spaces.Discrete(4, start=2)
    np.testing.assert_array_equal(vectors(space, np.array([2, 5])), [[1, 0, 0, 0], [0, 0, 0, 1]])
    with pytest.raises(UserError, match="a discrete observation is none of the 4 that its space has"):
        vectors(space, np.array([2, number]))


def test_a_space_of_many_numbers_takes_room_for_its_vectors_alone() -> None:
    assert vectors(spaces.Discrete(10**6), np.array([3, 10**6 - 1])).sum() == 2
