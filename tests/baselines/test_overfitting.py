from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from lamobench.baselines.bc import BC, BCConfig
from lamobench.baselines.decision_transformer import DecisionTransformer, DecisionTransformerConfig
from lamobench.baselines.policy import History, Policy, Spec
from lamobench.datasets.fractions import Subset
from lamobench.datasets.windows import ContextSampler


def errors_while_training(policy: Policy, subset: Subset, steps: int) -> list[float]:
    settings = policy.optimizer_settings()
    optimizer = torch.optim.AdamW(settings.groups, eps=settings.epsilon)
    sampler = policy.sampler(subset)
    rng = np.random.default_rng(0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, steps)  # Adam alone jitters at the bottom
    errors = []
    for _ in range(steps):
        loss, metrics = policy.loss(sampler.sample(32, rng))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        errors.append(float(metrics["action_error"]))
    return errors


def test_bc_learns_five_trajectories_by_heart(make_spec: Callable[..., Spec], five_trajectories: Subset) -> None:
    torch.manual_seed(0)
    policy = BC(BCConfig(hidden=(64, 64), learning_rate=1e-2), make_spec())
    errors = errors_while_training(policy, five_trajectories, 900)
    assert errors[0] > 0.1
    assert max(errors[-20:]) < 1e-3


def test_dt_learns_five_trajectories_by_heart(make_spec: Callable[..., Spec], five_trajectories: Subset) -> None:
    torch.manual_seed(0)
    config = DecisionTransformerConfig(context=4, layers=1, heads=2, width=32, dropout=0.0, learning_rate=1e-2)
    errors = errors_while_training(DecisionTransformer(config, make_spec()), five_trajectories, 300)
    assert errors[0] > 0.1
    assert max(errors[-20:]) < 1e-3


def test_bc_learns_three_games_by_heart(atari_spec: Spec, three_games: Subset) -> None:
    torch.manual_seed(0)
    policy = BC(BCConfig(hidden=(256,), learning_rate=1e-3), atari_spec)
    errors = errors_while_training(policy, three_games, 50)
    assert errors[0] > 1.0
    assert max(errors[-5:]) < 0.05


@pytest.mark.parametrize("parts", ["linear", "mlp"])
def test_dt_learns_three_games_by_heart(parts: Any, atari_spec: Spec, three_games: Subset) -> None:
    torch.manual_seed(0)
    config = DecisionTransformerConfig(
        context=3, layers=1, heads=2, width=32, dropout=0.0, learning_rate=2e-3, embedding=parts, head=parts
    )
    policy = DecisionTransformer(config, atari_spec)
    errors = errors_while_training(policy, three_games, 80)
    assert errors[0] > 1.0
    assert max(errors[-5:]) < 0.1
    batch = ContextSampler(three_games, 3, atari_spec.view).windows(np.array([2]), np.array([0]), np.array([6]))
    seen = (batch.observations, batch.actions, batch.returns_to_go, batch.timesteps)
    history = History(seen[0], seen[1].clone().index_fill_(1, torch.tensor(2), 0), *seen[2:])
    assert policy.eval().act(history).tolist() == [three_games.trajectories.actions[4]]
