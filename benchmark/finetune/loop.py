"""Fine-tuning, written once for every agent: a `Life` whose steps are rounds of collecting and learning."""

import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...baselines.online.actors import Actor
from ...baselines.online.nethack_networks import RecurrentActor
from ...baselines.online.ppo import PPO
from ...baselines.online.recurrent_ppo import RecurrentPPO
from ...baselines.online.reinforce import Reinforce
from ...baselines.online.replay import ReplayBuffer
from ...baselines.online.sac import SAC
from ...baselines.online.sequences import SequenceMemory
from ...baselines.online.transitions import Transitions
from ...datasets.environments.nethack_lite import NetHackLite
from ..runs.checkpoint import Progress, restore, write_checkpoint
from ..runs.episodes import HEADER, Episode, episode_lines
from ..runs.stages import HEADER as STAGES_HEADER
from ..runs.stages import StageEpisode, stages_csv
from ..runs.store import write_logs
from ..training.learner import Tally
from ..training.life import Life, Report
from .build import build_agent, build_environment, build_retention, spec_of
from .config import CONTROL, FinetuneConfig
from .evaluation import StageEpisodes, evaluation_seeds, play, play_and_split
from .games import GameEpisodes, facts_of, play_games
from .meters import meters
from .pretrained import pretrained
from .recurrent_rounds import RecurrentRounds
from .replay_rounds import SACRounds
from .rewind import rewound
from .rounds import PPORounds, ReinforceRounds, Round, Rounds

WARM_UP = "warm-up"  # the method in which pi* plays at first
ROUNDS = 1  # tells the stream of a run's rounds from others of its seed


@dataclass
class Counts:
    """Sums over some rounds of what was collected and learned from."""

    environment_steps: int = 0
    gradient_examples: int = 0

    def add(self, done: Round) -> None:
        """Add one more round."""
        self.environment_steps += done.environment_steps
        self.gradient_examples += done.gradient_examples


class Finetuning(Life):
    """A run on its way: agent, environments, what it retains, and where it stands."""

    def __init__(self, config: FinetuneConfig, folder: Path, report: Report) -> None:
        super().__init__(f"run {config.id}", folder, config.steps, config.evaluate_every, report)
        self.config = config
        self.environment = build_environment(config)
        self.examined = build_environment(config)  # in which it is evaluated
        self.pretrained = pretrained(config)
        spec = spec_of(self.environment)
        self.teacher = build_agent(config, spec, config.seed)
        self.pretrained.load_into(self.teacher)
        self.agent = build_agent(config, spec, config.seed)
        if config.method != "scratch":
            self.pretrained.load_into(self.agent)
        self.memory = self.pretrained.memory
        if isinstance(self.agent, RecurrentPPO) and isinstance(self.memory, SequenceMemory):
            self._freeze(self.agent, self.memory)
        memory = self.memory
        far = memory.rows(torch.isin(memory.stages, torch.tensor(config.staged_task.far)))
        self.far = far if len(far) else memory  # few of a game's steps may be so deep
        self.rng = np.random.default_rng([config.seed, ROUNDS])
        self.rounds = self._rounds()
        self.warm_up = int(config.policy.get(f"{CONTROL}.rounds", 0))
        self.progress.episodes = f"{HEADER}\n"
        self.progress.stages = f"{STAGES_HEADER}\n"

    def _freeze(self, agent: RecurrentPPO, memory: SequenceMemory) -> None:
        """Keep pi*'s encoder as it is, if that is asked for; the memory is encoded once then."""
        if agent.config.freeze_encoder and self.config.method != "scratch":
            agent.freeze_encoder()
            with torch.no_grad():
                self.memory = replace(memory, screens=agent.actor.encode(memory.screens))

    def _rounds(self) -> Rounds:
        """The rounds of the run's agent; its retention is prepared here, at pi*."""
        config = self.config
        agent = self.agent
        retention = build_retention(config)
        generator = torch.Generator().manual_seed(config.seed)
        retention.prepare(agent.actor, self.memory, generator)
        shared = (self.environment, retention, self.rng, config.environments)
        if isinstance(agent, Reinforce):
            return ReinforceRounds(agent, *shared)
        if isinstance(agent, SAC):
            assert isinstance(self.memory, Transitions)
            buffer = ReplayBuffer(agent.config.capacity, spec_of(self.environment))
            retention.seed(buffer, self.memory)
            # In a warm-up pi* plays in the place of random steps, and the critics learn from the first batch on.
            first = agent.config.batch_size if config.method == WARM_UP else agent.config.update_after
            return SACRounds(agent, *shared, config.rollout_steps, buffer, self._explored(), first)
        if isinstance(agent, RecurrentPPO):
            return RecurrentRounds(agent, *shared, config.rollout_steps)
        assert isinstance(agent, PPO)
        return PPORounds(agent, *shared, config.rollout_steps)

    def _explored(self) -> torch.Tensor:
        """A mask (K,) of the stages that the agent knows nothing of, and in which nobody plays for it."""
        task = self.config.staged_task
        every = range(len(task.stages))
        known = {"scratch": (), WARM_UP: tuple(every)}.get(self.config.method, task.trained)
        return torch.tensor([stage not in known for stage in every])

    def load(self) -> Progress:
        """Bring agent, environments and random states to the checkpoint's."""
        return restore(self.checkpoint, self.rng, self._bring)

    def _bring(self, tensors: dict[str, torch.Tensor]) -> None:
        self.agent.load(tensors)
        self.rounds.load(tensors)

    def start(self) -> None:
        """Evaluate before the first round."""
        if self.progress.step == 0:
            self.progress.metrics.append({"step": 0, "seconds": 0.0} | self.pretrained.facts)
            self.evaluate()

    def advance(self, steps: int) -> None:
        """Take some rounds, then look at what they measured."""
        started = time.perf_counter()
        cpu = time.process_time()
        tally = Tally({})
        counts = Counts()
        for number in range(self.progress.step, self.progress.step + steps):
            if self.config.method == "frozen":
                break
            done = self._round(number)
            tally.add(done.info)
            counts.add(done)
            if not all(bool(torch.isfinite(value).all()) for value in done.info.values()):
                break  # with such weights no step can be taken; `record` says what went wrong
        self.log(steps, tally.means(), time.perf_counter() - started, time.process_time() - cpu, counts)

    def log(self, steps: int, means: dict[str, float], seconds: float, cpu_seconds: float, counts: Counts) -> None:
        """Record what some rounds measured, and what they took."""
        before = self.progress.metrics[-1]
        self.record(
            steps,
            means,
            seconds,
            environment_steps=int(before.get("environment_steps", 0)) + counts.environment_steps,
            gradient_examples=int(before.get("gradient_examples", 0)) + counts.gradient_examples,
            cpu_seconds=round(before.get("cpu_seconds", 0.0) + cpu_seconds, 3),
        )

    def _round(self, number: int) -> Round:
        return self.rounds.warm_up() if number < self.warm_up else self.rounds.learn()

    def check_weights(self) -> None:
        """Fail where the last update left a weight that is not finite."""
        for name, tensor in self.agent.named_parameters():
            if not torch.isfinite(tensor).all():
                self.fail(f"{name} is no longer finite at step {self.progress.step}")

    def evaluate(self) -> None:
        """Play the whole task and each of its stages; measure what pi has in common with pi*."""
        config = self.config
        step = self.progress.step
        started = time.perf_counter()
        seeds = evaluation_seeds(config.seed, step // config.evaluate_every, config.evaluation_episodes)
        actor = self._examined_actor()
        full, stages = self._played(actor, seeds)
        worth = full.returns if config.staged_task.scored else full.success
        rows = [
            Episode(step, 0.0, number, int(seeds[number]), float(worth[number]), int(full.lengths[number]))
            for number in range(len(seeds))
        ]
        self.progress.episodes += episode_lines(rows)
        for stage, played in enumerate(stages):
            columns = zip(played.seeds, played.success, played.returns, played.lengths, strict=True)
            self.progress.stages += stages_csv(
                [
                    StageEpisode(step, stage, number, int(seed), int(success), float(paid), int(length))
                    for number, (seed, success, paid, length) in enumerate(columns)
                ]
            )
        self.progress.metrics[-1] |= meters(actor, self.teacher.actor, self.far)
        for name, played in zip(self.examined.stages, stages, strict=True):
            if isinstance(played, GameEpisodes):
                self.progress.metrics[-1] |= facts_of(played, name)
        self.progress.evaluation_seconds += time.perf_counter() - started

    def _played(self, actor: Actor, seeds: NDArray[np.int64]) -> tuple[StageEpisodes, list[StageEpisodes]]:
        """Episodes of the whole task, and of each stage; a game that is begun at its start is the whole task.

        The first stage is what the episodes of the whole task begin with.
        """
        numbers = range(len(self.examined.stages))
        if isinstance(actor, RecurrentActor) and isinstance(self.examined, NetHackLite):
            games = [play_games(actor, self.examined, seeds, stage) for stage in numbers]
            return games[0], list(games)
        full, first = play_and_split(actor, self.examined, seeds)
        return full, [first, *(play(actor, self.examined, seeds, stage, only=True) for stage in numbers[1:])]

    def _examined_actor(self) -> Actor:
        """The actor that is evaluated; for the control `rewind`, the actor on its way back to pi*."""
        if self.config.method != "rewind":
            return self.agent.actor
        number = self.progress.step // self.config.evaluate_every
        return rewound(self.agent.actor, self.teacher.actor, self.examined, self.config, number)

    def write(self) -> None:
        """Write the checkpoint, then the logs that it holds."""
        tensors = self.agent.tensors() | self.rounds.tensors()
        write_checkpoint(self.checkpoint, tensors, self.progress, self.rng, {"run": self.config.id})
        write_logs(self.folder, self.progress)

    def advice(self) -> str:
        """Advice about a number that is not finite."""
        return "try a lower learning rate, e.g. --set learning_rate=1e-4, or a smaller --set retention.coefficient"

    def finish(self) -> None:
        """Write `done.json`, which makes the run count."""
        counted = [(parameter.numel(), parameter.requires_grad) for parameter in self.agent.parameters()]
        counts = {
            "params_total": sum(size for size, _ in counted),
            "params_trainable": sum(size for size, trainable in counted if trainable),
        }
        simulator = self.config.staged_task.simulator
        self.write_done(counts, f"{simulator} {version(simulator)}", torch.device("cpu"))
