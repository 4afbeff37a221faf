"""A round of training: collect steps with the agent, and let it learn from them.

Everything that decides the next round is in the agent, in the environment's state and in the run's generator.
Shapes: E environments, T steps, S observation; the dots stand for N seeds in one pass, and for nothing where there is
one.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...baselines.online.actors import stacked_actor
from ...baselines.online.agent import Agent, Info
from ...baselines.online.ppo import PPO, Rollout
from ...baselines.online.reinforce import Episodes, Reinforce
from ...baselines.online.retention import BehavioralCloning, Retention
from ...datasets.environments.stages import StagedEnvironment

MOST_SEEDS = 2**63
ENVIRONMENT = "random.environment."  # begins the names of its state in a checkpoint


@dataclass(frozen=True)
class Round:
    """The outcome of a round."""

    info: Info  # to log, (...)
    environment_steps: int  # of each seed
    # Steps that a gradient was computed of, each time it was, of each seed; those of a memory included.
    gradient_examples: int


@dataclass
class Rounds(ABC):
    """An agent in its environments."""

    agent: Agent
    environment: StagedEnvironment
    retention: Retention
    rng: np.random.Generator  # the run's own, which draws seeds
    environments: int  # side by side, of a seed

    @abstractmethod
    def learn(self) -> Round:
        """Collect, and learn."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """The environments' state; none where every round begins anew."""

    @abstractmethod
    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore the environments' state."""

    def warm_up(self) -> Round:
        """Collect, and train what stands beside the actor; the actor stays as it is."""
        raise NotImplementedError(f"a {type(self.agent).__name__} has nothing beside its actor")


@dataclass
class ReinforceRounds(Rounds):
    """Whole episodes, as many as there are environments, and one step of gradient descent."""

    agent: Reinforce
    stage: int = 0  # in which episodes begin

    def learn(self) -> Round:
        """Play the episodes and learn from them."""
        (episodes,) = collected([self])
        return self.learn_from(episodes)

    def learn_from(self, episodes: Episodes) -> Round:
        """Take one step."""
        info = self.agent.update(episodes, self.retention)
        steps = int(episodes.mask.sum())
        return Round(info, steps, steps + remembered_examples(self.retention, 1))

    def tensors(self) -> dict[str, Tensor]:
        """Return nothing, since every round begins anew."""
        return {}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore nothing, since every round begins anew."""


@torch.no_grad()
def collected(every: Sequence[ReinforceRounds]) -> list[Episodes]:
    """Episodes (E, T) of each of N seeds, played side by side in the first one's environment.

    A seed's episodes are padded behind their ends up to its longest, and nothing is drawn for it after that.
    """
    first = every[0]
    shape = (len(every), first.environments)
    starts = np.concatenate([one.rng.integers(MOST_SEEDS, size=first.environments) for one in every])
    observations = first.environment.reset(starts, first.stage)
    actor = stacked_actor([one.agent.actor for one in every])
    noise: list[Tensor] = [torch.empty(())] * len(every)
    over = np.zeros(shape, bool)
    lengths = np.zeros(len(every), np.int64)
    columns = []
    while not over.all():
        seen = observations.reshape(*shape, -1)
        stages = first.environment.stage.reshape(shape).copy()
        policy = actor.distribution(torch.from_numpy(seen), torch.from_numpy(stages))
        for number in np.flatnonzero(~over.all(1)).tolist():
            noise[number] = policy.of_seed(number).noise(every[number].agent.generators[0])
        actions = policy.sample(torch.stack(noise)).numpy()
        step = first.environment.step(actions.reshape(-1, *actions.shape[2:]))
        mask = (~over).astype(np.float32)
        columns.append((seen, stages, actions, step.rewards.reshape(shape) * mask, mask))
        lengths += ~over.all(1)
        over |= step.episode_ended.reshape(shape)
        observations = step.observations
    whole = [np.stack(column, 2) for column in zip(*columns, strict=True)]  # (N, E, T, ...)
    return [
        Episodes(*(torch.from_numpy(np.ascontiguousarray(column[number, :, :length])) for column in whole))
        for number, length in enumerate(lengths)
    ]


@dataclass
class PPORounds(Rounds):
    """Rollouts of one length, and PPO's passes over each; episodes go on from one rollout to the next."""

    agent: PPO
    steps: int  # of each environment in a rollout
    stage: int = 0  # in which episodes begin

    def __post_init__(self) -> None:
        seeds = self.rng.integers(MOST_SEEDS, size=self.environments)
        self.observations = self.environment.reset(seeds, self.stage)

    def learn(self) -> Round:
        """Collect a rollout and learn from it."""
        rollout = self.collect()
        info = self.agent.update(rollout, self.retention)
        return self._round(info, remembered_examples(self.retention, self._updates(rollout)))

    def warm_up(self) -> Round:
        """Collect a rollout; only the critic learns from it."""
        return self._round(self.agent.update_critic(self.collect()), 0)

    def collect(self) -> Rollout:
        """Steps (..., T, E). Value is bootstrapped from stage to stage, and ends with the episode."""
        columns: list[dict[str, Tensor]] = []
        for _ in range(self.steps):
            observations, stages = self._seen_now()
            decision = self.agent.decide(observations, stages)
            step = self.environment.step(self.agent.joined(decision.actions).numpy())
            rewards = self.agent.split(torch.from_numpy(step.rewards))
            dones = self.agent.split(torch.from_numpy(step.episode_ended.astype(np.float32)))
            seen = {"observations": observations, "stages": stages, "rewards": rewards, "dones": dones}
            columns.append(seen | vars(decision))
            self.observations = step.observations
        with torch.no_grad():
            last = self.agent.value(*self._seen_now())
        first = int(self.agent.seeds > 1)  # steps follow seeds
        stacked = {name: torch.stack([column[name] for column in columns], first) for name in columns[0]}
        return Rollout(**stacked, last_values=last)

    def _seen_now(self) -> tuple[Tensor, Tensor]:
        """Observations (..., E, S) and stages (..., E)."""
        stages = torch.from_numpy(self.environment.stage.copy())
        return self.agent.split(torch.from_numpy(self.observations)), self.agent.split(stages)

    def tensors(self) -> dict[str, Tensor]:
        """The environments' state."""
        return environment_tensors(self.environment)

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore the environments' state."""
        self.observations = load_environment(self.environment, tensors)

    def _updates(self, rollout: Rollout) -> int:
        minibatches = -(-self.steps * self.environments // self.agent.config.batch_size)
        return self.agent.config.epochs * minibatches

    def _round(self, info: Info, remembered: int) -> Round:
        steps = self.steps * self.environments
        return Round(info, steps, self.agent.config.epochs * steps + remembered)


def environment_tensors(environment: StagedEnvironment) -> dict[str, Tensor]:
    """The environments' state; uint64 arrays are kept as int64 of the same bits."""
    state = environment.state_dict()
    return {f"{ENVIRONMENT}{name}": torch.from_numpy(_signed(values)) for name, values in state.items()}


def load_environment(environment: StagedEnvironment, tensors: dict[str, Tensor]) -> np.ndarray:
    """Bring the environments to the state in a checkpoint's tensors; returns observations (E, S)."""
    start = len(ENVIRONMENT)
    state = {name[start:]: tensor.numpy() for name, tensor in tensors.items() if name.startswith(ENVIRONMENT)}
    state["streams"] = state["streams"].view(np.uint64)
    return environment.load_state_dict(state)


def remembered_examples(retention: Retention, updates: int) -> int:
    """The number of states of a seed's memory that so many updates compute a gradient of."""
    if not isinstance(retention, BehavioralCloning):
        return 0
    (memory, *_) = retention.memories
    return updates * min(retention.config.batch_size, len(memory)) * memory.length


def _signed(values: np.ndarray) -> np.ndarray:
    return values.view(np.int64) if values.dtype == np.uint64 else values
