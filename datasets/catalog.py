"""Every task and data set by name. Plain data: importing this module loads no numerical library.

A new task is one `Task` and its environment (`environments.py`); a new data set is one `Dataset` and a source that can
read it (`sources/`) or a player that can record it (`recording/`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import UserError, choose

if TYPE_CHECKING:
    from .trajectories import Trajectories


@dataclass(frozen=True)
class Task:
    """An environment with everything that turns its returns into scores and steers a return-conditioned policy."""

    name: str
    env_id: str  # Gymnasium id
    simulator: str  # the installed package whose version decides the physics
    horizon: int  # environment steps after which an episode is cut
    reference_scores: tuple[float, float]  # the returns that score 0 and 100
    score_source: str  # who published the reference scores
    # Returns to condition on. The first one is ranked: fixed here before any training, never picked afterwards.
    target_returns: tuple[float, ...]
    return_scale: float  # returns-to-go are divided by this before a network sees them

    def normalise(self, episode_return: float) -> float:
        """The score of a return: 0 at the lower reference return, 100 at the upper one, linear and not clipped."""
        low, high = self.reference_scores
        return 100.0 * (episode_return - low) / (high - low)


@dataclass(frozen=True)
class Dataset:
    """A set of trajectories of one task, from one or more sources (whose scores are never compared as one)."""

    name: str
    task: str
    description: str
    sources: tuple[str, ...]  # in the order in which "auto" tries them
    episodes: int
    published_fractions: tuple[float, ...]  # the shares of episodes with published scores; empty if there are none
    minari_id: str  # the Minari id under which `recorded` stores it
    record_seed: int  # the seed of the recording; not one that the player was tuned on


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="reacher2d",
            env_id="lamobench/Reacher2d-v0",
            simulator="mujoco",
            horizon=100,
            reference_scores=(0.0, 100.0),
            score_source="LaMo, Table 5: the score is the return",
            target_returns=(76.0, 40.0),  # LaMo, Table 6; the higher one first, as in its code
            return_scale=10.0,
        ),
    )
}

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="reacher2d-medium",
            task="reacher2d",
            description="As many episodes as LaMo's Reacher2d set and about its mean return, 36, by a noisy player",
            sources=("recorded",),
            episodes=50,
            published_fractions=(0.1, 0.3, 1.0),  # LaMo, Table 1
            minari_id="lamobench/reacher2d/medium-v0",
            record_seed=4,  # the first from 0 on whose 50 episodes have a mean return within 1 of the published 36
        ),
        Dataset(
            name="reacher2d-medium-large",
            task="reacher2d",
            description="Ten times reacher2d-medium: an independent draw by the same player",
            sources=("recorded",),
            episodes=500,
            published_fractions=(),
            minari_id="lamobench/reacher2d/medium-large-v0",
            record_seed=1,
        ),
    )
}


def find_task(name: str) -> Task:
    """The task of that name; a `UserError` names the valid ones."""
    return TASKS[choose("task", name, list(TASKS))]


def find_dataset(name: str) -> Dataset:
    """The data set of that name; a `UserError` names the valid ones."""
    return DATASETS[choose("data set", name, list(DATASETS), hint="`lamobench data list` describes them")]


def command_to_get(name: str, source: str) -> str:
    """What to type to put a data set into the cache."""
    return f"lamobench data record {name}" if source == "recorded" else f"lamobench data fetch {name} --source {source}"


def load(name: str, source: str = "auto") -> "Trajectories":
    """Open a data set from the cache, memory-mapped; `auto` takes the first of its sources that is in the cache.

    Raises a `UserError` if the name or the source is unknown, if the data set is not in the cache, or if it is damaged.
    """
    from . import cache

    dataset = find_dataset(name)
    if source != "auto":
        choose(f"source of data set '{name}'", source, ["auto", *dataset.sources])
    wanted = dataset.sources if source == "auto" else (source,)
    folders = [cache.folder_of(name, candidate) for candidate in wanted]
    for folder in folders:
        if folder.is_dir():
            return cache.open_cached(folder)
    command = command_to_get(name, wanted[0])
    raise UserError(f"data set '{name}' is not in {folders[0].parent}; to get it, type: {command}")


def status() -> list[dict[str, Any]]:
    """One row for each data set and source, in catalog order: what it holds, or the command that gets it.

    Keys: dataset, task, source, state ("ready", "absent" or "damaged"), episodes, steps, score_mean, score_std and
    score_best (over episodes), megabytes, command (what to type, or empty when ready). What is not known is None.
    """
    return [_status_row(dataset, source) for dataset in DATASETS.values() for source in dataset.sources]


def _status_row(dataset: Dataset, source: str) -> dict[str, Any]:
    from . import cache

    command = command_to_get(dataset.name, source)
    row: dict[str, Any] = {"dataset": dataset.name, "task": dataset.task, "source": source}
    unknown = dict.fromkeys(("steps", "score_mean", "score_std", "score_best", "megabytes"))
    folder = cache.folder_of(dataset.name, source)
    if not folder.is_dir():
        return row | {"state": "absent", "episodes": dataset.episodes} | unknown | {"command": command}
    try:
        meta, _ = cache.read_meta(folder), cache.open_cached(folder)
    except UserError:
        return row | {"state": "damaged", "episodes": dataset.episodes} | unknown | {"command": f"{command} --force"}
    normalise = find_task(dataset.task).normalise
    return row | {
        "state": "ready",
        "episodes": meta["episodes"],
        "steps": meta["steps"],
        "score_mean": normalise(meta["return_mean"]),
        "score_std": normalise(meta["return_std"]) - normalise(0.0),
        "score_best": normalise(meta["return_best"]),
        "megabytes": sum(file.stat().st_size for file in folder.iterdir()) / 1e6,
        "command": "",
    }
