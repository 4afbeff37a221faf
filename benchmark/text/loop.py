"""Learning to play text games: a `Life` whose steps are steps of games, or updates on recorded ones."""

import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ...baselines.text.drrn import DRRN
from ...datasets.games.game import Game
from ...datasets.storage import write_json, write_text
from ..lm.sentences import SentenceEncoder
from ..runs.checkpoint import Progress, restore, write_checkpoint
from ..runs.episodes import HEADER, Episode, episode_lines
from ..runs.layout import PAIRS, TRANSCRIPT
from ..runs.meters import meters_csv
from ..runs.stages import HEADER as STAGES_HEADER
from ..runs.stages import StageEpisode, stages_csv
from ..runs.store import write_logs
from ..training.learner import Tally
from ..training.life import Life, Report
from .build import build_agent, count_parameters, split_games, training_games
from .collecting import PlayedGames
from .config import TextConfig
from .evaluation import EVALUATION, UNTAUGHT, Chooser, Played, Watch, by_policy, play, watched
from .examination import examine
from .meters import Meters, probes_of
from .pairs import pairs_csv
from .recorded import RecordedGames, recorded_episodes
from .shared_states import SharedStates
from .transcript import Transcript

LEARNING = 1  # tells the stream of a run's choices and batches from others of its seed


class Playing(Life):
    """A run of the track, whether or not its agent learns."""

    def __init__(self, config: TextConfig, folder: Path, report: Report) -> None:
        super().__init__(f"run {config.id}", folder, config.steps, config.evaluate_every, report)
        self.config = config
        self.rng = np.random.default_rng([config.seed, LEARNING])
        self.progress.episodes = f"{HEADER}\n"
        self.progress.stages = f"{STAGES_HEADER}\n"

    def chooser(self, watch: Watch | None = None) -> Chooser:
        """The policy as it is now; `watch` is told of what it chooses."""
        agent = UNTAUGHT[self.config.agent]
        return agent.choose if watch is None else watched(agent.choose, agent.policy, watch)

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of a checkpoint, beside its progress."""
        return {"policy.nothing": torch.zeros(1)}

    def bring(self, tensors: dict[str, Tensor]) -> None:
        """Come to where another run of this configuration was when its `tensors` were taken."""

    def load(self) -> Progress:
        """Bring agent, games and random state to the checkpoint's."""
        return restore(self.checkpoint, self.rng, self.bring)

    def start(self) -> None:
        """Evaluate before the first step."""
        if self.progress.step == 0:
            self.evaluate()

    def advance(self, steps: int) -> None:
        """Learn nothing."""
        self.record(steps, {}, 0.0)

    def check_weights(self) -> None:
        """Find nothing: there are none."""

    def evaluate(self) -> None:
        """Play the games that are learned from; in the last evaluations also every split in every view."""
        config = self.config
        step = self.progress.step
        started = time.perf_counter()
        number = step // config.evaluate_every
        chooser = self.chooser()
        games = split_games(config.game_task, "train", config.evaluation_episodes)
        played = self._play(chooser, games, "orig", number)
        rows = [
            Episode(
                step, config.target_returns[0], episode, game, float(played.shares[episode]), int(played.moves[episode])
            )
            for episode, (game, _) in enumerate(games)
        ]
        self.progress.episodes += episode_lines(rows)
        if played.own_score is not None and self.progress.metrics:  # before the first step there is no row yet
            self.progress.metrics[-1]["own_score"] = round(played.own_score, 6)
        if number > config.steps // config.evaluate_every - config.headline_evaluations:
            self._examine(chooser, number)
        self.progress.evaluation_seconds += time.perf_counter() - started

    def _examine(self, chooser: Chooser, number: int) -> None:
        for found in examine(chooser, self.config, number, range(len(self.config.parts))):
            played = found.played
            rows = [
                StageEpisode(
                    self.progress.step,
                    found.part,
                    episode,
                    game,
                    int(played.won[episode]),
                    float(played.shares[episode]),
                    int(played.moves[episode]),
                )
                for episode, game in enumerate(found.games)
            ]
            self.progress.stages += stages_csv(rows)

    def _play(self, chooser: Chooser, games: Sequence[tuple[int, Game]], view: str, *stream: int) -> Played:
        rng = np.random.default_rng([self.config.seed, *stream, EVALUATION])
        return play(chooser, [game for _, game in games], view, rng)

    def write(self) -> None:
        """Write the checkpoint, then the logs that it holds."""
        write_checkpoint(self.checkpoint, self.tensors(), self.progress, self.rng, {"run": self.config.id})
        write_logs(self.folder, self.progress)

    def advice(self) -> str:
        """Advice about a number that is not finite."""
        return "try a lower learning rate, e.g. --set learning_rate=1e-4"

    def counts(self) -> dict[str, int]:
        """The numbers of parameters."""
        return {"params_total": 1, "params_trainable": 0}

    def finish(self) -> None:
        """Write an episode to read, and `done.json`, which makes the run count."""
        write_json(self.folder / TRANSCRIPT, self._transcript())
        self.write_done(self.counts(), f"lamobench {version('lamobench')}", torch.device("cpu"))

    def _transcript(self) -> dict[str, Any]:
        """The first episode of the last evaluation, which is played again."""
        config = self.config
        games = split_games(config.game_task, "train", config.evaluation_episodes)
        kept = Transcript()
        number = config.steps // config.evaluate_every
        return kept.stored(self._play(self.chooser(kept.watch), games, "orig", number))


class Experience(Protocol):
    """The steps that an agent learns from."""

    def step(self, number: int, rng: np.random.Generator) -> list[dict[str, Tensor]]:
        """Take step `number`, counted from 1, and learn as far as it is due; what was measured."""

    def forget(self) -> None:
        """Forget what a run that goes on from here would not know."""

    def tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint holds of it."""

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Come to where another run of this configuration was when its `tensors` were taken."""


class Learning(Playing):
    """A run whose agent learns: the agent, and what it learns from."""

    experience: Experience

    def __init__(self, config: TextConfig, folder: Path, report: Report) -> None:
        super().__init__(config, folder, report)
        self.agent, self.encodings = build_agent(config)
        self.meters: Meters | None = None
        self.shared: SharedStates | None = None
        if isinstance(self.agent, DRRN) and self.agent.tuned and isinstance(self.agent.encoder, SentenceEncoder):
            self.meters = Meters(self.agent.encoder, probes_of(config.game_task))
            self.shared = SharedStates(self.agent.texts, self.meters.probes.nouns)
        if config.dataset:
            self.experience = RecordedGames(self.agent, recorded_episodes(config))
        else:
            games = [training_games(config.game_task) for _ in range(self.agent.config.environments)]
            watch = self.shared.add if self.shared else None
            self.experience = PlayedGames(self.agent, games, config.seed, watch)

    def chooser(self, watch: Watch | None = None) -> Chooser:
        """The agent's policy, with its encoder as it is now."""
        return by_policy(self.agent.policy(), watch)

    def evaluate(self) -> None:
        """Measure what became of the language model too, if it is trained."""
        super().evaluate()
        started = time.perf_counter()
        first = self.progress.step == 0
        if self.meters is not None and (first or self.progress.meters):  # an older tree's run began without
            self.progress.meters += meters_csv(self.progress.step, self.meters.measure(), header=first)
        self.progress.evaluation_seconds += time.perf_counter() - started

    def tensors(self) -> dict[str, Tensor]:
        """Weights, moments, and what of its experience is not there anyway."""
        kept: dict[str, Tensor] = self.agent.tensors()
        return kept | self.experience.tensors()

    def bring(self, tensors: dict[str, Tensor]) -> None:
        """Load the agent, and bring back its experience."""
        self.agent.load(tensors)
        self.experience.load(tensors)

    def advance(self, steps: int) -> None:
        """Take some steps; a checkpoint may have been written before them."""
        started = time.perf_counter()
        cpu = time.process_time()
        self.experience.forget()
        tally = Tally({})
        before = self.progress.metrics[-1] if self.progress.metrics else {}
        for number in range(self.progress.step + 1, self.progress.step + steps + 1):
            for measured in self.experience.step(number, self.rng):
                tally.add(measured)
        seconds = before.get("cpu_seconds", 0.0) + time.process_time() - cpu
        self.record(steps, tally.means(), time.perf_counter() - started, cpu_seconds=round(seconds, 3))

    def check_weights(self) -> None:
        """Fail where the last update left a weight that is not finite."""
        for parameter in self.agent.parameters:
            if not torch.isfinite(parameter).all():
                self.fail(f"a weight is no longer finite at step {self.progress.step}")

    def write(self) -> None:
        """Write the checkpoint and its logs, and keep for other runs what was encoded."""
        super().write()
        if self.encodings is not None:
            self.encodings.save()

    def counts(self) -> dict[str, int]:
        """The numbers of parameters."""
        return count_parameters(self.agent)

    def finish(self) -> None:
        """Write what became of pairs of nouns too."""
        if self.meters and self.shared:
            write_text(self.folder / PAIRS, pairs_csv(self.meters.pairs(self.shared)))
        super().finish()


def make_life(config: TextConfig, folder: Path, report: Report) -> Playing:
    """The life of a run."""
    return (Playing if config.agent in UNTAUGHT else Learning)(config, folder, report)
