"""Trainings as runs have them, on random data of a task's sizes, for measurements of whole steps."""

from pathlib import Path

import torch

from ...datasets import cache
from ..offline.config import OfflineConfig
from ..offline.loop import Training
from ..offline.resolve import RunRequest, resolve
from ..runs.methods import METHODS
from .sampling import random_vectors

# Data set: environment, sizes of observations and actions, steps of an episode.
DATA: dict[str, tuple[str, tuple[int, int], int]] = {
    "hopper-medium": ("Hopper-v5", (11, 3), 500),
    "reacher2d-medium-large": ("lamobench/Reacher2d-v0", (12, 2), 100),
}
SMALL_NETWORKS = [method.name for method in METHODS.values() if method.stacks and method.name != "bc-10"]


def stock(episodes: int = 50) -> None:
    """Put random data under the names of `DATA` into the cache of the current $LAMOBENCH_HOME."""
    for dataset, (env_id, sizes, steps) in DATA.items():
        cache.save(random_vectors(dataset, env_id, sizes, episodes, steps))


def configurations(dataset: str, method: str, seeds: int = 1, precision: str = "float32") -> list[OfflineConfig]:
    """Runs of the `cpu` profile."""
    return [resolve(RunRequest(dataset, method, seed=seed, precision=precision)) for seed in range(seeds)]


def training(config: OfflineConfig, scratch: Path, device: str = "cpu") -> Training:
    """A run about to take its first step."""
    made = Training(config, scratch / config.id, torch.device(device), lambda done, total: None)
    made.policy.train()
    return made
