from collections.abc import Callable

import numpy as np
import pytest
import torch

from lamobench.baselines.bc import BC, BCConfig, BestBCConfig
from lamobench.baselines.policy import History, Spec
from lamobench.datasets.fractions import Subset


@pytest.fixture
def policy(make_spec: Callable[..., Spec]) -> BC:
    torch.manual_seed(0)
    return BC(BCConfig(hidden=(8,)), make_spec())


def test_actions_by_hand(policy: BC) -> None:
    observation = torch.tensor([1.5, -0.25, 3.0])
    first, _, last = policy.actor
    normalised = torch.tensor([0.5, 1.5, 3.0])  # means (0.5, -1, 0), deviations (2, 0.5, 1)
    unit = torch.tanh(last.weight @ torch.relu(first.weight @ normalised + first.bias) + last.bias)
    expected = torch.stack([2.0 * unit[0], 1.0 + 2.0 * unit[1]])  # boxes (-2, 2) and (-1, 3)
    torch.testing.assert_close(policy.policy(observation[None])[0], expected)


def test_it_acts_on_the_newest_observation_alone(policy: BC) -> None:
    observations = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0))
    history = History(observations, torch.randn(4, 5, 2), torch.randn(4, 5), torch.arange(5).expand(4, 5))
    torch.testing.assert_close(policy.act(history), policy.policy(observations[:, -1]))
    assert policy.context == 1


def test_the_loss_is_the_mean_squared_error(policy: BC, five_trajectories: Subset) -> None:
    batch = policy.sampler(five_trajectories).sample(6, np.random.default_rng(0))
    loss, metrics = policy.loss(batch)
    errors = (policy.policy(batch.observations) - batch.actions).detach().numpy()
    assert loss.item() == pytest.approx(np.mean(errors**2), rel=1e-5)
    assert metrics["action_error"] == loss
    assert not metrics["action_error"].requires_grad


def test_the_best_tenth_is_at_least_one_episode(make_spec: Callable[..., Spec], five_trajectories: Subset) -> None:
    data = five_trajectories.trajectories
    best = int(data.returns.argmax())
    batch = BC(BestBCConfig(), make_spec()).sampler(five_trajectories).sample(200, np.random.default_rng(0))
    first = data.offsets[best]
    end = data.offsets[best + 1]
    assert {tuple(row) for row in batch.actions.tolist()} == {tuple(row) for row in data.actions[first:end].tolist()}
