from collections.abc import Callable

import numpy as np
import torch

from lamobench.baselines.policy import ActionBounds, Normalizer, Spec


def test_observations_are_centred_and_scaled(make_spec: Callable[..., Spec]) -> None:
    normalize = Normalizer(make_spec())
    torch.testing.assert_close(normalize(torch.tensor([[4.5, -1.5, 2.0]])), torch.tensor([[2.0, -1.0, 2.0]]))


def test_a_dimension_that_never_varies_is_only_centred(make_spec: Callable[..., Spec]) -> None:
    spec = make_spec(observation_std=np.array([0.0, 1e-8, 2.0], np.float32))
    torch.testing.assert_close(Normalizer(spec)(torch.tensor([1.5, -2.0, 2.0])), torch.tensor([1.0, -1.0, 1.0]))


def test_actions_map_between_the_box_and_the_unit_cube(make_spec: Callable[..., Spec]) -> None:
    bounds = ActionBounds(make_spec())  # low (-2, -1), high (2, 3)
    torch.testing.assert_close(
        bounds.from_unit(torch.tensor([[-1.0, 1.0], [0.5, 0.0]])), torch.tensor([[-2.0, 3], [1, 1]])
    )
    actions = torch.tensor([[-2.0, 3.0], [0.3, 0.7]])
    torch.testing.assert_close(bounds.from_unit(bounds.to_unit(actions)), actions)
    torch.testing.assert_close(bounds.clip(torch.tensor([[-9.0, 9.0], [0.3, 0.7]])), actions)


def test_buffers_follow_into_the_checkpoint(make_spec: Callable[..., Spec]) -> None:
    assert set(Normalizer(make_spec()).state_dict()) == {"mean", "std"}
