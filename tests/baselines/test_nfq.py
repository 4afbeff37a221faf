"""NFQ's loss, step by step in NumPy."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lamobench.baselines.nfq import NFQ, NFQConfig
from lamobench.baselines.policy import Spec
from lamobench.datasets.fractions import Subset
from lamobench.datasets.trajectories import Array


@pytest.fixture
def policy(discrete_spec: Spec) -> NFQ:
    torch.manual_seed(0)
    return NFQ(NFQConfig(hidden=(8,), discount=0.9), discrete_spec)


def values_of(policy: NFQ, observations: torch.Tensor) -> Array:
    """Values (B, A) in NumPy."""
    states = (observations.numpy() - np.array([0.5, -1.0, 0.0])) / np.array([2.0, 0.5, 1.0])
    w1, b1, w2, b2 = (parameter.detach().numpy() for parameter in policy.q_network.parameters())
    return np.asarray(np.maximum(0, states @ w1.T + b1) @ w2.T + b2)


def test_the_loss_by_hand(policy: NFQ, discrete_trajectories: Subset) -> None:
    batch = policy.sampler(discrete_trajectories).sample(6, np.random.default_rng(0))
    batch = replace(batch, terminals=torch.tensor([1.0, 0, 0, 1, 0, 0]), rewards=torch.arange(6.0) / 2)
    for _ in range(2):
        now = values_of(policy, batch.observations)
        later = values_of(policy, batch.next_observations)
        expected = 0.0
        for n in range(6):
            target = n / 2 + (0.0 if n in (0, 3) else 0.9 * later[n].max())
            error = abs(target - now[n, batch.actions[n]])
            expected += 0.5 * error**2 if error <= 1 else error - 0.5
        assert policy.loss(batch)[0].item() == pytest.approx(expected / 6, rel=1e-5)
        with torch.no_grad():  # there is no delayed copy: targets follow the network at once
            for parameter in policy.parameters():
                parameter += torch.randn_like(parameter)
