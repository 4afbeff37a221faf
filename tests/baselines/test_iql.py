import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from lamobench.baselines.iql import IQL, IQLConfig, expectile_loss
from lamobench.baselines.policy import History, Spec
from lamobench.datasets.fractions import Subset
from lamobench.datasets.windows import TransitionBatch
from lamobench.tests.baselines.by_hand import reached

Make = Callable[..., IQL]


@pytest.fixture
def make(make_spec: Callable[..., Spec]) -> Make:
    def build(**changes: Any) -> IQL:
        torch.manual_seed(0)
        policy = IQL(replace(IQLConfig(hidden=(8, 8)), **changes), make_spec())
        with torch.no_grad():  # unlike the critics, so that mixing them up shows
            for parameter in policy.target_critic.parameters():
                parameter += 0.1
            policy.log_std.copy_(torch.tensor([-0.5, 0.3]))
        return policy

    return build


def test_the_expectile_loss_weighs_the_two_sides() -> None:
    differences = np.array([2.0, -1.0, 0.5])
    expected = np.mean([0.7 * 4.0, 0.3 * 1.0, 0.7 * 0.25])
    assert expectile_loss(torch.tensor(differences), 0.7).item() == pytest.approx(expected)
    values = torch.linspace(-1.0, 1.0, 2001)
    losses = [float(expectile_loss(torch.tensor([0.0, 1.0]) - value, 0.5)) for value in values[::100]]
    assert values[::100][int(np.argmin(losses))] == pytest.approx(0.5)  # one half: the mean


@pytest.mark.parametrize("largest_weight", [100.0, 1.0])
def test_the_losses_by_hand(make: Make, batch: TransitionBatch, largest_weight: float) -> None:
    policy = make(discount=0.9, expectile=0.8, temperature=2.0, largest_weight=largest_weight)
    states = policy.normalize(batch.observations)
    actions = policy.bounds.to_unit(batch.actions)
    with torch.no_grad():
        both = torch.cat([states, actions], -1)
        target_q = policy.target_critic(both)[:, :, 0].numpy().min(axis=0)
        q = policy.critic(both)[:, :, 0].numpy()
        v = policy.value(states)[:, 0].numpy()
        next_v = policy.value(policy.normalize(batch.next_observations))[:, 0].numpy()
        mean = np.tanh(policy.actor(states).numpy())
    difference = target_q - v
    value_loss = np.mean(np.where(difference > 0, 0.8, 0.2) * difference**2)
    target = np.arange(6.0) + 0.9 * np.array([0.0, 1, 1, 0, 1, 1]) * next_v
    critic_loss = np.mean((q[0] - target) ** 2) + np.mean((q[1] - target) ** 2)
    std = np.exp([-0.5, 0.3])
    density = -0.5 * ((actions.numpy() - mean) / std) ** 2 - np.log(std) - 0.5 * np.log(2 * np.pi)
    actor_loss = -np.mean(np.minimum(np.exp(2.0 * difference), largest_weight) * density.sum(axis=1))
    assert largest_weight > 1.0 or (np.exp(2.0 * difference) > 1.0).any()
    total, metrics = policy.loss(batch)
    assert metrics["value_loss"].item() == pytest.approx(value_loss, rel=1e-5)
    assert metrics["critic_loss"].item() == pytest.approx(critic_loss, rel=1e-5)
    assert metrics["actor_loss"].item() == pytest.approx(actor_loss, rel=1e-5)
    assert metrics["advantage"].item() == pytest.approx(difference.mean(), rel=1e-5)
    assert total.item() == pytest.approx(value_loss + critic_loss + actor_loss, rel=1e-5)


def test_a_huge_advantage_has_the_largest_weight(make: Make, batch: TransitionBatch) -> None:
    policy = make()
    states = policy.normalize(batch.observations)
    actions = policy.bounds.to_unit(batch.actions)
    loss = policy.actor_loss(states, actions, torch.full((6,), 1e6))
    torch.testing.assert_close(loss, -100.0 * policy.log_density(states, actions).mean())


def test_each_loss_reaches_its_own_parameters_alone(make: Make, batch: TransitionBatch) -> None:
    policy = make()
    states = policy.normalize(batch.observations)
    actions = policy.bounds.to_unit(batch.actions)

    assert reached(policy, policy.actor_loss(states, actions, torch.ones(6))) == {"actor", "log_std"}
    assert reached(policy, policy.critic_loss(batch, states, actions)) == {"critic"}
    assert reached(policy, expectile_loss(1.0 - policy.v(states), 0.7)) == {"value"}
    assert reached(policy, policy.loss(batch)[0]) == {"actor", "log_std", "critic", "value"}


def test_the_density_equals_that_of_torch_distributions(make: Make, batch: TransitionBatch) -> None:
    policy = make()
    states = policy.normalize(batch.observations)
    actions = policy.bounds.to_unit(batch.actions)
    theirs = Normal(policy.mode(states), policy.log_std.exp()).log_prob(actions).sum(-1)
    torch.testing.assert_close(policy.log_density(states, actions), theirs)
    with torch.no_grad():
        policy.log_std.fill_(-50.0)
    narrow = Normal(policy.mode(states), math.exp(-5.0)).log_prob(actions).sum(-1)
    torch.testing.assert_close(policy.log_density(states, actions), narrow)


def test_the_targets_move_by_the_target_rate(make: Make) -> None:
    policy = make(target_rate=0.25)
    before = [parameter.clone() for parameter in policy.target_critic.parameters()]
    policy.after_update()
    sources = policy.critic.parameters()
    for old, new, source in zip(before, policy.target_critic.parameters(), sources, strict=True):
        torch.testing.assert_close(new, old + 0.25 * (source.detach() - old))


def test_the_actors_learning_rate_alone_falls(make: Make) -> None:
    policy = make()
    settings = policy.optimizer_settings()
    assert [settings.of(group).decay for group in settings.groups] == ["cosine", "constant", "constant"]
    optimised = [id(p) for group in settings.groups for p in group["params"]]
    named = dict(policy.named_parameters())
    assert {n for n, p in named.items() if id(p) not in optimised} == {n for n in named if n.startswith("target_")}
    assert len(optimised) == len(set(optimised))


def test_dropout_is_in_the_actor_alone_and_not_in_its_actions(make: Make, batch: TransitionBatch) -> None:
    policy = make(dropout=0.5)
    assert sum(isinstance(module, torch.nn.Dropout) for module in policy.actor) == 2
    states = policy.normalize(batch.observations)
    assert not torch.equal(policy.mode(states), policy.mode(states))
    assert torch.equal(policy.v(states), policy.v(states))
    history = History(batch.observations[:, None], torch.zeros(6, 1, 2), torch.zeros(6, 1), torch.zeros(6, 1).long())
    policy.eval()
    chosen = policy.act(history)
    torch.testing.assert_close(chosen, policy.bounds.from_unit(policy.mode(states)))


def test_rewards_are_scaled_where_it_is_asked_for(make: Make, five_trajectories: Subset) -> None:
    returns = five_trajectories.trajectories.returns
    plain = make().sampler(five_trajectories)
    scaled = make(scale_rewards=True).sampler(five_trajectories)
    rewards = [sampler.sample(50, np.random.default_rng(0)).rewards for sampler in (plain, scaled)]
    torch.testing.assert_close(rewards[1], rewards[0] * 1000.0 / (returns.max() - returns.min()))
