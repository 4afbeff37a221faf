"""GridRelay: goals in an open room, then one in a maze; AppleRetrieval's question for a network.

A policy that knows the maze and not the room has to learn the room, with the same network, before it sees the maze
again. The more goals the room has, the longer that takes.
"""

from typing import ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .apple_retrieval import MOST_SIGNAL
from .stages import Actions, Flags, Floats, Rows, StagedEnvironment

SIDE = 9  # cells along a room
STEPS = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)])  # of the actions: up, down, left, right, as (row, column)
PROGRESS = np.float32(0.1)  # reward of a step nearer to a goal in the open room
ROOM = 0
MAZE = 1


def maze_walls() -> NDArray[np.bool_]:
    """A mask (9, 9) of walls: three from side to side, each with one gap, at the bottom, the top and the bottom."""
    walls = np.zeros((SIDE, SIDE), bool)
    walls[:, (2, 4, 6)] = True
    walls[(SIDE - 1, 0, SIDE - 1), (2, 4, 6)] = False
    return walls


WALLS = maze_walls()


class GridRelay(StagedEnvironment):
    """E walkers in rooms of 9 x 9 cells.

    Actions: 0 up, 1 down, 2 left, 3 right; a wall keeps a walker where it is. In the open room, `goals` cells, drawn
    one after another, have to be reached, each for a reward of 1 and 0.1 for every step nearer. The maze has one goal,
    in its last column, for a reward of 1 and nothing on the way; walkers start in its first column. Each room has
    `horizon` steps. Observation (38,): row, column, row of the goal, column of the goal, each one-hot (9), and the
    room, one-hot (2) times `signal`.
    """

    stages = ("room", "maze")
    state_names: ClassVar[tuple[str, ...]] = ("place", "goal", "reached")

    place: NDArray[np.int64]  # (E, 2) row and column
    goal: NDArray[np.int64]  # (E, 2)
    reached: NDArray[np.int64]  # (E,) goals of the room so far

    def __init__(self, goals: int = 8, signal: float = 0.2, horizon: int = 80) -> None:
        """Raise a `UserError` unless there is a goal, the signal is not negative, and there is time for a step."""
        if goals < 1 or horizon < 1:
            raise UserError(f"goals is {goals} and horizon {horizon}; expected 1 or more of each")
        if not 0 <= signal <= MOST_SIGNAL:
            raise UserError(f"signal is {signal}; expected 0 to {MOST_SIGNAL:g}")
        self.goals = goals
        self.signal = np.float32(signal)
        self.horizon = horizon
        high = np.array([1] * (4 * SIDE) + [self.signal] * 2, np.float32)
        self.observation_space = gymnasium.spaces.Box(np.zeros_like(high), high)
        self.action_space = gymnasium.spaces.Discrete(len(STEPS))

    def allocate(self, environments: int) -> None:
        """Make room for places and goals (E, 2) and the goals that were reached (E,)."""
        self.place = np.zeros((environments, 2), np.int64)
        self.goal = np.zeros((environments, 2), np.int64)
        self.reached = np.zeros(environments, np.int64)

    def enter(self, rows: Rows) -> None:
        """Draw starts and goals: of the room, a start in the middle column; of the maze, one in the first."""
        in_maze = self.stage[rows] == MAZE
        self.place[rows, 0] = self.streams.integers(SIDE, rows)
        self.place[rows, 1] = np.where(in_maze, 0, SIDE // 2)
        self.reached[rows] = 0
        self._draw_goals(rows[~in_maze])
        maze = rows[in_maze]
        self.goal[maze, 0] = self.streams.integers(SIDE, maze)
        self.goal[maze, 1] = SIDE - 1

    def _draw_goals(self, rows: Rows) -> None:
        """Draw the next goal in the room, any cell but the walker's own."""
        own = self.place[rows, 0] * SIDE + self.place[rows, 1]
        cells = self.streams.integers(SIDE * SIDE - 1, rows)
        cells += cells >= own
        self.goal[rows, 0] = cells // SIDE
        self.goal[rows, 1] = cells % SIDE

    def move(self, actions: Actions) -> tuple[Floats, Flags]:
        """Walk one cell, unless there is a wall."""
        in_maze = self.stage == MAZE
        before = np.abs(self.place - self.goal).sum(axis=1)
        ahead = np.clip(self.place + STEPS[actions], 0, SIDE - 1)
        blocked = in_maze & WALLS[ahead[:, 0], ahead[:, 1]]
        self.place = np.where(blocked[:, None], self.place, ahead)
        after = np.abs(self.place - self.goal).sum(axis=1)
        found = after == 0
        self.reached += found
        done = self.reached >= np.where(in_maze, 1, self.goals)
        rewards = found + np.where(in_maze, np.float32(0), PROGRESS * (before - after))
        if (more := found & ~done).any():
            self._draw_goals(np.flatnonzero(more))
        return rewards.astype(np.float32), done

    def observe(self) -> Floats:
        """Observations (E, 38), as the class says."""
        rows = np.arange(self.size)
        seen = np.zeros((self.size, 4 * SIDE + 2), np.float32)
        for number, cells in enumerate((*self.place.T, *self.goal.T)):
            seen[rows, number * SIDE + cells] = 1.0
        seen[rows, 4 * SIDE + self.stage] = self.signal
        return seen

    def expert(self) -> NDArray[np.int64]:
        """The first step (E,) of a shortest way to the goal; among several, the first in the order of the actions."""
        place = self.place.T
        goal = self.goal.T
        actions: NDArray[np.int64] = EXPERT[self.stage, goal[0], goal[1], place[0], place[1]]
        return actions


def distances(walls: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Steps (9, 9, 9, 9) from each cell to each goal, both (row, column), goal first; a large number if none leads.

    All shortest ways grow by one step at a time.
    """
    far = SIDE**4
    steps = np.full((SIDE,) * 4, far)
    cells = np.argwhere(~walls)
    steps[cells[:, 0], cells[:, 1], cells[:, 0], cells[:, 1]] = 0
    for _ in range(SIDE * SIDE):
        around = np.pad(steps, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=far)
        nearest = np.min(
            [around[:, :, 1 + down : SIDE + 1 + down, 1 + right : SIDE + 1 + right] for down, right in STEPS], 0
        )
        steps = np.where(walls, far, np.minimum(steps, nearest + 1))
    return steps


def shortest_ways(walls: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Actions (9, 9, 9, 9) by goal and cell, of a step to the cell that is nearest to the goal."""
    steps = np.pad(distances(walls), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=SIDE**4)
    ahead = [steps[:, :, 1 + down : SIDE + 1 + down, 1 + right : SIDE + 1 + right] for down, right in STEPS]
    nearest: NDArray[np.int64] = np.stack(ahead).argmin(axis=0)
    return nearest


EXPERT = np.stack([shortest_ways(np.zeros((SIDE, SIDE), bool)), shortest_ways(WALLS)])  # (2, 9, 9, 9, 9) by room
