from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from lamobench.baselines.delayed_actor_critic import smoothed
from lamobench.baselines.policy import History, Spec
from lamobench.baselines.td3_bc import TD3BC, TD3BCConfig
from lamobench.datasets.trajectories import Array
from lamobench.datasets.windows import TransitionBatch
from lamobench.tests.baselines.by_hand import action, lower_value, normalised, unit, value

Make = Callable[..., TD3BC]


@pytest.fixture
def make(make_spec: Callable[..., Spec]) -> Make:
    def build(**changes: Any) -> TD3BC:
        torch.manual_seed(0)
        policy = TD3BC(replace(TD3BCConfig(hidden=(8, 8)), **changes), make_spec())
        with torch.no_grad():  # unlike their sources, so that mixing them up shows
            for parameter in (*policy.target_actor.parameters(), *policy.target_critic.parameters()):
                parameter += 0.1
        return policy

    return build


def expected_target(policy: TD3BC, batch: TransitionBatch, noise: Array) -> Array:
    states = normalised(batch.next_observations)
    actions = np.clip(action(policy.target_actor, states) + noise, -1.0, 1.0)
    lower = lower_value(policy.target_critic, states, actions)
    goes_on = np.array([0.0, 1, 1, 0, 1, 1])
    return np.arange(6.0) + policy.config.discount * goes_on * lower


def test_the_target_by_hand_with_clipped_noise_terminals_and_timeouts(make: Make, batch: TransitionBatch) -> None:
    policy = make(discount=0.9)
    drawn = torch.randn(6, 2, generator=torch.Generator().manual_seed(3)) * 4.0  # 0.2 times it is often beyond 0.5
    noise = np.clip(0.2 * drawn.numpy(), -0.5, 0.5)
    assert (np.abs(noise) == 0.5).any()
    assert (np.abs(noise) < 0.5).any()
    expected = expected_target(policy, batch, noise)
    np.testing.assert_allclose(policy.bellman_target(batch, drawn).numpy(), expected, rtol=1e-5)


def test_noise_is_clipped_and_actions_stay_inside_the_bounds() -> None:
    noise = 0.2 * torch.randn(10_000, 1, generator=torch.Generator().manual_seed(0))
    actions = smoothed(torch.full((10_000, 1), 0.3), noise, 0.5)
    assert -0.2 <= actions.min() < -0.19  # 0.3 less the limit
    assert 0.79 < actions.max() <= 0.8
    assert abs(float(actions.std()) - 0.2) < 0.01
    assert smoothed(torch.full((10_000, 1), 0.99), noise, 0.5).max() == 1.0


def test_the_losses_by_hand(make: Make, batch: TransitionBatch) -> None:
    policy = make(target_noise=0.0, value_weight=2.0)
    states = normalised(batch.observations)
    actions = unit(batch.actions)
    target = expected_target(policy, batch, np.zeros((6, 2)))
    critic_loss = sum(np.mean((value(policy.critic, m, states, actions) - target) ** 2) for m in (0, 1))
    chosen = action(policy.actor, states)
    first = value(policy.critic, 0, states, chosen)
    error = np.mean((chosen - actions) ** 2)
    actor_loss = error - 2.0 / np.mean(np.abs(first)) * np.mean(first)
    policy.updates.add()
    total, metrics = policy.loss(batch)
    assert metrics["critic_loss"].item() == pytest.approx(critic_loss, rel=1e-5)
    assert metrics["actor_loss"].item() == pytest.approx(actor_loss, rel=1e-4)
    assert metrics["action_error"].item() == pytest.approx(error, rel=1e-5)
    assert total.item() == pytest.approx(critic_loss + actor_loss, rel=1e-4)


def moved(policy: TD3BC) -> set[str]:
    """The parts of the policy that have a gradient."""
    return {name.split(".")[0] for name, p in policy.named_parameters() if p.grad is not None and p.grad.any()}


def test_each_loss_reaches_its_own_parameters_alone(make: Make, batch: TransitionBatch) -> None:
    policy = make()
    states = policy.normalize(batch.observations)
    actions = policy.bounds.to_unit(batch.actions)
    policy.actor_losses(states, actions)["actor_loss"].backward()
    assert moved(policy) == {"actor"}
    policy.zero_grad(set_to_none=True)
    policy.critic_loss(batch, states, actions, *policy.draw(batch)).backward()
    assert moved(policy) == {"critic"}


def test_the_actor_and_all_targets_move_at_every_second_update_only(make: Make, batch: TransitionBatch) -> None:
    policy = make(target_rate=0.25)
    optimizer = torch.optim.AdamW(policy.optimizer_settings().groups, fused=True)
    actor = policy.actor[0].weight
    target = policy.target_critic.weights[0]
    changes = []
    for _ in range(4):
        before = actor.detach().clone()
        old_target = target.clone()
        optimizer.zero_grad(set_to_none=True)
        for _ in range(2):  # a batch in two parts is one update
            (policy.loss(batch)[0] / 2).backward()
        optimizer.step()
        policy.after_update()
        changes.append((not torch.equal(actor, before), not torch.equal(target, old_target)))
        if changes[-1][1]:
            torch.testing.assert_close(target, old_target + 0.25 * (policy.critic.weights[0] - old_target))
    assert changes == [(False, False), (True, True)] * 2
    assert int(optimizer.state[actor]["step"]) == 2  # its moments were left alone in between
    assert int(optimizer.state[policy.critic.weights[0]]["step"]) == 4


def test_the_turn_of_the_actor_survives_a_checkpoint(make: Make) -> None:
    policy = make()
    other = make()
    for _ in range(3):
        policy.after_update()
    assert not other.actor_is_due
    other.load_state_dict(policy.state_dict())
    assert other.actor_is_due
    assert other.updates.done == 3


def test_every_trained_parameter_is_optimised_once(make: Make) -> None:
    policy = make(actor_learning_rate=0.1, critic_learning_rate=0.2)
    rates = {id(p): group["lr"] for group in policy.optimizer_settings().groups for p in group["params"]}
    named = dict(policy.named_parameters())
    assert {name for name, p in named.items() if id(p) not in rates} == {n for n in named if n.startswith("target_")}
    assert rates[id(policy.actor[0].weight)] == 0.1
    assert rates[id(policy.critic.weights[0])] == 0.2


def test_it_acts_as_the_actor_says_inside_the_bounds(make: Make, batch: TransitionBatch) -> None:
    policy = make()
    history = History(batch.observations[:, None], torch.zeros(6, 1, 2), torch.zeros(6, 1), torch.zeros(6, 1).long())
    chosen = action(policy.actor, normalised(batch.observations))
    np.testing.assert_allclose(policy.act(history).detach().numpy(), 2.0 * chosen + [0.0, 1.0], rtol=1e-5, atol=1e-6)
