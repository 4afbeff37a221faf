"""Recordings of experts in stages of a task, each stage a Minari data set, from which a policy can be cloned.

An episode is a stage, from its beginning to its success or its time-out. Shapes: B steps, S observation, A action.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import minari
import numpy as np
from minari.data_collector import EpisodeBuffer
from tqdm import tqdm

from .. import storage
from ..environments.demonstrations import Demonstrations
from ..environments.staged_tasks import StagedTask
from ..environments.stages import StagedEnvironment
from ..sources.minari import read
from ..sources.recorded import minari_root
from ..trajectories import Trajectories
from .collect import keep, with_room
from .part import Part

ALGORITHM = "the environment's scripted expert, with white noise of one strength an episode"


@dataclass(frozen=True)
class Expert:
    """The plan of a recording."""

    episodes: int  # of each stage
    noise: tuple[float, ...]  # standard deviation of what is added to the expert's actions, of each episode in turn
    seed: int


def recorded(environment: StagedEnvironment, task: StagedTask, expert: Expert) -> Demonstrations:
    """The steps of an expert in the stages that a policy is to know; stages that were not recorded yet are now.

    The environment is one of the task's; recordings are kept with all others, in `minari_root`.
    """
    stages = task.trained
    parts = [demonstrations_of(_stage_recording(environment, task, expert, stage), stage) for stage in stages]
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Demonstrations(*(np.concatenate(column) for column in columns))


def minari_id_of(task: StagedTask, expert: Expert, stage: int) -> str:
    """The Minari id of a stage's recording; all that decides what it holds is in it."""
    recipe = json.dumps([asdict(task.options), asdict(expert), stage], sort_keys=True)
    digest = hashlib.sha256(recipe.encode()).hexdigest()
    return f"lamobench/{task.name}/{task.stages[stage]}-s{expert.seed}-{digest[:8]}-v0"


def _stage_recording(environment: StagedEnvironment, task: StagedTask, expert: Expert, stage: int) -> Trajectories:
    minari_id = minari_id_of(task, expert, stage)
    name = minari_id.partition("/")[2]
    with storage.plain_disk_errors():
        if (minari_root() / minari_id).is_dir():
            return read(minari_id, minari_root(), dataset=name, source="recorded")
        write = partial(_write, environment, task, expert, stage, minari_id, minari_root())
        return keep(minari_id, minari_root(), name, write)


def _write(
    environment: StagedEnvironment, task: StagedTask, expert: Expert, stage: int, minari_id: str, root: Path
) -> None:
    """Play, and let Minari write what was played to its current root, a folder in `root`."""
    title = f"recording {task.stages[stage]}"
    bar = tqdm(total=expert.episodes, desc=title, unit=" episodes", leave=False, disable=None)
    with warnings.catch_warnings(), bar:
        # Minari wants an address and a link from everyone; a recording on somebody's own machine has neither. The
        # environment is no Gymnasium one, so none can be named.
        warnings.simplefilter("ignore")
        minari.create_dataset_from_buffers(
            minari_id,
            with_room(_played(environment, expert, stage, bar), root),
            observation_space=environment.observation_space,
            action_space=environment.action_space,
            algorithm_name=ALGORITHM,
            author="lamobench",
            description=f"Stage {stage} of {task.name}: {task.stages[stage]}; seed {expert.seed}",
            requirements=[f"{package}=={version(package)}" for package in (task.simulator, "mujoco", "gymnasium")],
            data_format="hdf5",
            jpeg_encoding=False,
        )


def _played(environment: StagedEnvironment, expert: Expert, stage: int, bar: tqdm) -> Iterator[EpisodeBuffer]:
    seeds = np.random.SeedSequence([expert.seed, stage]).generate_state(expert.episodes, np.uint64)
    for number, seed in enumerate(seeds):
        yield play_episode(environment, expert, stage, Part(int(seed), number, expert.episodes))
        bar.update()


def play_episode(environment: StagedEnvironment, expert: Expert, stage: int, part: Part) -> EpisodeBuffer:
    """One stage, played by the expert with the noise that is this episode's."""
    rng = np.random.default_rng(part.seed)
    strength = expert.noise[part.number % len(expert.noise)]
    observations = [environment.reset(np.array([part.seed], np.uint64), stage, only=True)[0]]
    actions = []
    rewards = []
    while True:
        chosen = environment.expert()
        noisy = np.clip(chosen + strength * rng.standard_normal(chosen.shape), -1.0, 1.0).astype(np.float32)
        step = environment.step(noisy)
        actions.append(noisy[0])
        rewards.append(float(step.rewards[0]))
        observations.append(step.next_observations[0])
        if step.episode_ended[0]:
            success = bool(step.stage_success[0])
            return EpisodeBuffer(
                id=part.number,
                seed=part.seed,
                observations=np.stack(observations),
                actions=np.stack(actions),
                rewards=rewards,
                terminations=[False] * (len(rewards) - 1) + [success],
                truncations=[False] * (len(rewards) - 1) + [not success],
            )


def demonstrations_of(episodes: Trajectories, stage: int) -> Demonstrations:
    """The steps (B,) of episodes that are a stage each."""
    ends = episodes.offsets[1:] - 1
    after = np.roll(episodes.observations, -1, axis=0)
    after[ends] = episodes.last_observations
    return Demonstrations(
        observations=np.asarray(episodes.observations),
        actions=np.asarray(episodes.actions),
        rewards=np.asarray(episodes.rewards),
        next_observations=after,
        dones=(episodes.terminals | episodes.timeouts).astype(np.float32),
        stages=np.full(len(episodes.rewards), stage),
    )
