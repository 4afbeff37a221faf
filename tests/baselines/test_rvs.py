from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from lamobench.baselines.policy import History, Spec
from lamobench.baselines.rvs import RvS, RvSConfig
from lamobench.datasets.errors import UserError
from lamobench.datasets.fractions import Subset
from lamobench.datasets.windows import ContextBatch, GoalBatch

Make = Callable[..., RvS]
SUB_GOALS = ("microwave", "kettle")


@pytest.fixture
def make(make_spec: Callable[..., Spec]) -> Make:
    def build(**changes: Any) -> RvS:
        torch.manual_seed(0)
        return RvS(replace(RvSConfig(hidden=(8, 8)), **changes), make_spec(reward_rates=(0.1, 0.6)))

    return build


@pytest.fixture
def kitchen_policy(make_spec: Callable[..., Spec]) -> RvS:
    torch.manual_seed(0)
    zeros = np.zeros(60, np.float32)
    ones = np.full(60, 2.0, np.float32)
    spec = make_spec(observation_dim=60, observation_mean=zeros, observation_std=ones, sub_goals=SUB_GOALS)
    return RvS(RvSConfig(condition="goal", hidden=(8, 8)), spec)


def test_the_average_reward_is_over_the_rest_of_the_horizon_and_inside_the_range_of_the_data(make: Make) -> None:
    told = make().average_reward(torch.tensor([6.0, 2.0, 9.0, -3.0]), torch.tensor([0, 7, 10, 3]))
    rates = [6.0 / 12, 2.0 / 5, 0.6, 0.1]  # a horizon of 12; 9 / 2 is more than the data have, -3 / 9 less
    assert told[:, 0].tolist() == pytest.approx([rate * 12 / 10 for rate in rates])  # a return scale of 10


def test_the_loss_is_the_negative_log_density_of_the_data(make: Make, five_trajectories: Subset) -> None:
    policy = make()
    batch = policy.sampler(five_trajectories).sample(6, np.random.default_rng(0))
    assert isinstance(batch, ContextBatch)
    told = policy.average_reward(batch.returns_to_go[:, 0], batch.timesteps[:, 0])
    mean = policy.actor(torch.cat([policy.normalize(batch.observations[:, 0]), told], -1))
    actions = policy.bounds.to_unit(batch.actions[:, 0])
    expected = -Normal(mean, torch.ones(2)).log_prob(actions).sum(-1).mean()
    loss, metrics = policy.loss(batch)
    torch.testing.assert_close(loss, expected)
    assert metrics["action_error"].item() == pytest.approx((mean - actions).square().mean().item(), rel=1e-5)
    loss.backward()
    assert all(parameter.grad is not None for parameter in policy.parameters())


def test_it_acts_on_the_return_that_is_left_inside_the_bounds(make: Make) -> None:
    policy = make()
    observations = torch.randn(4, 1, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        policy.actor[0].weight[:, 3] += 5.0  # so that what it is told matters

    def act(target: float, step: int) -> torch.Tensor:
        return policy.act(
            History(observations, torch.zeros(4, 1, 2), torch.full((4, 1), target), torch.full((4, 1), step))
        )

    assert not torch.equal(act(2.0, 0), act(5.0, 0))
    torch.testing.assert_close(act(2.0, 6), act(4.0, 0))  # a third of a reward a step, both times
    with torch.no_grad():
        policy.actor[-1].bias.copy_(torch.tensor([50.0, -50.0]))
    assert act(2.0, 0).tolist() == [[2.0, -1.0]] * 4


def test_goals_are_states_in_training_and_the_next_sub_goal_in_evaluation(kitchen_policy: RvS) -> None:
    policy = kitchen_policy
    torch.manual_seed(1)
    observations = torch.randn(6, 60)
    goals = torch.randn(6, 60)
    actions = torch.randn(6, 2)
    observations[:, 22] = 1.0  # the microwave, nowhere near to where it is wanted
    loss, _ = policy.loss(GoalBatch(observations, actions, goals))
    mean = policy.actor(torch.cat([observations / 2.0, goals[:, :30] / 2.0], -1))
    expected = -Normal(mean, torch.ones(2)).log_prob(policy.bounds.to_unit(actions)).sum(-1).mean()
    torch.testing.assert_close(loss, expected)
    history = History(observations[:, None], torch.zeros(6, 1, 2), torch.zeros(6, 1), torch.zeros(6, 1).long())
    wanted = observations[:, :30].clone()
    wanted[:, 22] = -0.75
    chosen = policy.bounds.from_unit(policy.actor(torch.cat([observations / 2.0, wanted / 2.0], -1)))
    torch.testing.assert_close(policy.act(history), policy.bounds.clip(chosen))


def test_goals_need_a_task_that_has_some(make: Make) -> None:
    with pytest.raises(UserError, match=r"condition=goal needs a task with sub-goals.*give condition=return"):
        make(condition="goal")
