"""Episodes of a finished run's policy to look at, and pictures of what was seen in them."""

from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.catalog import find_task
from ...datasets.environments.simulators import make_environment
from ...datasets.errors import UserError
from ...datasets.rendering import render, renderable
from ...datasets.trajectories import Array
from ..figures.frames import SCENE_WIDTHS
from ..runs.tracks import Played
from ..training.devices import choose_device
from .config import OfflineConfig
from .evaluation import evaluate
from .players import load_player
from .rollout import evaluation_seeds

HEIGHT = 120  # pixels of a picture
SCENE_WIDTH = 160


def play(folder: Path, config: OfflineConfig, device: str, lm: str, first_seed: int, episodes: int) -> list[Played]:
    """Episodes at the ranked target return; see `tracks.Work`."""
    task = find_task(config.task)
    target = float(config.target_returns[0])
    policy = load_player(folder, config, choose_device(device), lm)
    tapes: list[_Watched] = []

    def watched() -> _Watched:
        tapes.append(_Watched(make_environment(task)))
        return tapes[-1]

    seeds = evaluation_seeds(first_seed, 0, episodes)
    played = evaluate(policy, config, seeds, [target], make=watched, environments=episodes)
    return [
        Played(episode.seed, target, tape.observations, episode.episode_return, episode.length)
        for episode, tape in zip(played, tapes, strict=True)
    ]


def draw(config: OfflineConfig, observations: Array) -> Array:
    """Pictures (M, H, W, 3) uint8 of M observations: drawn, or as they are where they are images."""
    task = find_task(config.task)
    if observations.dtype == np.uint8 and observations.ndim >= 3:
        times = max(1, HEIGHT // observations.shape[1])
        grown = observations.repeat(times, 1).repeat(times, 2)
        return grown if grown.ndim == 4 else grown[..., None].repeat(3, axis=3)
    if not renderable(task):
        raise UserError(f"nothing here draws '{task.name}': its observations are no images, and its scene is not known")
    return render(task, observations, HEIGHT, HEIGHT if task.name in SCENE_WIDTHS else SCENE_WIDTH)


class _Watched:
    """An environment that remembers what was seen in its episode. One episode each: there are as many as episodes."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self.observations: list[Array] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._environment, name)

    def reset(self, **options: Any) -> Any:
        """Reset the environment, and keep its first observation."""
        observation, about = self._environment.reset(**options)
        self.observations = [np.array(observation)]
        return observation, about

    def step(self, action: Any) -> Any:
        """Step the environment, and keep its observation."""
        observation, *outcome = self._environment.step(action)
        self.observations.append(np.array(observation))
        return observation, *outcome
