"""Tasks whose episodes go through stages, as E environments that are stepped side by side as arrays.

Success in a stage leads to the next one at once; success in the last one, or running out of time, ends the episode, and
the next one begins by itself. An episode can begin at any stage and can end with it. So a stage is measured whether or
not a policy reaches it (arXiv 2402.02868, Section 2: CLOSE and FAR states).

Shapes: E environments, S observation, M some of the environments.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .random_streams import RandomStreams

Rows = NDArray[np.int64]  # (M,) numbers of environments
Flags = NDArray[np.bool_]  # (E,)
Floats = NDArray[np.float32]
Actions = NDArray[np.integer | np.floating]
SHARED_STATE = ("stage", "elapsed", "first", "last")  # of every staged environment, (E,) int64


@dataclass(frozen=True)
class StagedStep:
    """The results of one action in each of E environments."""

    observations: Floats  # (E, S) to act on next: of the next stage or episode where one has ended
    rewards: Floats  # (E,)
    next_observations: Floats  # (E, S) where the action led: the stage's own last one where it has ended
    stage_ended: Flags  # (E,) by success or by running out of time
    stage_success: Flags  # (E,)
    episode_ended: Flags  # (E,)
    stages_before: NDArray[np.int64]  # (E,) in which the action was taken
    stages: NDArray[np.int64]  # (E,) of `observations`


class StagedEnvironment(ABC):
    """E environments of one task; `reset` says how many.

    A subclass defines how a stage begins, moves and is observed; stages, clocks and ends are handled here.
    """

    costly: ClassVar[bool] = False  # whether a step costs more than a policy does, and is not to be played for nothing
    episode_clock: ClassVar[bool] = False  # whether time runs on from stage to stage
    state_names: ClassVar[tuple[str, ...]] = ()  # attributes of a subclass that are arrays (E, ...): its state

    stages: tuple[str, ...]  # names, in their order
    observation_space: gymnasium.spaces.Box  # (S,) of one environment
    action_space: gymnasium.Space  # of one environment
    horizon: int  # most steps of a stage, or of an episode where its clock runs on

    streams: RandomStreams
    stage: NDArray[np.int64]  # (E,) where each environment is
    elapsed: NDArray[np.int64]  # (E,) steps on the clock
    first: NDArray[np.int64]  # (E,) stage with which episodes begin
    last: NDArray[np.int64]  # (E,) stage with which they end

    @abstractmethod
    def enter(self, rows: Rows) -> None:
        """Set environments to the beginning of the stage that they are in now."""

    @abstractmethod
    def move(self, actions: Actions) -> tuple[Floats, Flags]:
        """Rewards (E,) of one action each, and whether each stage's goal is reached, (E,)."""

    @abstractmethod
    def observe(self) -> Floats:
        """Observations (E, S) of where everything is."""

    @abstractmethod
    def expert(self) -> Actions:
        """The choice (E,) or (E, A) of an expert, who knows the way."""

    @property
    def size(self) -> int:
        """E, the number of environments."""
        return len(self.stage)

    @property
    def longest(self) -> int:
        """The most steps that an episode can have."""
        return self.horizon if self.episode_clock else self.horizon * len(self.stages)

    def reset(self, seeds: NDArray[np.integer], stage: int = 0, only: bool = False) -> Floats:
        """Begin an episode in each of E environments, one for each seed (E,); returns observations (E, S).

        This episode and those that follow begin at `stage`, and with `only` they end with it. A `UserError` for a stage
        that the task does not have, a `ValueError` without seeds.
        """
        if not 0 <= stage < len(self.stages):
            known = ", ".join(f"{number} ({name})" for number, name in enumerate(self.stages))
            raise UserError(f"there is no stage {stage}; the stages are {known}")
        if not len(seeds):
            raise ValueError("there is no environment without a seed")
        everywhere = np.arange(len(seeds))
        self.streams = RandomStreams(seeds)
        self.first = np.full(len(seeds), stage)
        self.last = np.full(len(seeds), stage if only else len(self.stages) - 1)
        self.stage = self.first.copy()
        self.elapsed = np.zeros(len(seeds), np.int64)
        self.allocate(len(seeds))
        self.enter(everywhere)
        return self.observe()

    @abstractmethod
    def allocate(self, environments: int) -> None:
        """Make the arrays of `state_names` for so many environments; `enter` fills them."""

    def step(self, actions: Actions) -> StagedStep:
        """Take one action in each environment, (E,) or (E, A).

        A `ValueError` for actions of another shape, or outside the action space.
        """
        self._check(actions)
        before = self.stage.copy()
        self.elapsed += 1
        rewards, success = self.move(actions)
        late = self.elapsed >= self.horizon
        ended = success | late
        over = (late if self.episode_clock else late & ~success) | (success & (before == self.last))
        reached = self.observe()
        observations = reached
        if ended.any():
            self._go_on(np.flatnonzero(ended & ~over))
            self._begin(np.flatnonzero(over))
            observations = self.observe()
        return StagedStep(observations, rewards, reached, ended, success, over, before, self.stage.copy())

    def _go_on(self, rows: Rows) -> None:
        """Begin the next stage."""
        if not self.episode_clock:
            self.elapsed[rows] = 0
        self.stage[rows] += 1
        self.enter(rows)

    def _begin(self, rows: Rows) -> None:
        """Begin the next episode."""
        self.elapsed[rows] = 0
        self.stage[rows] = self.first[rows]
        self.enter(rows)

    def _check(self, actions: Actions) -> None:
        shape = (self.size, *(self.action_space.shape or ()))
        if actions.shape != shape:
            raise ValueError(f"actions are {actions.shape}; expected {shape}")
        if isinstance(self.action_space, gymnasium.spaces.Discrete):
            sound = (
                np.issubdtype(actions.dtype, np.integer) and ((actions >= 0) & (actions < self.action_space.n)).all()
            )
        else:
            sound = np.isfinite(actions).all()
        if not sound:
            raise ValueError(f"actions are not all of the space {self.action_space}")

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        """Copies of all arrays that decide what happens next."""
        names = (*SHARED_STATE, *self.state_names)
        return {name: getattr(self, name).copy() for name in names} | {"streams": self.streams.states.copy()}

    def load_state_dict(self, state: Mapping[str, NDArray[np.generic]]) -> Floats:
        """Restore the state of which `state_dict` returned the arrays; return observations (E, S).

        A `KeyError` if one is missing.
        """
        for name in (*SHARED_STATE, *self.state_names):
            setattr(self, name, state[name].copy())
        self.streams = RandomStreams(np.zeros(len(self.stage), np.uint64))
        self.streams.states = state["streams"].astype(np.uint64)
        return self.observe()
