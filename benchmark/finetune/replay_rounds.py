"""Rounds of an agent with a replay buffer.

Shapes: E environments, S observation, K stages.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...baselines.online.agent import Info
from ...baselines.online.replay import ReplayBuffer
from ...baselines.online.sac import SAC
from ...baselines.online.transitions import Transitions
from .rounds import MOST_SEEDS, Round, Rounds, environment_tensors, load_environment, remembered_examples

BUFFER = "random.replay."  # begins the names of its rows in a checkpoint
COLLECTED = "random.collected"  # environment steps so far


@dataclass
class SACRounds(Rounds):
    """Steps in the environments, then SAC's updates on what the buffer holds; `rng` draws minibatches too."""

    agent: SAC
    steps: int  # of each environment in a round
    buffer: ReplayBuffer
    explored: Tensor  # (K,) bool, the stages in which the first actions are random
    update_after: int  # environment steps before the first update

    def __post_init__(self) -> None:
        self.collected = 0
        self.observations = self.environment.reset(self.rng.integers(MOST_SEEDS, size=self.environments))

    def learn(self) -> Round:
        """Collect, then take as many updates as `updates_per_step` says, once there is enough to learn from."""
        self.collect(random_until=self.agent.config.start_steps)
        updates = self._updates()
        infos = [self.agent.update(self._sample(), self.retention) for _ in range(updates)]
        return self._round(infos, remembered_examples(self.retention, updates))

    def warm_up(self) -> Round:
        """Collect by pi* alone; only the critics learn."""
        self.collect(random_until=0)
        return self._round([self.agent.update_critics(self._sample()) for _ in range(self._updates())], 0)

    def collect(self, random_until: int) -> None:
        """Add steps to the buffer. A stage's success and its time-out are done: no value is bootstrapped there."""
        for _ in range(self.steps):
            observations = torch.from_numpy(self.observations)
            stages = torch.from_numpy(self.environment.stage.copy())
            actions = self._act(observations, stages, self.collected < random_until)
            step = self.environment.step(actions.numpy())
            self.buffer.add(
                Transitions(
                    observations=observations,
                    actions=actions,
                    rewards=torch.from_numpy(step.rewards),
                    next_observations=torch.from_numpy(step.next_observations),
                    dones=torch.from_numpy(step.stage_ended.astype(np.float32)),
                    stages=stages,
                )
            )
            self.observations = step.observations
            self.collected += self.environment.size

    def tensors(self) -> dict[str, Tensor]:
        """The environments' state, and the buffer's rows."""
        rows = {f"{BUFFER}{name}": tensor for name, tensor in self.buffer.tensors().items()}
        return environment_tensors(self.environment) | rows | {COLLECTED: torch.tensor(self.collected)}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Come to where environments and buffer stood."""
        start = len(BUFFER)
        self.buffer.load({name[start:]: tensor for name, tensor in tensors.items() if name.startswith(BUFFER)})
        self.collected = int(tensors[COLLECTED])
        self.observations = load_environment(self.environment, tensors)

    def _act(self, observations: Tensor, stages: Tensor, at_random: bool) -> Tensor:
        """Actions (E, A): drawn from the policy, or uniformly while nothing is known."""
        generator = self.agent.generators[0]
        actions = self.agent.act(observations, stages, generator)
        if not at_random:
            return actions
        uniform = 2.0 * torch.rand(actions.shape, generator=generator) - 1.0
        return torch.where(self.explored[stages][:, None], uniform, actions)

    def _updates(self) -> int:
        if self.collected < self.update_after:
            return 0
        return max(1, round(self.steps * self.environment.size * self.agent.config.updates_per_step))

    def _sample(self) -> Transitions:
        return self.buffer.sample(self.rng, self.agent.config.batch_size)

    def _round(self, infos: list[Info], remembered: int) -> Round:
        info = {name: torch.stack([each[name] for each in infos]).mean() for name in infos[0]} if infos else {}
        examples = len(infos) * self.agent.config.batch_size + remembered
        return Round(info, self.steps * self.environment.size, examples)
