"""BCQ's mask and loss, step by step."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lamobench.baselines.bcq import BCQ, BCQConfig, TwoHeaded
from lamobench.baselines.policy import Spec
from lamobench.datasets.fractions import Subset
from lamobench.datasets.trajectories import Array
from lamobench.datasets.windows import TransitionBatch


def make_bcq(spec: Spec, quantiles: int | None = None, threshold: float = 0.3) -> BCQ:
    torch.manual_seed(0)
    policy = BCQ(BCQConfig(hidden=(8,), quantiles=quantiles, discount=0.9, threshold=threshold), spec)
    with torch.no_grad():  # a target network of its own, and an imitation that is sure of itself
        for parameter in policy.target_network.parameters():
            parameter += torch.randn_like(parameter)
        policy.network.imitation[-1].weight *= 6.0
    return policy


@pytest.mark.parametrize(
    ("threshold", "best"),
    [
        (0.3, 1),  # 0.149 is less than 0.3 of 0.5
        (0.25, 2),  # 0.149 is more, 0.1 is not
        (0.15, 3),
        (0.0, 4),  # all count
        (1.0, 0),  # the likeliest alone
    ],
)
def test_the_best_of_the_likely_actions(discrete_spec: Spec, threshold: float, best: int) -> None:
    probabilities = torch.tensor([[0.5, 0.2, 0.149, 0.1, 0.051]])
    values = torch.tensor([[[-5.0], [-4.0], [-3.0], [-2.0], [-1.0]]])  # the less likely, the better; all below zero
    for shift in (0.0, 7.0):  # probabilities are what counts, not the logits themselves
        assert make_bcq(discrete_spec, threshold=threshold).best(values, probabilities.log() + shift).tolist() == [best]


def heads_of(network: TwoHeaded, observations: torch.Tensor) -> tuple[Array, Array]:
    """Values (B, A, N) and probabilities (B, A) in NumPy."""
    states = (observations.numpy() - np.array([0.5, -1.0, 0.0])) / np.array([2.0, 0.5, 1.0])
    outputs = []
    for head in (network.values, network.imitation):
        w1, b1, w2, b2 = (parameter.detach().numpy() for parameter in head.parameters())
        outputs.append(np.maximum(0, states @ w1.T + b1) @ w2.T + b2)
    return outputs[0].reshape(len(states), 4, -1), outputs[1]


@pytest.mark.parametrize("quantiles", [None, 3])
def test_the_loss_by_hand(discrete_spec: Spec, discrete_trajectories: Subset, quantiles: int | None) -> None:
    policy = make_bcq(discrete_spec, quantiles)
    batch = policy.sampler(discrete_trajectories).sample(6, np.random.default_rng(0))
    batch = replace(batch, terminals=torch.tensor([1.0, 0, 0, 1, 0, 0]), rewards=torch.arange(6.0))
    total, metrics = policy.loss(batch)
    bellman, imitation, penalty, restricted = losses_by_hand(policy, batch)
    assert 0 < restricted < 6  # the mask changes what some targets take, and not all
    assert metrics["bellman_loss"].item() == pytest.approx(bellman, rel=1e-5)
    assert metrics["imitation_loss"].item() == pytest.approx(imitation, rel=1e-5)
    assert total.item() == pytest.approx(bellman + imitation + 0.01 * penalty, rel=1e-5)


def losses_by_hand(policy: BCQ, batch: TransitionBatch) -> tuple[float, float, float, int]:
    """Bellman loss, cross entropy, mean squared logit, and how many next actions the mask changed."""
    (now, logits), (online, next_logits) = (
        heads_of(policy.network, observations) for observations in (batch.observations, batch.next_observations)
    )
    delayed, _ = heads_of(policy.target_network, batch.next_observations)
    count = now.shape[2]
    bellman = 0.0
    imitation = 0.0
    restricted = 0
    for n in range(6):
        probabilities = np.exp(next_logits[n]) / np.exp(next_logits[n]).sum()
        allowed = [a for a in range(4) if probabilities[a] > 0.3 * probabilities.max()]
        best = max(allowed, key=lambda a, n=n: online[n, a].mean())  # type: ignore[misc]
        restricted += best != online[n].mean(-1).argmax()
        action = int(batch.actions[n])
        targets = n + (0.0 if n in (0, 3) else 0.9) * delayed[n, best]
        for i in range(count):
            for j in range(count):
                error = targets[j] - now[n, action, i]
                huber = 0.5 * error**2 if abs(error) <= 1 else abs(error) - 0.5
                weight = abs((i + 0.5) / count - (error < 0)) / count if count > 1 else 1.0
                bellman += weight * huber
        imitation -= logits[n, action] - np.log(np.exp(logits[n]).sum())
    return bellman / 6, imitation / 6, float(np.mean(logits**2)), restricted


def test_of_images_the_heads_share_the_convolutions_alone(atari_spec: Spec, three_games: Subset) -> None:
    policy = BCQ(BCQConfig(hidden=(16,)), atari_spec)
    batch = policy.sampler(three_games).sample(4, np.random.default_rng(0))
    encoder = policy.network.encoder
    assert encoder is not None
    features = encoder.convolutions(batch.observations / 255.0)  # type: ignore[operator]
    weight = encoder.project.weight
    bias = encoder.project.bias  # type: ignore[union-attr]
    values, logits = policy.network(batch.observations)
    expected = policy.network.values(F.relu(features @ weight[:16].T + bias[:16]))
    torch.testing.assert_close(values.squeeze(-1), expected)
    torch.testing.assert_close(logits, policy.network.imitation(F.relu(features @ weight[16:].T + bias[16:])))
    logits.sum().backward()
    assert weight.grad[:16].abs().sum() == 0
    assert weight.grad[16:].abs().sum() > 0
    assert all(parameter.grad is None for parameter in policy.network.values.parameters())
