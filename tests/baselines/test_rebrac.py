from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from lamobench.baselines.policy import History, Spec
from lamobench.baselines.rebrac import ReBRAC, ReBRACConfig
from lamobench.datasets.fractions import Subset
from lamobench.datasets.trajectories import Array
from lamobench.datasets.windows import ChainedBatch, ChainedSampler
from lamobench.tests.baselines.by_hand import action, lower_value, reached, unit, value

Make = Callable[..., ReBRAC]


@pytest.fixture
def make(make_spec: Callable[..., Spec]) -> Make:
    def build(**changes: Any) -> ReBRAC:
        torch.manual_seed(0)
        policy = ReBRAC(replace(ReBRACConfig(hidden=(8, 8)), **changes), make_spec())
        with torch.no_grad():  # away from their start, and targets unlike their sources
            for parameter in policy.parameters():
                parameter += 0.2 * torch.randn_like(parameter)
        return policy

    return build


@pytest.fixture
def batch(five_trajectories: Subset) -> ChainedBatch:
    """Six transitions; the first is terminal, the second is followed by a timeout."""
    drawn = ChainedSampler(five_trajectories).sample(6, np.random.default_rng(0))
    terminals = torch.tensor([1.0, 0, 0, 0, 0, 0])
    goes_on = torch.tensor([0.0, 0, 1, 1, 1, 1])
    return replace(drawn, terminals=terminals, goes_on=goes_on, rewards=torch.arange(6.0))


def expected_target(policy: ReBRAC, batch: ChainedBatch) -> Array:
    states = batch.next_observations.numpy()
    chosen = action(policy.target_actor, states)
    penalty = policy.config.critic_penalty * ((chosen - unit(batch.next_actions)) ** 2).sum(axis=1)
    beyond = lower_value(policy.target_critic, states, chosen) - np.array([0.0, 0, 1, 1, 1, 1]) * penalty
    return np.arange(6.0) + policy.config.discount * np.array([0.0, 1, 1, 1, 1, 1]) * beyond


def test_the_losses_by_hand(make: Make, batch: ChainedBatch) -> None:
    """A terminal ends the value; a timeout bootstraps, without the penalty on an action that the data don't have."""
    policy = make(discount=0.9, target_noise=0.0, actor_penalty=0.3, critic_penalty=0.7)
    target = expected_target(policy, batch)
    np.testing.assert_allclose(policy.bellman_target(batch, *policy.draw(batch)).numpy(), target, rtol=1e-4)
    states = batch.observations.numpy()
    actions = unit(batch.actions)
    critic_loss = sum(np.mean((value(policy.critic, m, states, actions) - target) ** 2) for m in (0, 1))
    chosen = action(policy.actor, states)
    lower = lower_value(policy.critic, states, chosen)
    distance = ((chosen - actions) ** 2).sum(axis=1).mean()
    actor_loss = 0.3 * distance - lower.mean() / np.abs(lower).mean()
    total, metrics = policy.loss(batch)
    assert metrics["critic_loss"].item() == pytest.approx(critic_loss, rel=1e-4)
    assert metrics["actor_loss"].item() == pytest.approx(actor_loss, rel=1e-4)
    assert total.item() == pytest.approx(critic_loss + actor_loss, rel=1e-4)


def test_states_are_normalised_where_it_is_asked_for(make: Make) -> None:
    observations = torch.tensor([[4.5, -1.5, 2.0]])
    assert torch.equal(make().normalize(observations), observations)
    torch.testing.assert_close(make(normalize_states=True).normalize(observations), torch.tensor([[2.0, -1.0, 2.0]]))


def test_each_loss_reaches_its_own_parameters_alone(make: Make, batch: ChainedBatch) -> None:
    policy = make()
    states = policy.normalize(batch.observations)
    actions = policy.bounds.to_unit(batch.actions)

    assert reached(policy, policy.actor_losses(states, actions)["actor_loss"]) == {"actor"}
    assert reached(policy, policy.critic_loss(batch, states, actions, *policy.draw(batch))) == {"critic"}
    norms = (*policy.critic.gains, *policy.critic.shifts)
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in norms)


def test_the_actor_moves_first_and_then_at_every_second_update(make: Make, batch: ChainedBatch) -> None:
    policy = make(target_rate=0.25)
    optimizer = torch.optim.AdamW(policy.optimizer_settings().groups, fused=True)
    moves = []
    for _ in range(4):
        actor = policy.actor[0].weight.detach().clone()
        target = policy.target_actor[0].weight.clone()
        optimizer.zero_grad(set_to_none=True)
        policy.loss(batch)[0].backward()
        optimizer.step()
        policy.after_update()
        moves.append(not torch.equal(policy.actor[0].weight, actor))
        assert moves[-1] != torch.equal(policy.target_actor[0].weight, target)
        if moves[-1]:
            expected = target + 0.25 * (policy.actor[0].weight.detach() - target)
            torch.testing.assert_close(policy.target_actor[0].weight, expected)
    assert moves == [True, False, True, False]


def test_it_starts_as_its_authors_networks_do(make_spec: Callable[..., Spec]) -> None:
    torch.manual_seed(0)
    policy = ReBRAC(ReBRACConfig(), make_spec())
    assert len(policy.critic.weights) == 4
    assert all((bias == 0.1).all() for bias in (policy.actor[0].bias, policy.critic.biases[2]))
    assert 0.0009 < policy.actor[-1].weight.abs().max() <= 0.001
    assert 0.0028 < policy.critic.weights[-1].abs().max() <= 0.003
    assert all(
        torch.equal(a, b) for a, b in zip(policy.actor.parameters(), policy.target_actor.parameters(), strict=True)
    )


def test_it_acts_inside_the_bounds(make: Make, batch: ChainedBatch) -> None:
    policy = make()
    history = History(batch.observations[:, None], torch.zeros(6, 1, 2), torch.zeros(6, 1), torch.zeros(6, 1).long())
    chosen = action(policy.actor, batch.observations.numpy())
    np.testing.assert_allclose(policy.act(history).detach().numpy(), 2.0 * chosen + [0.0, 1.0], rtol=1e-5, atol=1e-6)
