"""Tidying a house: everything that lies in a wrong place is to be brought where it belongs.

The manner is that of TextWorld Commonsense (Murugesan et al. 2021, arXiv 2010.03790), rules and commands are those of
TextWorld 1.7 (Côté et al. 2018, arXiv 1806.11532); tables, texts and code are our own. Containers are open at first.
The first time that a thing comes to one of its right places pays a point, which is kept if it is taken away again.
"""

from .families import Family
from .game import Scene
from .house import CONTAINERS, FLOOR
from .sentences import TIDY
from .tidy_plans import Plan, plan_of
from .tidy_rules import CARRIED, House


def make(family: Family, split: str, number: int) -> "Tidy":
    """Game `number` of a split, from 0 on."""
    return Tidy(f"{family.name}/{split}/{number}", plan_of(family.level, split, number), family.move_limit)


class Tidy:
    """One game; it obeys `game.Game`."""

    def __init__(self, name: str, plan: Plan, move_limit: int) -> None:
        self.name = name
        self.move_limit = move_limit
        self.house = House(plan)
        named = list(enumerate(self.house.places))
        self.right = [{n for n, place in named if place in thing.places} for thing in self.house.things]
        self.reset()

    def reset(self) -> Scene:
        """Begin anew; returns the first scene."""
        self.moment = self.house.moment(self.house.start)
        self.moves = 0
        self.paid = 0  # a bit for each thing that has come to a right place
        self.over = False
        return self._scene(TIDY["begin"])

    def step(self, index: int) -> Scene:
        """Give a command; returns the next scene. An `IndexError` for one that there is not."""
        if self.over or not 0 <= index < len(self.moment.actions):
            raise IndexError(f"{self.name} has no command {index} now")
        action = self.moment.actions[index]
        state, feedback = self.house.outcome(self.moment.state, action)
        self.moment = self.house.moment(state)
        self.moves += 1
        if action.kind in ("put", "insert") and action.place in self.right[action.thing]:
            feedback += self._pay(action.thing)
        self.over = self.over or self.moves >= self.move_limit
        return self._scene(feedback)

    def expert(self) -> int | None:
        """Put down what belongs here, take what does not, else go to the nearest room with something to do."""
        if self.over:
            return None
        state = self.moment.state
        ways = []
        for thing, place in enumerate(state.places):
            if not self.paid >> thing & 1:
                for goal in self.right[thing] if place == CARRIED else {place}:
                    ways.append((abs(self.house.room_of[goal] - state.room), place != CARRIED, thing, goal))
        distance, loose, thing, place = min(ways)
        name = self.house.places[place]
        if distance:
            return self._index("go", -1, state.room + (1 if self.house.room_of[place] > state.room else -1))
        if state.closed >> place & 1:
            return self._index("open", -1, place)
        if loose:
            return self._index("take up" if name == FLOOR else "take", thing, place)
        return self._index("insert" if name in CONTAINERS else "put", thing, place)

    def _index(self, kind: str, thing: int, place: int) -> int:
        return [action[1:] for action in self.moment.actions].index((kind, thing, place))

    def _pay(self, thing: int) -> str:
        """Pay for a thing in a right place, unless it was paid before; returns what is said of it."""
        if self.paid >> thing & 1:
            return ""
        self.paid |= 1 << thing
        self.over = self.paid.bit_count() == len(self.right)
        return f" {TIDY['paid']} {TIDY['won']}" if self.over else f" {TIDY['paid']}"

    def _scene(self, feedback: str) -> Scene:
        score = self.paid.bit_count()
        return Scene(
            observation=f"{feedback} {self.moment.look}",
            inventory=self.moment.inventory,
            commands=() if self.over else self.moment.commands,
            score=score,
            maximum=len(self.right),
            moves=self.moves,
            over=self.over,
            won=score == len(self.right),
        )
