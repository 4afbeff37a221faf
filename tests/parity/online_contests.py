"""Updates of agents that learn online, and the same of Stable-Baselines3's, for `bench_baselines.py`.

Both sides have the same networks, single heads without LayerNorm, which theirs lack, and are given the same batches.
"""

import itertools
from collections.abc import Callable
from typing import Any

import torch

from lamobench.baselines.online.ppo import PPO, PPOConfig, Rollout
from lamobench.baselines.online.retention import Retention, RetentionConfig
from lamobench.baselines.online.sac import SAC, SACConfig
from lamobench.baselines.online.transitions import StagedSpec, Transitions
from lamobench.tests.parity import online_counterparts

Update = Callable[[], Any]
BATCHES = 8  # taken in turn
NOTHING = Retention(RetentionConfig())
ROBOT = StagedSpec(observation_dim=40, action_dim=4, stages=1)  # Meta-World's
GRID = StagedSpec(observation_dim=38, action_dim=4, stages=1, discrete=True)  # two places in a 9 x 9 grid, and a phase


def sac() -> tuple[Update, Update]:
    """The sizes of the short RoboticSequence: batch 128, three hidden layers of 128."""
    return soft_actor_critics((128, 128, 128), 128)


def wide_sac() -> tuple[Update, Update]:
    """The defaults of Stable-Baselines3: batch 256, two hidden layers of 256."""
    return soft_actor_critics((256, 256), 256)


def soft_actor_critics(hidden: tuple[int, ...], size: int) -> tuple[Update, Update]:
    """Pair updates of critics, actor and temperature."""
    config = SACConfig(hidden, "relu", layer_norm=False, head_a_stage=False, log_std_range=(-20.0, 2.0))
    agent = SAC(config, ROBOT, 0)
    theirs, _ = online_counterparts.sac(agent, ROBOT, config.learning_rate)
    batches = [transitions(size, seed) for seed in range(BATCHES)]
    ours_next = itertools.cycle(batches)
    theirs_next = itertools.cycle([online_counterparts.their_batch(batch) for batch in batches])
    theirs.replay_buffer.sample = lambda size, env: next(theirs_next)
    return (
        lambda: agent.update(next(ours_next), NOTHING),
        lambda: theirs.train(gradient_steps=1, batch_size=size),
    )


def ppo() -> tuple[Update, Update]:
    """The defaults of Stable-Baselines3 but for one epoch: 2,048 steps in batches of 64, two hidden layers of 64."""
    agent = PPO(PPOConfig(epochs=1), GRID, 0)
    rollout = made_up_rollout(agent, 256, 8)
    theirs, _ = online_counterparts.ppo(agent, GRID, rollout, agent.config.learning_rate)
    return lambda: agent.update(rollout, NOTHING), theirs.train


def transitions(size: int, seed: int) -> Transitions:
    """Made-up steps."""
    generator = torch.Generator().manual_seed(seed)
    return Transitions(
        observations=torch.randn(size, ROBOT.observation_dim, generator=generator),
        actions=1.9 * torch.rand(size, ROBOT.action_dim, generator=generator) - 0.95,
        rewards=torch.randn(size, generator=generator),
        next_observations=torch.randn(size, ROBOT.observation_dim, generator=generator),
        dones=(torch.rand(size, generator=generator) < 0.05).float(),
        stages=torch.zeros(size, dtype=torch.int64),
    )


def made_up_rollout(agent: PPO, steps: int, environments: int) -> Rollout:
    """Made-up steps with the agent's own decisions."""
    generator = torch.Generator().manual_seed(0)
    observations = torch.randn(steps, environments, GRID.observation_dim, generator=generator)
    stages = torch.zeros(steps, environments, dtype=torch.int64)
    decisions = [agent.decide(*each) for each in zip(observations, stages, strict=True)]
    return Rollout(
        observations,
        stages,
        torch.stack([decision.actions for decision in decisions]),
        torch.stack([decision.log_probs for decision in decisions]),
        torch.stack([decision.values for decision in decisions]),
        torch.randn(steps, environments, generator=generator),
        (torch.rand(steps, environments, generator=generator) < 0.05).float(),
        torch.zeros(environments),
    )
