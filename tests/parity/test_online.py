"""SAC and PPO for environments with stages, beside Stable-Baselines3's, with a single head.

Where definitions differ, and how they are made equal here:

- Their density of a squashed action is that of 1 - tanh(x)^2 + 1e-6: the epsilon becomes 0. Ours needs none.
- Their deviations are clamped to exp(-20) and exp(2): ours are given these bounds.
- Theirs draws the actor's noise before the target's, ours after it: each is given the same.
- Theirs lets the actor's loss leave gradients at the critics: those of the critics' own loss are looked at when the
  critics' optimiser takes its step.
- Their optimisers have a learning rate of 0 where losses and gradients are compared: the actor's loss is then that of
  the same critics.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from lamobench.baselines.online.ppo import PPO, PPOConfig, Rollout, generalized_advantages
from lamobench.baselines.online.retention import Retention, RetentionConfig
from lamobench.baselines.online.sac import SAC, SACConfig
from lamobench.baselines.online.transitions import StagedSpec, Transitions
from lamobench.tests.parity import online_counterparts
from lamobench.tests.parity.comparison import assert_equal, assert_equal_gradients, draws, normal

SIZE = 64
PLAIN: dict[str, Any] = {"hidden": (32, 32), "layer_norm": False, "head_a_stage": False}
CONTINUOUS = StagedSpec(observation_dim=11, action_dim=3, stages=1)
DISCRETE = StagedSpec(observation_dim=11, action_dim=4, stages=1, discrete=True)


def make_sac() -> SAC:
    config = SACConfig(**PLAIN, activation="relu", initial_temperature=0.7, log_std_range=(-20.0, 2.0))
    agent = SAC(config, CONTINUOUS, 0)
    with torch.no_grad():  # targets unlike their critics
        for parameter in agent.target_critic.parameters():
            parameter += 0.05 * normal(*parameter.shape, seed=9)
    return agent


def transitions(seed: int = 2) -> Transitions:
    """Made-up steps, a fifth of them the last of their stage."""
    generator = torch.Generator().manual_seed(seed)
    return Transitions(
        observations=torch.randn(SIZE, 11, generator=generator),
        actions=1.9 * torch.rand(SIZE, 3, generator=generator) - 0.95,
        rewards=torch.randn(SIZE, generator=generator),
        next_observations=torch.randn(SIZE, 11, generator=generator),
        dones=(torch.rand(SIZE, generator=generator) < 0.2).float(),
        stages=torch.zeros(SIZE, dtype=torch.int64),
    )


def step_theirs(theirs: Any, batch: Transitions, acted: Tensor, at_next: Tensor) -> dict[str, Any]:
    """Give their `train` one batch and the noise; returns what it logs."""
    theirs.replay_buffer.sample = lambda size, env: online_counterparts.their_batch(batch)
    with draws([acted, at_next]):
        theirs.train(gradient_steps=1, batch_size=SIZE)
    return dict(theirs.logger.name_to_value)


def test_losses_and_gradients_of_soft_actor_critic() -> None:
    agent = make_sac()
    batch = transitions()
    theirs, pairs = online_counterparts.sac(agent, CONTINUOUS, learning_rate=0.0)
    acted = normal(SIZE, 3, seed=3)
    at_next = normal(SIZE, 3, seed=4)
    critics = [pair for pair in pairs if any(pair.ours is parameter for parameter in agent.critic.parameters())]
    left: list[Tensor] = []
    theirs.critic.optimizer.step = lambda: left.extend(pair.theirs.grad.clone() for pair in critics)
    logged = step_theirs(theirs, batch, acted, at_next)
    for pair, gradient in zip(critics, left, strict=True):
        pair.theirs.grad = gradient

    critic_loss, _ = agent.critic_loss(batch, at_next)
    torch.autograd.backward(critic_loss, inputs=list(agent.critic.parameters()))
    actor_loss, _, _, log_probs = agent.actor_loss(batch, acted)
    torch.autograd.backward(actor_loss, inputs=list(agent.actor.parameters()))
    temperature_loss = agent.temperature_loss(batch, log_probs)

    assert_equal("SAC", "critic loss", critic_loss, torch.tensor(logged["train/critic_loss"]))
    assert_equal("SAC", "actor loss", actor_loss, torch.tensor(logged["train/actor_loss"]))
    assert_equal("SAC", "temperature loss", temperature_loss, torch.tensor(logged["train/ent_coef_loss"]))
    assert len(pairs) == 6 + 2 + 12
    assert_equal_gradients("SAC", "actor and critics", pairs)


def test_updates_of_soft_actor_critic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole updates, in their order: after three of them losses are still the same."""
    agent = make_sac()
    nothing = Retention(RetentionConfig())
    theirs, pairs = online_counterparts.sac(agent, CONTINUOUS, learning_rate=agent.config.learning_rate)
    for step in range(3):
        batch = transitions(seed=step)
        acted = normal(SIZE, 3, seed=10 + step)
        at_next = normal(SIZE, 3, seed=20 + step)
        given = iter([at_next, acted])
        monkeypatch.setattr(agent, "noise", lambda batch, given=given: next(given))
        info = agent.update(batch, nothing)
        logged = step_theirs(theirs, batch, acted, at_next)
    for name in ("critic_loss", "actor_loss"):
        assert_equal("SAC", f"{name} after updates", info[name], torch.tensor(logged[f"train/{name}"]), 1e-4)
    for pair in pairs:
        torch.testing.assert_close(pair.view(pair.ours), pair.theirs, atol=1e-4, rtol=1e-3)
    assert_equal("SAC", "temperature after updates", agent.log_temperature.exp(), theirs.log_ent_coef.exp())


def make_rollout(agent: PPO, steps: int = 16, environments: int = 4) -> Rollout:
    """Made-up steps with the agent's own decisions, a fifth of them the last of their episode."""
    generator = torch.Generator().manual_seed(2)
    observations = torch.randn(steps, environments, 11, generator=generator)
    stages = torch.zeros(steps, environments, dtype=torch.int64)
    decisions = [agent.decide(*each) for each in zip(observations, stages, strict=True)]
    return Rollout(
        observations,
        stages,
        torch.stack([decision.actions for decision in decisions]),
        torch.stack([decision.log_probs for decision in decisions]),
        torch.stack([decision.values for decision in decisions]),
        torch.randn(steps, environments, generator=generator),
        (torch.rand(steps, environments, generator=generator) < 0.2).float(),
        torch.randn(environments, generator=generator),
    )


def test_losses_and_gradients_of_proximal_policy_optimisation() -> None:
    changes: dict[str, Any] = {"epochs": 1, "batch_size": SIZE, "entropy_weight": 0.02, "gradient_clip": 1e6}
    agent = PPO(PPOConfig(**PLAIN, **changes), DISCRETE, 0)
    rollout = make_rollout(agent)
    with torch.no_grad():  # a policy that is no longer the one that collected the steps
        for parameter in agent.parameters():
            parameter += 0.1 * normal(*parameter.shape, seed=9)
    theirs, pairs = online_counterparts.ppo(agent, DISCRETE, rollout, learning_rate=0.0)
    advantages = torch.from_numpy(theirs.rollout_buffer.advantages)
    assert_equal("PPO", "advantages", generalized_advantages(rollout, 0.99, 0.95), advantages)
    theirs.train()
    logged = {name: torch.tensor(float(value)) for name, value in theirs.logger.name_to_value.items()}

    loss, info, _ = agent.loss(agent.steps(rollout))
    torch.autograd.backward(loss)
    assert 0.0 < logged["train/clip_fraction"] < 1.0
    assert_equal("PPO", "policy loss", info["policy_loss"], logged["train/policy_gradient_loss"], 1e-4)
    assert_equal("PPO", "value loss", info["value_loss"], logged["train/value_loss"])
    assert_equal("PPO", "entropy", -info["entropy"], logged["train/entropy_loss"])
    assert_equal("PPO", "loss", loss, logged["train/loss"])
    assert len(pairs) == 12
    assert_equal_gradients("PPO", "actor and critic", pairs)
