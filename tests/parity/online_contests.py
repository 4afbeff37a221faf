"""Updates of agents that learn online, and the same of Stable-Baselines3's, for `bench_baselines.py`.

Both sides have the same networks, single heads without LayerNorm, which theirs lack, and are given the same batches.
"""

import itertools
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch

from lamobench.baselines.online.ppo import PPO, PPOConfig, Rollout
from lamobench.baselines.online.replay import ReplayBuffer
from lamobench.baselines.online.retention import Retention, RetentionConfig
from lamobench.baselines.online.sac import SAC, SACConfig
from lamobench.baselines.online.transitions import StagedSpec, Transitions
from lamobench.benchmark.finetune.replay_rounds import SACRounds
from lamobench.benchmark.finetune.rounds import PPORounds
from lamobench.datasets.environments.apple_retrieval import AppleRetrieval
from lamobench.datasets.environments.grid_relay import GridRelay
from lamobench.datasets.environments.stages import StagedEnvironment
from lamobench.tests.datasets.environments.one_by_one import Apple, Relay
from lamobench.tests.parity import online_counterparts

Update = Callable[[], Any]
BATCHES = 8  # taken in turn
NOTHING = Retention(RetentionConfig())
WALKERS = 64
ROUND = 32  # steps of a walker
ROUND_OF_SAC = 50  # steps, and updates
ROBOT = StagedSpec(observation_dim=40, action_dim=4, stages=1)  # Meta-World's
GRID = StagedSpec(observation_dim=38, action_dim=4, stages=1, discrete=True)  # two places in a 9 x 9 grid, and a phase


def sac() -> tuple[Update, Update]:
    """The sizes of the short RoboticSequence: batch 128, three hidden layers of 128."""
    return soft_actor_critics((128, 128, 128), 128)


def paper_sac() -> tuple[Update, Update]:
    """The sizes of RoboticSequence (arXiv 2402.02868, Appendix B.3): batch 128, four hidden layers of 256."""
    return soft_actor_critics((256, 256, 256, 256), 128)


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


def relay_run() -> tuple[Update, Update]:
    """Rounds of fine-tuning in `grid-relay`, at the `cpu` profile's size: 64 walkers, 32 steps, four epochs of 512.

    Theirs has our environment, all walkers in one call, and leaves out what it would log.
    """
    agent = PPO(PPOConfig(learning_rate=1e-3, epochs=4, batch_size=512, entropy_weight=0.01), GRID, 0)
    theirs, _ = online_counterparts.ppo_in(
        online_counterparts.Walkers(GridRelay(), np.arange(WALKERS)), agent, ROUND, agent.config.learning_rate
    )
    rounds = PPORounds(agent, GridRelay(), NOTHING, np.random.default_rng(0), WALKERS, ROUND)
    return rounds.learn, lambda: theirs.learn(ROUND * WALKERS, log_interval=None, reset_num_timesteps=False)


def sac_run() -> tuple[Update, Update]:
    """Rounds of fine-tuning at the short RoboticSequence's size: 50 steps of one arm, 50 updates.

    Both act in an arm that costs next to nothing, so that what is compared is not one simulator with itself.
    """
    config = SACConfig((128, 128, 128), "relu", layer_norm=False, head_a_stage=False, log_std_range=(-20.0, 2.0))
    agent = SAC(config, ROBOT, 0)
    theirs, _ = online_counterparts.sac_in(
        online_counterparts.Walkers(PointArm(), np.arange(1)),
        agent,
        ROBOT.action_dim,
        config.learning_rate,
        buffer_size=config.capacity,
        learning_starts=0,
        train_freq=ROUND_OF_SAC,
        gradient_steps=ROUND_OF_SAC,
    )
    known = torch.zeros(1, dtype=torch.bool)
    buffer = ReplayBuffer(config.capacity, ROBOT)
    rounds = SACRounds(agent, PointArm(), NOTHING, np.random.default_rng(0), 1, ROUND_OF_SAC, buffer, known, 0)
    return rounds.learn, lambda: theirs.learn(ROUND_OF_SAC, log_interval=None, reset_num_timesteps=False)


class PointArm(StagedEnvironment):
    """Points that are pushed to the middle, seen as Meta-World's numbers are, for 40 steps."""

    stages = ("push",)
    horizon = 40
    state_names = ("place",)
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (ROBOT.observation_dim,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (ROBOT.action_dim,), np.float32)

    def allocate(self, environments: int) -> None:
        """Make room for the places (E, 4)."""
        self.place = np.zeros((environments, ROBOT.action_dim), np.float32)

    def enter(self, rows: np.ndarray) -> None:
        """Put points into a corner."""
        self.place[rows] = 1.0

    def move(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Move by a tenth of the action; never done."""
        self.place = np.clip(self.place + 0.1 * actions, -1.0, 1.0).astype(np.float32)
        return -np.abs(self.place).sum(1), np.zeros(self.size, bool)

    def observe(self) -> np.ndarray:
        """Observations (E, 40): the place, ten times."""
        return np.tile(self.place, 10)

    def expert(self) -> np.ndarray:
        """The way to the middle."""
        return -np.sign(self.place)


def apple_steps() -> tuple[Update, Update]:
    """A step of 64 walkers in `apple-retrieval`; theirs are 64 plain environments in gymnasium's vector."""
    example = AppleRetrieval()
    return environment_steps(
        example, lambda seed: Apple(example.distance, float(example.signal), example.horizon, 0, False)
    )


def relay_steps() -> tuple[Update, Update]:
    """A step of 64 walkers in `grid-relay`; theirs are 64 plain environments in gymnasium's vector."""
    example = GridRelay()
    return environment_steps(
        example, lambda seed: Relay(example.goals, float(example.signal), example.horizon, 0, False, seed)
    )


def environment_steps(ours: StagedEnvironment, plain: Callable[[int], Any]) -> tuple[Update, Update]:
    """Steps of an environment and of 64 plain walkers, `plain` by their seeds, once both have seen the same."""
    seeds = np.arange(WALKERS)
    theirs = gymnasium.vector.SyncVectorEnv([lambda seed=int(seed): Walker(ours, plain(seed)) for seed in seeds])
    np.testing.assert_array_equal(ours.reset(seeds), theirs.reset()[0])
    assert isinstance(ours.action_space, gymnasium.spaces.Discrete)
    actions = np.random.default_rng(0).integers(ours.action_space.n, size=(1000, WALKERS))
    np.testing.assert_array_equal(ours.step(actions[0]).observations, theirs.step(actions[0])[0])
    ours_next = itertools.cycle(actions)
    theirs_next = itertools.cycle(actions)
    return lambda: ours.step(next(ours_next)), lambda: theirs.step(next(theirs_next))


class Walker(gymnasium.Env):  # type: ignore[misc]
    """One walker, number by number, with the spaces of an environment of ours."""

    def __init__(self, example: StagedEnvironment, walker: Any) -> None:
        self.observation_space = example.observation_space
        self.action_space = example.action_space
        self.walker = walker

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Look around: a walker begins its next episode by itself."""
        return np.asarray(self.walker.look(), np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Walk one place."""
        _, feedback = self.walker.step(int(action))
        return np.asarray(self.walker.look(), np.float32), feedback.reward, False, False, {}


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
