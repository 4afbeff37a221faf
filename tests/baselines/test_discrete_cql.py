"""The loss of discrete CQL, step by step in NumPy."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lamobench.baselines.deep_q import QNetwork
from lamobench.baselines.discrete_cql import DiscreteCQL, DiscreteCQLConfig, conservative_gap
from lamobench.baselines.policy import History, Spec
from lamobench.datasets.fractions import Subset
from lamobench.datasets.trajectories import Array
from lamobench.datasets.windows import TransitionBatch

ALPHA = 4.0
DISCOUNT = 0.9
QUANTILES = 3


@pytest.fixture
def policy(discrete_spec: Spec) -> DiscreteCQL:
    """A policy whose target network differs from the online one, so that mixing them up shows."""
    torch.manual_seed(0)
    config = DiscreteCQLConfig(hidden=(8,), quantiles=QUANTILES, discount=DISCOUNT, conservative_weight=ALPHA)
    policy = DiscreteCQL(config, discrete_spec)
    with torch.no_grad():
        for parameter in policy.target_network.parameters():
            parameter += torch.randn_like(parameter)
    return policy


@pytest.fixture
def batch(policy: DiscreteCQL, discrete_trajectories: Subset) -> TransitionBatch:
    """Six transitions, the first and the fourth of them terminal."""
    drawn = policy.sampler(discrete_trajectories).sample(6, np.random.default_rng(0))
    return replace(drawn, terminals=torch.tensor([1.0, 0, 0, 1, 0, 0]), rewards=torch.arange(6.0))


def quantiles_of(network: QNetwork, observations: torch.Tensor) -> Array:
    """Quantiles (B, A, N) in NumPy: normalise, one hidden layer, one matrix product."""
    first, _, last = ((layer.weight, layer.bias) if hasattr(layer, "weight") else None for layer in network.network)
    assert first is not None
    assert last is not None
    (w1, b1), (w2, b2) = ([tensor.detach().numpy() for tensor in layer] for layer in (first, last))
    states = (observations.numpy() - np.array([0.5, -1.0, 0.0])) / np.array([2.0, 0.5, 1.0])
    hidden = np.maximum(0, states @ w1.T + b1)
    return np.asarray(hidden @ w2.T + b2).reshape(len(states), 4, QUANTILES)


def losses_by_hand(policy: DiscreteCQL, batch: TransitionBatch) -> tuple[float, float]:
    """The Bellman loss and the conservative gap, one transition after the other."""
    now = quantiles_of(policy.q_network, batch.observations)
    online = quantiles_of(policy.q_network, batch.next_observations)
    delayed = quantiles_of(policy.target_network, batch.next_observations)
    bellman = 0.0
    gap = 0.0
    for n in range(6):
        action = int(batch.actions[n])
        best = int(np.argmax(online[n].mean(-1)))
        beyond = 0.0 if n in (0, 3) else DISCOUNT
        for i in range(QUANTILES):
            for j in range(QUANTILES):
                error = n + beyond * delayed[n, best, j] - now[n, action, i]
                huber = 0.5 * error**2 if abs(error) <= 1 else abs(error) - 0.5
                bellman += abs((i + 0.5) / QUANTILES - (error < 0)) * huber / QUANTILES
        values = now[n].mean(-1)
        gap += np.log(np.exp(values).sum()) - values[action]
    return bellman / 6, gap / 6


def test_the_loss_by_hand(policy: DiscreteCQL, batch: TransitionBatch) -> None:
    total, metrics = policy.loss(batch)
    bellman, gap = losses_by_hand(policy, batch)
    assert metrics["bellman_loss"].item() == pytest.approx(bellman, rel=1e-5)
    assert metrics["conservative_gap"].item() == pytest.approx(gap, rel=1e-5)
    assert total.item() == pytest.approx(bellman + ALPHA * gap, rel=1e-5)


def test_the_gap_falls_to_nothing_as_the_data_s_actions_win() -> None:
    values = torch.tensor([[0.0, 50.0, 0.0], [50.0, 0.0, 0.0]])
    assert conservative_gap(values, torch.tensor([1, 0])).item() == pytest.approx(0.0, abs=1e-6)
    assert conservative_gap(values, torch.tensor([0, 0])).item() == pytest.approx(25.0)
    assert conservative_gap(torch.zeros(5, 3), torch.zeros(5, dtype=torch.int64)).item() == pytest.approx(np.log(3))


def test_it_plays_the_action_of_the_highest_mean(policy: DiscreteCQL, batch: TransitionBatch) -> None:
    history = History(batch.observations[:, None], batch.actions[:, None], torch.zeros(6, 1), torch.zeros(6, 1))
    expected = quantiles_of(policy.q_network, batch.observations).mean(-1).argmax(-1)
    assert policy.act(history).tolist() == expected.tolist()
