"""Recordings of experts in stages of a task, each stage a Minari data set, from which a policy can be cloned.

An episode is a stage, from its beginning to its success or its time-out. Shapes: B steps, S observation, A action.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from minari.data_collector import EpisodeBuffer
from tqdm import tqdm

from ..environments.demonstrations import Demonstrations
from ..environments.staged_tasks import StagedTask
from ..environments.stages import StagedEnvironment
from ..trajectories import Trajectories
from .part import Part
from .stage_recording import StageRecording

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
    parts = []
    for stage in task.trained:
        recording = recording_of(task, expert, stage)
        found = recording.trajectories(environment, partial(_played, environment, expert, stage))
        parts.append(demonstrations_of(found, stage))
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Demonstrations(*(np.concatenate(column) for column in columns))


def recording_of(task: StagedTask, expert: Expert, stage: int) -> StageRecording:
    """The recording of a stage."""
    return StageRecording(task, stage, asdict(expert), ALGORITHM, (task.simulator, "mujoco", "gymnasium"))


def _played(environment: StagedEnvironment, expert: Expert, stage: int) -> Iterator[EpisodeBuffer]:
    seeds = np.random.SeedSequence([expert.seed, stage]).generate_state(expert.episodes, np.uint64)
    title = f"recording {environment.stages[stage]}"
    bar = tqdm(seeds.tolist(), title, unit=" episodes", leave=False, disable=None)
    for number, seed in enumerate(bar):
        yield play_episode(environment, expert, stage, Part(seed, number, expert.episodes))


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
