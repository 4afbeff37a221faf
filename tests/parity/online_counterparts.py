"""Agents of Stable-Baselines3 with the networks and weights of ours: single heads, no LayerNorm, which theirs lack.

Each function returns their algorithm, which has an environment that is never stepped, and the pairs of parameters by
which the weights were copied. Optimisers are theirs, with the settings of ours unless another rate is given.
"""

from typing import Any

import gymnasium
import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBufferSamples, RolloutBuffer
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from lamobench.baselines.online.networks import StackedNetwork
from lamobench.baselines.online.ppo import PPO, Rollout
from lamobench.baselines.online.sac import SAC
from lamobench.baselines.online.transitions import StagedSpec, Transitions
from lamobench.datasets.environments.stages import StagedEnvironment
from lamobench.tests.parity.counterparts import Pair, _layers, copied

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


class Spaces(gymnasium.Env):  # type: ignore[misc]
    """An environment that has spaces and nothing else."""

    def __init__(self, spec: StagedSpec) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (spec.observation_dim,), np.float32)
        if spec.discrete:
            self.action_space: spaces.Space[Any] = spaces.Discrete(spec.action_dim)
        else:
            self.action_space = spaces.Box(-1.0, 1.0, (spec.action_dim,), np.float32)


class Walkers(VecEnv):  # type: ignore[misc]
    """Our environments as theirs: the same arrays, and nothing is bootstrapped where time runs out, as ours."""

    def __init__(self, environment: StagedEnvironment, seeds: np.ndarray) -> None:
        self.environment = environment
        self.seeds = seeds
        super().__init__(len(seeds), environment.observation_space, environment.action_space)

    def reset(self) -> np.ndarray:
        """Observations (E, S)."""
        return self.environment.reset(self.seeds)

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions (E,) for `step_wait`."""
        self.actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Observations (E, S), rewards (E,), what ended (E,), and nothing else of each."""
        step = self.environment.step(self.actions)
        return step.observations, step.rewards, step.episode_ended, [{} for _ in range(self.num_envs)]

    def close(self) -> None:
        """Do nothing."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The attribute of every environment: there is one object for all."""
        return [getattr(self.environment, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: their PPO sets none."""
        raise NotImplementedError

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Refuse: their PPO calls none."""
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """None is."""
        return [False] * self.num_envs


def sac(agent: SAC, spec: StagedSpec, learning_rate: float) -> tuple[Any, list[Pair]]:
    """Pair ours with their SAC, which has no room for steps of its own."""
    return sac_in(Spaces(spec), agent, spec.action_dim, learning_rate, buffer_size=1)


def sac_in(
    environment: Any, agent: SAC, action_dim: int, learning_rate: float, **options: Any
) -> tuple[Any, list[Pair]]:
    """Pair ours with their SAC in an environment; their density of a squashed action has an epsilon, which becomes 0.

    `options` are those of theirs.
    """
    c = agent.config
    theirs = stable_baselines3.SAC(
        "MlpPolicy",
        environment,
        learning_rate=learning_rate,
        batch_size=c.batch_size,
        tau=c.target_rate,
        gamma=c.discount,
        ent_coef=f"auto_{float(agent.log_temperature.detach().exp()):.17g}",
        policy_kwargs={"net_arch": list(c.hidden), "activation_fn": ACTIVATIONS[c.activation]},
        device="cpu",
        **options,
    )
    theirs.set_logger(Logger(None, []))
    theirs.actor.action_dist.epsilon = 0.0
    with torch.no_grad():
        theirs.log_ent_coef.copy_(agent.log_temperature)
    actor = agent.actor.network
    hidden = _layers(theirs.actor.latent_pi)
    pairs = _stacked(hidden, actor, 0)
    pairs += _columns(theirs.actor.mu, actor, 0) + _columns(theirs.actor.log_std, actor, action_dim)
    for member, (critic, target) in enumerate(
        zip(theirs.critic.q_networks, theirs.critic_target.q_networks, strict=True)
    ):
        pairs += _stacked(_layers(critic), agent.critic, member)
        copied(_stacked(_layers(target), agent.target_critic, member))
    return theirs, copied(pairs)


def their_batch(batch: Transitions) -> ReplayBufferSamples:
    """The same batch as their SAC gets it from its replay buffer."""
    return ReplayBufferSamples(
        batch.observations, batch.actions, batch.next_observations, batch.dones[:, None], batch.rewards[:, None]
    )


def ppo(agent: PPO, spec: StagedSpec, rollout: Rollout, learning_rate: float) -> tuple[Any, list[Pair]]:
    """Pair ours with their PPO, which holds the same rollout."""
    steps, environments = rollout.rewards.shape
    theirs, pairs = ppo_in(Spaces(spec), agent, steps, learning_rate)
    theirs.rollout_buffer = filled(theirs, rollout, environments)
    return theirs, pairs


def ppo_in(environment: Any, agent: PPO, steps: int, learning_rate: float) -> tuple[Any, list[Pair]]:
    """Pair ours with their PPO in an environment of theirs, for rollouts of so many steps."""
    c = agent.config
    arch = list(c.hidden)
    theirs = stable_baselines3.PPO(
        "MlpPolicy",
        environment,
        learning_rate=learning_rate,
        n_steps=steps,
        batch_size=c.batch_size,
        n_epochs=c.epochs,
        gamma=c.discount,
        gae_lambda=c.gae_lambda,
        clip_range=c.clip,
        normalize_advantage=c.normalize_advantages,
        ent_coef=c.entropy_weight,
        vf_coef=c.value_weight,
        max_grad_norm=c.gradient_clip,
        policy_kwargs={"net_arch": {"pi": arch, "vf": arch}, "activation_fn": ACTIVATIONS[c.activation]},
        device="cpu",
    )
    theirs.set_logger(Logger(None, []))
    policy = theirs.policy
    pairs = _stacked([*_layers(policy.mlp_extractor.policy_net), policy.action_net], agent.actor.network, 0)
    pairs += _stacked([*_layers(policy.mlp_extractor.value_net), policy.value_net], agent.critic, 0)
    return theirs, copied(pairs)


def filled(theirs: Any, rollout: Rollout, environments: int) -> RolloutBuffer:
    """Fill a buffer of theirs with our rollout, and let them find its advantages."""
    buffer = RolloutBuffer(
        len(rollout.rewards),
        theirs.observation_space,
        theirs.action_space,
        "cpu",
        theirs.gae_lambda,
        theirs.gamma,
        environments,
    )
    began = np.ones(environments)
    for step in range(len(rollout.rewards)):
        buffer.add(
            rollout.observations[step].numpy(),
            rollout.actions[step].numpy(),
            rollout.rewards[step].numpy(),
            began,
            rollout.values[step],
            rollout.log_probs[step],
        )
        began = rollout.dones[step].numpy()
    buffer.compute_returns_and_advantage(rollout.last_values, began)
    return buffer


def _stacked(theirs: list[Any], ours: StackedNetwork, member: int) -> list[Pair]:
    """Pair their layers with the first ones of a member of ours."""
    pairs = []
    for layer, weight, bias in zip(theirs, ours.weights, ours.biases, strict=False):
        pairs.append(Pair(layer.weight, weight, lambda t: t[member].T))
        pairs.append(Pair(layer.bias, bias, lambda t: t[member, 0]))
    return pairs


def _columns(theirs: nn.Linear, ours: StackedNetwork, first: int) -> list[Pair]:
    """Pair their layer with columns of our last one."""
    columns = slice(first, first + theirs.out_features)
    weight = ours.weights[-1]
    bias = ours.biases[-1]
    return [
        Pair(theirs.weight, weight, lambda t: t[0][:, columns].T),
        Pair(theirs.bias, bias, lambda t: t[0, 0, columns]),
    ]
