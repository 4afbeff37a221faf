"""AppleRetrieval: walk right to an apple, then left back home (arXiv 2402.02868, Appendix A.2).

The observation tells the direction of the goal, but faintly. A policy with one weight and one bias that has learned
the way back unlearns it on the way there, the more so the further the apple and the fainter the observation.
"""

from typing import ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .stages import Actions, Flags, Floats, Rows, StagedEnvironment

MOST_SIGNAL = 1e6
LEFT = 0
RIGHT = 1


class AppleRetrieval(StagedEnvironment):
    """E walkers on a line that begins at 0.

    Action: 0 left, 1 right; one place a step. Observation (1,): minus `signal` on the way to the apple, plus `signal`
    on the way back. Reward 1 for a step in the right direction, -1 for one in the other. An episode has `horizon`
    steps at most, both ways together. Nothing is random. An episode that begins with the way back begins at the apple.
    """

    stages = ("to the apple", "back home")
    episode_clock: ClassVar[bool] = True
    state_names: ClassVar[tuple[str, ...]] = ("place",)

    place: NDArray[np.int64]  # (E,)

    def __init__(self, distance: int = 30, signal: float = 1.0, horizon: int = 100) -> None:
        """`distance` of the apple, the paper's M; size of the observation `signal`, its c; steps of an episode, its T.

        A `UserError` unless an episode is long enough to go there and back, and the signal positive.
        """
        if distance < 1 or horizon < 2 * distance:
            raise UserError(
                f"an apple {distance} steps away can't be fetched in {horizon} steps; give it 1 to {horizon // 2}"
            )
        if not 0 < signal <= MOST_SIGNAL:
            raise UserError(f"signal is {signal}; expected a positive number, {MOST_SIGNAL:g} at most")
        self.distance = distance
        self.signal = np.float32(signal)
        self.horizon = horizon
        self.observation_space = gymnasium.spaces.Box(-self.signal, self.signal, (1,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)

    def allocate(self, environments: int) -> None:
        """Make room for the places (E,)."""
        self.place = np.zeros(environments, np.int64)

    def enter(self, rows: Rows) -> None:
        """Put walkers home, or where the apple is."""
        self.place[rows] = self.stage[rows] * self.distance

    def move(self, actions: Actions) -> tuple[Floats, Flags]:
        """Walk one place; the line ends at 0, and goes on behind the apple."""
        back = self.stage == 1
        rewards = np.where((actions == LEFT) == back, np.float32(1), np.float32(-1))
        self.place = np.maximum(self.place + np.where(actions == RIGHT, 1, -1), 0)
        return rewards, np.where(back, self.place == 0, self.place == self.distance)

    def observe(self) -> Floats:
        """Observations (E, 1): which way lies the goal."""
        return np.where(self.stage == 1, self.signal, -self.signal)[:, None]

    def expert(self) -> NDArray[np.int64]:
        """Actions (E,): the step in the right direction."""
        return np.where(self.stage == 1, LEFT, RIGHT)
