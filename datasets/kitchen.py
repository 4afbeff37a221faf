"""FrankaKitchen as D4RL's kitchen data have it: 60 observations, and when a sub-goal is done.

An observation is the robot's 9 joint positions, the objects' 21, and 30 goal values that repeat the layout of the first
30: the wanted positions at the entries of the task's sub-goals, zero everywhere else (D4RL, `d4rl/kitchen`).

It differs from D4RL in two ways. FrankaKitchen-v1 blurs the robot's observed joints by 1 % of their nominal noise,
D4RL's environment by 10 %. Neither varies the start, so episodes differ only by that noise and the policy's own.
"""

import contextlib
import io
from collections.abc import Iterable, Mapping
from typing import Any

import gymnasium
import numpy as np

from .tasks import TASKS, Task
from .trajectories import Array

ENV_ID = "FrankaKitchen-v1"
JOINTS = 9
OBJECTS = 21
GOAL_SIZE = JOINTS + OBJECTS  # the first half of an observation, in which goals are states
OBSERVATION_SIZE = 2 * GOAL_SIZE
DONE_WITHIN = 0.3  # distance to the wanted positions, in joint space (BONUS_THRESH, there and in FrankaKitchen-v1)
ELEMENTS: dict[str, tuple[slice, tuple[float, ...]]] = {  # the entries of a sub-goal's object and the wanted positions
    "bottom burner": (slice(11, 13), (-0.88, -0.01)),
    "top burner": (slice(15, 17), (-0.92, -0.01)),
    "light switch": (slice(17, 19), (-0.69, -0.05)),
    "slide cabinet": (slice(19, 20), (0.37,)),
    "hinge cabinet": (slice(20, 22), (0.0, 1.45)),
    "microwave": (slice(22, 23), (-0.75,)),
    "kettle": (slice(23, 30), (-0.23, 0.75, 1.62, 0.99, 0.0, 0.0, -0.06)),
}


def goal_vector(sub_goals: tuple[str, ...]) -> Array:
    """The goal part (30,) float64 of an observation."""
    goal = np.zeros(JOINTS + OBJECTS)
    for name in sub_goals:
        entries, wanted = ELEMENTS[name]
        goal[entries] = wanted
    return goal


def kitchen_task(sub_goals: Iterable[str]) -> Task | None:
    """The task with these sub-goals, in whatever order; None if there is none."""
    wanted = set(sub_goals)
    return next((task for task in TASKS.values() if task.sub_goals and set(task.sub_goals) == wanted), None)


def satisfied(observations: Array, sub_goals: tuple[str, ...]) -> Array:
    """A mask (T, G): which of the G sub-goals the objects satisfy in each of the observations (T, 60)."""
    return achieved({name: observations[:, ELEMENTS[name][0]] for name in sub_goals}, sub_goals)


def next_goals(observations: Array, sub_goals: tuple[str, ...]) -> Array:
    """The observations (E, 60), each with the object of its first unfinished sub-goal moved to its place.

    RvS commands the kitchen like this (`get_dynamic_kitchen_goal` of its code), but here the observation alone decides:
    an object that has left its place again is wanted back.
    """
    wanted = observations.copy()
    done = satisfied(observations, sub_goals)
    first = done.argmin(axis=1)  # the first that is not done; of those that are all done, nothing is changed
    for number, name in enumerate(sub_goals):
        entries, positions = ELEMENTS[name]
        wanted[(first == number) & ~done[:, number], entries] = positions
    return wanted


def achieved(objects: Mapping[str, Array], sub_goals: tuple[str, ...]) -> Array:
    """A mask (T, G): which of the G sub-goals are satisfied, from the positions (T, n) of each one's object."""
    for name in sub_goals:
        if objects[name].shape[1:] != (len(ELEMENTS[name][1]),):
            raise ValueError(f"positions of the {name} have the shape {objects[name].shape[1:]}")
    distances = [np.linalg.norm(objects[name] - np.asarray(ELEMENTS[name][1]), axis=1) for name in sub_goals]
    return np.stack(distances, axis=1) < DONE_WITHIN


def done_so_far(done: Array, counts: Array) -> tuple[Array, bool]:
    """The number (T,) of sub-goals done up to each observation of an episode, and whether the two sources agree.

    `done` (T, G) are the sub-goals that each observation satisfies, `counts` (T,) their stored number. A count alone
    can't tell whether a sub-goal came undone and another was done instead. The observations can. They are used where
    they agree with all counts of the episode; elsewhere a new maximum of the counts is what was done.
    """
    if (done.sum(axis=1) == counts).all():
        return np.logical_or.accumulate(done).sum(axis=1), True
    return np.maximum.accumulate(counts), False


def d4rl_observations(states: Array, sub_goals: tuple[str, ...]) -> Array:
    """Observations (..., 60) from FrankaKitchen-v1's (..., 59): joints 0 to 8, objects 18 to 38, and the goal."""
    goal = np.broadcast_to(goal_vector(sub_goals), (*states.shape[:-1], JOINTS + OBJECTS))
    return np.concatenate([states[..., :JOINTS], states[..., 2 * JOINTS : 2 * JOINTS + OBJECTS], goal], axis=-1)


class D4RLObservation(gymnasium.ObservationWrapper):  # type: ignore[misc]
    """FrankaKitchen-v1 with D4RL's flat observation; joint velocities are left out, as there."""

    def __init__(self, env: gymnasium.Env, sub_goals: tuple[str, ...]) -> None:
        super().__init__(env)
        self._sub_goals = sub_goals
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (OBSERVATION_SIZE,), np.float64)

    def observation(self, observation: dict[str, Any]) -> Array:
        """An observation (60,) float64."""
        return d4rl_observations(observation["observation"], self._sub_goals)


def make_kitchen(task: Task, **options: Any) -> gymnasium.Env:
    """The environment of a kitchen task: +1 when a sub-goal is done first, terminated when all are done."""
    with contextlib.redirect_stderr(io.StringIO()):  # importing it prints a notice on robot hands, which no task has
        import gymnasium_robotics

    if task.env_id not in gymnasium.registry:
        gymnasium.register_envs(gymnasium_robotics)
    env = gymnasium.make(task.env_id, tasks_to_complete=list(task.sub_goals), **options)
    return D4RLObservation(env, task.sub_goals)
