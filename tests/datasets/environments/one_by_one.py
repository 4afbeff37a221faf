"""The staged environments again, one walker at a time and number by number, written from their descriptions."""

from collections import deque
from dataclasses import dataclass

MASK = 2**64 - 1


class Stream:
    """SplitMix64 in Python's whole numbers."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def bits(self) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        mixed = self.state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
        return mixed ^ (mixed >> 31)

    def integer(self, high: int) -> int:
        return int((self.bits() >> 11) / 2**53 * high)


@dataclass
class Feedback:
    reward: float
    success: bool
    stage_ended: bool
    episode_ended: bool


class Apple:
    """AppleRetrieval."""

    def __init__(self, distance: int, signal: float, horizon: int, stage: int, only: bool) -> None:
        self.distance = distance
        self.signal = signal
        self.horizon = horizon
        self.start = stage
        self.end = stage if only else 1
        self.begin()

    def begin(self) -> None:
        self.stage = self.start
        self.time = 0
        self.place = self.distance if self.stage else 0

    def look(self) -> list[float]:
        return [self.signal if self.stage else -self.signal]

    def step(self, action: int) -> tuple[list[float], Feedback]:
        self.time += 1
        wanted = 0 if self.stage else 1
        self.place = max(0, self.place + (1 if action else -1))
        success = self.place == (0 if self.stage else self.distance)
        seen = self.look()
        over = self.time == self.horizon or (success and self.stage == self.end)
        feedback = Feedback(1.0 if action == wanted else -1.0, success, success or self.time == self.horizon, over)
        if over:
            self.begin()
        elif success:
            self.stage = 1
        return seen, feedback


class Relay:
    """GridRelay."""

    moves = ((-1, 0), (1, 0), (0, -1), (0, 1))

    def __init__(self, goals: int, signal: float, horizon: int, stage: int, only: bool, seed: int) -> None:
        self.goals = goals
        self.signal = signal
        self.horizon = horizon
        self.start = stage
        self.end = stage if only else 1
        self.stream = Stream(seed)
        self.stage = self.start
        self.begin()

    def begin(self) -> None:
        self.time = self.found = 0
        self.place = (self.stream.integer(9), 0 if self.stage else 4)
        self.draw()

    def draw(self) -> None:
        if self.stage:
            self.goal = (self.stream.integer(9), 8)
        else:
            others = [(row, column) for row in range(9) for column in range(9) if (row, column) != self.place]
            self.goal = others[self.stream.integer(80)]

    def look(self) -> list[float]:
        seen = [float(cell == n) for cell in (*self.place, *self.goal) for n in range(9)]
        return [*seen, *(self.signal if self.stage == n else 0.0 for n in range(2))]

    def open(self, row: int, column: int) -> bool:
        if not (0 <= row < 9 and 0 <= column < 9):
            return False
        return not self.stage or column not in (2, 4, 6) or row == (0 if column == 4 else 8)

    def steps_to_goal(self) -> int:
        """The length of a shortest way, by breadth-first search."""
        seen = {self.place: 0}
        queue = deque([self.place])
        while queue:
            cell = queue.popleft()
            for down, right in self.moves:
                ahead = (cell[0] + down, cell[1] + right)
                if self.open(*ahead) and ahead not in seen:
                    seen[ahead] = seen[cell] + 1
                    queue.append(ahead)
        return seen[self.goal]

    def step(self, action: int) -> tuple[list[float], Feedback]:
        self.time += 1
        before = abs(self.place[0] - self.goal[0]) + abs(self.place[1] - self.goal[1])
        ahead = (self.place[0] + self.moves[action][0], self.place[1] + self.moves[action][1])
        self.place = ahead if self.open(*ahead) else self.place
        after = abs(self.place[0] - self.goal[0]) + abs(self.place[1] - self.goal[1])
        hit = after == 0
        self.found += hit
        success = hit and (self.stage == 1 or self.found == self.goals)
        reward = float(hit) + (0.0 if self.stage else 0.1 * (before - after))
        if hit and not success:
            self.draw()
        seen = self.look()
        late = self.time == self.horizon
        over = success if self.stage == self.end else False
        feedback = Feedback(reward, success, success or late, over or (late and not success))
        if feedback.episode_ended:
            self.stage = self.start
            self.begin()
        elif success:
            self.stage += 1
            self.begin()
        return seen, feedback
