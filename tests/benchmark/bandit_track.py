"""A track and a method in one file, as a package of somebody else's would have them: a bandit with two arms.

The tests put it where Python finds it, with entry points beside it; nothing of lamobench names it. A policy has the
mean reward of each arm, and pulls the better one but for one pull in ten. A run takes milliseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from lamobench.benchmark.runs.checkpoint import Progress, read_checkpoint, write_checkpoint
from lamobench.benchmark.runs.config import RunConfig
from lamobench.benchmark.runs.episodes import COLUMNS, Episode, episode_lines
from lamobench.benchmark.runs.method import Method
from lamobench.benchmark.runs.methods import look_up
from lamobench.benchmark.runs.store import write_logs
from lamobench.benchmark.runs.tracks import Job, Note, Played, Tell, Track, Wanted
from lamobench.benchmark.training.devices import choose_device
from lamobench.benchmark.training.life import Life, Report
from lamobench.benchmark.training.plain_track import groups, train_each
from lamobench.datasets.errors import UserError, choose

__all__ = ["groups"]  # a part of the track that it has as it is

CHANCES = (0.2, 0.8)  # of a reward of 1


@dataclass(frozen=True, kw_only=True)
class BanditConfig(RunConfig):
    """A run of this track: nothing but what every run has."""

    track: ClassVar[str] = "bandit"


@dataclass(frozen=True)
class GreedyConfig:
    """Settings of the method."""

    exploration: float = 0.1  # share of the pulls that choose an arm at random


@dataclass(frozen=True)
class Bandit:
    """The one task."""

    name: str = "two-armed"
    horizon: int = 1
    reference_scores: tuple[float, float] = CHANCES
    score_source: str = "the chances of the arms"

    def normalise(self, episode_return: Any) -> Any:
        """0 where the worse arm is pulled, 100 where the better one is, on the average."""
        low, high = self.reference_scores
        return 100.0 * (np.asarray(episode_return) - low) / (high - low)


def find_task(name: str) -> Bandit:
    """The task of that name."""
    choose("bandit", name, ["two-armed"])
    return Bandit()


class Pulling(Life):
    """A run on its way."""

    def __init__(self, config: BanditConfig, folder: Path, report: Report) -> None:
        super().__init__(f"run {config.id}", folder, config.steps, config.evaluate_every, report)
        self.config = config
        self.rng = np.random.default_rng(config.seed)
        self.means = np.zeros(2)
        self.pulls = np.zeros(2)
        self.progress.episodes = ",".join(COLUMNS) + "\n"

    def load(self) -> Progress:
        tensors, progress = read_checkpoint(self.checkpoint, self.rng)
        self.means, self.pulls = (tensors[f"policy.{name}"].numpy() for name in ("means", "pulls"))
        return progress

    def start(self) -> None:
        pass

    def advance(self, steps: int) -> None:
        rewards = []
        for _ in range(steps):
            explores = self.rng.random() < self.config.policy["exploration"]
            arm = int(self.rng.integers(2)) if explores else int(self.means.argmax())
            rewards.append(float(self.rng.random() < CHANCES[arm]))
            self.pulls[arm] += 1
            self.means[arm] += (rewards[-1] - self.means[arm]) / self.pulls[arm]
        self.record(steps, {"reward": float(np.mean(rewards))}, 0.0)

    def check_weights(self) -> None:
        if not np.isfinite(self.means).all():
            self.fail("a mean is no longer finite")

    def evaluate(self) -> None:
        step = self.progress.step
        arm = int(self.means.argmax())
        draws = np.random.default_rng([self.config.seed, step]).random(self.config.evaluation_episodes)
        played = [Episode(step, 0.0, n, n, float(draw < CHANCES[arm]), 1) for n, draw in enumerate(draws)]
        self.progress.episodes += episode_lines(played)

    def write(self) -> None:
        tensors = {"policy.means": torch.from_numpy(self.means), "policy.pulls": torch.from_numpy(self.pulls)}
        write_checkpoint(self.checkpoint, tensors, self.progress, self.rng)
        write_logs(self.folder, self.progress)

    def advice(self) -> str:
        return "explore more"

    def finish(self) -> None:
        self.write_done({"params_total": 2, "params_trainable": 2}, "bandit 1.0", torch.device("cpu"))


def bandit_config(config: RunConfig) -> BanditConfig:
    assert isinstance(config, BanditConfig)
    return config


def resolve(wanted: Wanted) -> Sequence[BanditConfig]:
    task = find_task(wanted.subject)
    steps = wanted.steps or 400
    return [
        BanditConfig(
            task=task.name,
            method=method,
            profile=wanted.profile,
            seed=seed,
            precision="float32",
            steps=steps,
            batch_size=1,
            evaluate_every=steps // 4,
            evaluation_episodes=20,
            headline_evaluations=1,
            policy={"exploration": GreedyConfig().exploration} | dict(wanted.settings),
            version="1.0",
        )
        for method in wanted.methods or ("greedy",)
        for seed in wanted.seeds
        if look_up(method).track == "bandit"
    ]


def train(job: Job, root: Path, device: str, tell: Tell, note: Note) -> dict[str, str]:
    choose_device(device)
    return train_each(map(bandit_config, job), root, tell, note, Pulling)


def play(folder: Path, config: RunConfig, device: str, lm: str, first_seed: int, episodes: int) -> list[Played]:
    return [Played(first_seed + n, 0.0, [np.zeros(1), np.zeros(1)], 1.0, 1) for n in range(episodes)]


def draw(config: RunConfig, observations: Any) -> Any:
    raise UserError("a bandit has nothing to see")


def publish(folder: Path, target: Path, config: RunConfig) -> None:
    raise UserError("a bandit's policy is two numbers; nobody needs it")


def check_published(folder: Path, config: RunConfig) -> None:
    raise UserError("there is no such policy")


def missing(config: RunConfig) -> str:
    return ""


def card(folder: Path, repository: str, files: Mapping[str, Mapping[str, Any]]) -> str:
    return ""


def weights(folder: Path) -> dict[str, Tensor]:
    """The tensors in the checkpoint of a run, for tests."""
    return read_checkpoint(folder / "checkpoint.safetensors", np.random.default_rng())[0]


TRACK = Track("bandit", "two arms", "bandit_track:BanditConfig", "bandit_track:find_task", "bandit_track")
GREEDY = Method(
    "greedy",
    "Greedy",
    "the arm with the higher mean so far",
    policy="bandit_track:Pulling",
    config="bandit_track:GreedyConfig",
    family="greedy",
    track="bandit",
    colour="#005f73",
    dark="#94d2bd",
)
