"""Several seeds of one method, fine-tuned in one pass (`training/together.py`): they walk in one environment.

PPO's networks are stacked, too. REINFORCE's policies are stacked only while they play, which is nearly all that they
do: each learns from its own episodes alone, so that it need not be padded to the others' length. A run's numbers are
those that it has alone: bit by bit where the processor's routine for stacked products sums as the one for single ones
does, and otherwise but for rounding.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from ...baselines.online.ppo import SharedPPO
from ..runs.tracks import Job, Note, Tell
from ..training import together
from ..training.learner import Tally
from .build import build_environment
from .config import FinetuneConfig
from .loop import Counts, Finetuning
from .rounds import PPORounds, ReinforceRounds, Round, collected

AGENTS = ("ppo", "reinforce")  # whose seeds can share a pass
Seed = together.Seed[FinetuneConfig, Finetuning]


def stackable(config: FinetuneConfig) -> bool:
    """Check whether a run's seeds can share a pass; a policy that never learns has no pass to share."""
    return config.agent in AGENTS and config.method != "frozen"


def groups(runs: Iterable[FinetuneConfig]) -> list[Job]:
    """Runs that can be trained together; any other is by itself."""
    return [*together.groups(runs, stackable)]


def train_together(
    configs: Sequence[FinetuneConfig], root: Path, tell: Tell, note: Note, wait: bool = True
) -> dict[str, str]:
    """Train the runs of a group, each from its last checkpoint; returns one line for each that failed."""

    def make(config: FinetuneConfig, folder: Path) -> Seed:
        return Seed(config, Finetuning(config, folder, lambda done, total: tell(config.id, done, total)))

    return together.train_together(configs, root, make, Stack, wait, note)


class Stack(together.Stack):
    """N runs at the same step, whose rounds are taken in one pass."""

    def __init__(self, seeds: Sequence[Seed]) -> None:
        self.seeds = seeds
        self.shared = shared_rounds([seed.training for seed in seeds])

    def advance(self, steps: int, failed: dict[str, str]) -> None:
        """Take some rounds, then do what is due for each run, which is given its share of the seconds."""
        started = time.perf_counter()
        cpu = time.process_time()
        tallies = [Tally({}) for _ in self.seeds]
        counts = [Counts() for _ in self.seeds]
        first = self.seeds[0].training
        for number in range(first.progress.step, first.progress.step + steps):
            done = self.shared.warm_up() if number < first.warm_up else self.shared.learn()
            for tally, count, own in zip(tallies, counts, done, strict=True):
                tally.add(own.info)
                count.add(own)
        self.shared.hand_back()
        seconds = (time.perf_counter() - started) / len(self.seeds)
        cpu_seconds = (time.process_time() - cpu) / len(self.seeds)
        for seed, tally, count in zip(self.seeds, tallies, counts, strict=True):
            with together.failures(seed.config, failed), seed.turn() as training:
                training.log(steps, tally.means(), seconds, cpu_seconds, count)
                training.settle()


class SharedRounds(ABC):
    """The rounds of N runs."""

    @abstractmethod
    def learn(self) -> list[Round]:
        """The round of each run."""

    @abstractmethod
    def warm_up(self) -> list[Round]:
        """The round of each run, in which the actor stays as it is."""

    @abstractmethod
    def hand_back(self) -> None:
        """Bring every run to where it stands, as if it had come there alone."""


class SharedEpisodes(SharedRounds):
    """Whole episodes side by side; each run learns from its own."""

    def __init__(self, lives: Sequence[Finetuning]) -> None:
        self.every = [life.rounds for life in lives if isinstance(life.rounds, ReinforceRounds)]

    def learn(self) -> list[Round]:
        """The round of each run."""
        episodes = collected(self.every)
        return [rounds.learn_from(own) for rounds, own in zip(self.every, episodes, strict=True)]

    def warm_up(self) -> list[Round]:
        """Do nothing: there is no critic."""
        return [rounds.warm_up() for rounds in self.every]

    def hand_back(self) -> None:
        """Do nothing: the runs' own agents have learned."""


class SharedRollouts(SharedRounds):
    """Rollouts side by side, which the agents learn from in one pass."""

    def __init__(self, lives: Sequence[Finetuning]) -> None:
        self.every = [life.rounds for life in lives if isinstance(life.rounds, PPORounds)]
        first = self.every[0]
        self.rounds = PPORounds(
            SharedPPO([rounds.agent for rounds in self.every]),
            build_environment(lives[0].config),
            type(first.retention).together([rounds.retention for rounds in self.every]),
            np.random.default_rng(0),  # draws starts, which the next line overwrites
            first.environments,
            first.steps,
        )
        places = [rounds.tensors() for rounds in self.every]
        self.rounds.load({name: torch.cat([place[name] for place in places]) for name in places[0]})

    def learn(self) -> list[Round]:
        """The round of each run."""
        return self._each(self.rounds.learn())

    def warm_up(self) -> list[Round]:
        """The round of each run, in which the actor stays as it is."""
        return self._each(self.rounds.warm_up())

    def _each(self, done: Round) -> list[Round]:
        infos = [{name: value[number] for name, value in done.info.items()} for number in range(len(self.every))]
        return [Round(info, done.environment_steps, done.gradient_examples) for info in infos]

    def hand_back(self) -> None:
        """Bring the runs' own environments to where the shared one is; their agents have learned."""
        places = {name: tensor.chunk(len(self.every)) for name, tensor in self.rounds.tensors().items()}
        for number, rounds in enumerate(self.every):
            rounds.load({name: parts[number] for name, parts in places.items()})


def shared_rounds(lives: Sequence[Finetuning]) -> SharedRounds:
    """The rounds of runs at the same step."""
    return SharedEpisodes(lives) if isinstance(lives[0].rounds, ReinforceRounds) else SharedRollouts(lives)
