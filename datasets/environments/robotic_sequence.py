"""RoboticSequence: tasks of Meta-World, one after the other (arXiv 2402.02868, Section 3 and Appendix B.3).

A robot arm has to do one task after another; success in one leads to the next at once. Meta-World (Yu et al. 2020,
arXiv 1910.10897; the package `metaworld`) has fifty tasks; the paper takes four, and a policy that knows the last two.
Shapes: E environments.
"""

import importlib
import warnings
from collections.abc import Mapping
from functools import partial
from types import ModuleType
from typing import Any, ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ..errors import UserError, choose
from .stages import Actions, Flags, Floats, Rows, StagedEnvironment

RAW = 39  # numbers of Meta-World's observation: hand and objects now and a step ago, and the goal
ACTIONS = 4  # three movements of the hand, and its grip
SEEDS = 2**32  # of a task's start and goal
VERSION = "-v3"  # ends the names that Meta-World gives its tasks
INSTALL = 'the tasks of Meta-World need a package that is not here; type: pip install "lamobench[finetune]"'


class RoboticSequence(StagedEnvironment):
    """E arms, each of them in one of the tasks.

    Action (4,) in [-1, 1]. Observation (40,): Meta-World's 39 numbers, and the share of the stage's time that is over.
    An action is repeated `repeat` times, or until the task is done, and its reward is Meta-World's mean over that. The
    action that does a task, number t of the stage, has `bonus` * max(1, horizon - t) times that reward: otherwise the
    rewards of the rest of the stage would be worth more than success. Start and goal of a task are drawn whenever it
    begins.
    """

    costly: ClassVar[bool] = True
    state_names: ClassVar[tuple[str, ...]] = ("drawn", "taken", "seen")

    drawn: NDArray[np.int64]  # (E,) seed of start and goal of the stage
    taken: Floats  # (E, horizon, 4) actions of the stage so far
    seen: NDArray[np.float64]  # (E, 39) the last observations as Meta-World has them

    def __init__(
        self,
        stages: tuple[str, ...],
        known: tuple[int, ...],
        horizon: int = 200,
        repeat: int = 1,
        bonus: float = 1.5,
        reward_scale: float = 1.0,
        shift: float = 0.0,
    ) -> None:
        """Tasks `stages` by Meta-World's names without "-v3", of which a policy is to know those numbered `known`.

        `horizon` are the actions of a stage; `shift` is added to each of the 39 numbers in stages that are not known. A
        `UserError` without Meta-World, for a task that it does not have, or for values that make no sense.
        """
        simulators = meta_world("env_dict").ALL_V3_ENVIRONMENTS
        names = [name.removesuffix(VERSION) for name in simulators]
        for stage in stages:
            choose("task of Meta-World", stage, names)
        check_known(stages, known)
        if horizon < 1 or repeat < 1:
            raise UserError(f"horizon is {horizon} and repeat {repeat}; expected 1 or more of each")
        if not (0 < reward_scale < np.inf and 0 <= bonus < np.inf and np.isfinite(shift)):
            raise UserError(
                f"reward_scale is {reward_scale}, bonus {bonus} and shift {shift}; expected more than 0, 0 or more, any"
            )
        experts = meta_world("policies").ENV_POLICY_MAP
        self.stages = tuple(stages)
        self.horizon = horizon
        self.repeat = repeat
        self.bonus = bonus
        self.reward_scale = reward_scale
        self.shifts = np.where(np.isin(np.arange(len(stages)), known), 0.0, shift)  # of each stage
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (RAW + 1,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (ACTIONS,), np.float32)
        self._classes = [simulators[f"{stage}{VERSION}"] for stage in stages]
        self._experts = [experts[f"{stage}{VERSION}"]() for stage in stages]
        self._simulators: dict[tuple[int, str], Any] = {}  # by environment and task

    def allocate(self, environments: int) -> None:
        """Make room for what is drawn, done and seen in a stage."""
        self.drawn = np.zeros(environments, np.int64)
        self.taken = np.zeros((environments, self.horizon, ACTIONS), np.float32)
        self.seen = np.zeros((environments, RAW))

    def enter(self, rows: Rows) -> None:
        """Draw start and goal of the tasks that begin."""
        self.drawn[rows] = self.streams.integers(SEEDS, rows)
        self.taken[rows] = 0.0
        for row in rows:
            self.seen[row] = self._begin_task(int(row))

    def move(self, actions: Actions) -> tuple[Floats, Flags]:
        """Repeat the actions (E, 4) in the simulators."""
        rewards = np.zeros(self.size, np.float32)
        success = np.zeros(self.size, bool)
        for row in range(self.size):
            self.taken[row, self.elapsed[row] - 1] = actions[row]
            paid, success[row] = self._repeat(row, self.taken[row, self.elapsed[row] - 1])
            if success[row]:
                paid *= self.bonus * max(1, self.horizon - self.elapsed[row])
            rewards[row] = self.reward_scale * paid
        return rewards, success

    def observe(self) -> Floats:
        """Observations (E, 40), as the class says."""
        raw = self.seen + self.shifts[self.stage, None]
        return np.concatenate([raw, self.elapsed[:, None] / self.horizon], axis=1).astype(np.float32)

    def expert(self) -> Floats:
        """The choice (E, 4) of Meta-World's scripted policy for the task, cut to [-1, 1]."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the environment cuts its actions, as is done here
            chosen = [self._experts[self.stage[row]].get_action(self.seen[row]) for row in range(self.size)]
        actions: Floats = np.clip(chosen, -1.0, 1.0).astype(np.float32)
        return actions

    def load_state_dict(self, state: Mapping[str, NDArray[np.generic]]) -> Floats:
        """Go back to where the state was taken, by playing each stage again up to there; see the base class.

        A simulator's own state is spread over its engine and Meta-World's objects; start, goal and actions decide it.
        A `ValueError` where they lead to another place: another simulator.
        """
        super().load_state_dict(state)
        for row in range(self.size):
            self.seen[row] = self._begin_task(row)
            for action in self.taken[row, : self.elapsed[row]]:
                self._repeat(row, action)
        if not np.array_equal(self.seen, state["seen"]):
            raise ValueError("the simulator does not come to the state that it was left in; its version is another one")
        return self.observe()

    def _begin_task(self, row: int) -> NDArray[np.float64]:
        """Start the row's task as it was drawn; the first observation, (39,)."""
        simulator = self._simulator(row)
        simulator.np_random = np.random.default_rng(self.drawn[row])
        first: NDArray[np.float64] = simulator.reset()[0]
        return first

    def _repeat(self, row: int, action: Floats) -> tuple[float, bool]:
        """Repeat an action (4,): the mean reward, and whether the task is done, with which it ends."""
        simulator = self._simulator(row)
        total = 0.0
        for count in range(1, self.repeat + 1):
            self.seen[row], reward, _, _, info = simulator.step(action)
            total += float(reward)
            if info["success"] > 0:
                return total / count, True
        return total / self.repeat, False

    def _simulator(self, row: int) -> Any:
        """The simulator of the row's task: made when it is first needed, then kept."""
        key = (row, self.stages[self.stage[row]])
        if key not in self._simulators:
            self._simulators[key] = self._make(self._classes[self.stage[row]])
        return self._simulators[key]

    def _make(self, kind: Any) -> Any:
        """A simulator that shows its goal, draws from its own generator, and leaves time-outs to us.

        These attributes are what Meta-World's own benchmarks set by `set_task`, which takes one of fifty fixed draws.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Gymnasium, about bounds and precision
            simulator = kind()
        simulator._partially_observable = False
        simulator.__dict__.pop("sawyer_observation_space", None)  # cached before, without a goal
        simulator._freeze_rand_vec = False
        simulator.seeded_rand_vec = True
        simulator._set_task_called = True
        simulator.max_path_length = self.horizon * self.repeat + 1
        simulator.touching_object = partial(touching_object, simulator)
        return simulator


def touching_object(simulator: Any, geometry: int) -> bool:
    """Check whether both pads of the gripper press on a geometry of a Meta-World simulator, by its number.

    The answer is that of Meta-World's own method. That makes a Python object of every contact, twice: a third of a
    step's time where the reward asks for it.
    """
    data = simulator.data
    pairs = data.contact.geom  # (C, 2) geometries that touch
    of_geometry = (pairs == geometry).any(1)
    if not of_geometry.any():
        return False
    addresses = data.contact.efc_address

    def force(pad: str) -> float:
        by_pad = of_geometry & (pairs == data.geom(pad).id).any(1)
        return float(sum(data.efc_force[addresses[by_pad]]))

    return force("leftpad_geom") > 0 and force("rightpad_geom") > 0


def check_known(stages: tuple[str, ...], known: tuple[int, ...]) -> None:
    """Raise a `UserError` unless the numbers `known` are of some of the stages, and not of all."""
    if len(stages) < 2:
        raise UserError(
            f"stages are {list(stages)}; give two tasks or more, the last of which a policy can know before"
        )
    everyone = range(len(stages))
    if not (set(known) < set(everyone)) or not known or len(set(known)) != len(known):
        raise UserError(
            f"known stages are {list(known)} of {len(stages)} stages; give numbers from 0 to {len(stages) - 1}, each "
            "once, one at least and not all of them"
        )


def meta_world(name: str) -> ModuleType:
    """A module of Meta-World; a `UserError` with what to type where it isn't installed."""
    try:
        return importlib.import_module(f"metaworld.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "metaworld":
            raise
        raise UserError(INSTALL) from None
