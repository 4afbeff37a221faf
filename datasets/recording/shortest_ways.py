"""Recordings of shortest ways with steps aside, from the beginning of a stage: Minari data sets to clone a policy from.

An episode is a visit to a stage, to its success, its time-out or the end of the recording. Its actions are those that
were taken. What the expert chose in each step, which is what a clone learns, is in its `infos`, as `choice`; there are
also the number of the `stage`, and whether the task's episode `ended` with the step.

Shapes: T steps of E environments side by side; B of these, all or nearly all.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import pairwise

import numpy as np
from minari.data_collector import EpisodeBuffer

from ..environments.demonstrations import Demonstrations, Play, play, side_by_side
from ..environments.staged_tasks import StagedTask
from ..environments.stages import StagedEnvironment
from ..errors import UserError
from ..sources.recorded import minari_root
from .stage_recording import StageRecording

ALGORITHM = "shortest ways, with a share of random steps"
INFOS = ("choice", "stage", "ended")


@dataclass(frozen=True)
class Ways:
    """The plan of a recording."""

    steps: int  # of all environments together; a few more are played where they can't share them evenly
    wandering: float  # share of the actions that are random
    mistaken: float  # share of the choices that are random
    seed: int
    part: int  # among the recordings of the seed


def recording_of(task: StagedTask, ways: Ways, stage: int) -> StageRecording:
    """The recording of play that begins with a stage; another version of this package makes its own."""
    plan = asdict(ways) | {"version": version("lamobench")}
    return StageRecording(task, stage, plan, ALGORITHM, (task.simulator, "gymnasium"))


def recorded_ways(environment: StagedEnvironment, task: StagedTask, ways: Ways, stage: int) -> Demonstrations:
    """The steps (B,) of play that begins with a stage; it is recorded first where it isn't there yet.

    The environment is one of the task's. Rows are in the order of time: a step of each environment in turn. Raises a
    `UserError` if the recording is damaged, or not what was to be recorded.
    """

    def played() -> Iterator[EpisodeBuffer]:
        shares = {"wandering": ways.wandering, "mistaken": ways.mistaken}
        return visits(play(environment, ways.steps, [ways.seed, ways.part], stage=stage, **shares))

    recording = recording_of(task, ways, stage)
    found = recording.trajectories(environment, played)
    environments = side_by_side(environment, ways.steps)
    expected = -(-ways.steps // environments) * environments
    infos = recording.infos(INFOS)
    most = {"choice": environment.action_space.n, "stage": len(environment.stages), "ended": 2}
    sound = all(((values >= 0) & (values < most[name])).all() for name, values in infos.items())
    if found.num_steps != expected or not sound:
        raise UserError(
            f"Minari data set '{recording.minari_id}' is not the play of {expected} steps that was to be recorded; "
            f"delete the folder {minari_root() / recording.minari_id}, and it is recorded anew"
        )
    after = np.roll(found.observations, -1, axis=0)
    after[found.offsets[1:] - 1] = found.last_observations
    order = np.arange(expected).reshape(environments, -1).T.ravel()[: ways.steps]
    return Demonstrations(
        observations=found.observations[order],
        actions=infos["choice"][order],
        rewards=found.rewards[order],
        next_observations=after[order],
        dones=infos["ended"][order].astype(np.float32),
        stages=infos["stage"][order],
    )


def visits(played: Play) -> Iterator[EpisodeBuffer]:
    """The episodes: all of the first environment, then those of the next."""
    steps, environments = played.rewards.shape
    number = 0
    for row in range(environments):
        ends = np.flatnonzero(played.stage_ended[:, row]) + 1
        bounds = np.unique([0, *ends, steps]).tolist()
        for start, end in pairwise(bounds):
            yield _visit(played, row, slice(start, end), number)
            number += 1


def _visit(played: Play, row: int, steps: slice, number: int) -> EpisodeBuffer:
    """An episode; what neither succeeded nor ran out of time was cut short, which Minari calls truncated as well."""
    success = played.stage_success[steps, row]
    cut = np.zeros(len(success), bool)
    cut[-1] = not success[-1]
    last = played.next_observations[steps.stop - 1, row]
    return EpisodeBuffer(
        id=number,
        observations=np.concatenate([played.observations[steps, row], last[None]]),
        actions=played.actions[steps, row],
        rewards=played.rewards[steps, row].tolist(),
        terminations=success.tolist(),
        truncations=cut.tolist(),
        infos={
            "choice": played.choices[steps, row],
            "stage": played.stages[steps, row],
            "ended": played.episode_ended[steps, row].astype(np.int64),
        },
    )
