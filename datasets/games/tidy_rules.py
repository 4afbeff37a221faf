"""The rules of the house, those of TextWorld 1.7: all that can be seen and done there, and the outcome.

Everything that can be said about a state is worked out once and kept, so a step is a look-up where play comes back to
a state, and puts together sentences that are known where it does not.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from .house import CONTAINERS, FLOOR, ROOM_OF, ROOMS, THINGS
from .sentences import TIDY
from .tidy_plans import OPPOSITE, Plan

CARRIED = -1  # the place of a thing that the player carries
MOST_MOMENTS = 2000  # that a house remembers; about a kilobyte each


class State(NamedTuple):
    """Everything that can change in a house; places are numbers, as in `House.places`."""

    room: int
    places: tuple[int, ...]  # of each thing: a holder, a floor, or `CARRIED`
    closed: int  # a bit for each place that is a closed container


class Action(NamedTuple):
    """A command, and what it is about: numbers of a thing, and of a place or of the room ahead; -1: none."""

    text: str
    kind: str  # the name of its template
    thing: int = -1
    place: int = -1


@dataclass(frozen=True)
class Moment:
    """A state in words, and what can be done in it."""

    state: State
    look: str
    inventory: str
    commands: tuple[str, ...]
    actions: tuple[Action, ...]  # of the commands


class House:
    """The rooms of a plan, the places in them, and what happens there. Only `State` changes; a house never does."""

    def __init__(self, plan: Plan) -> None:
        holders = [holder for room in plan.rooms for holder in ROOMS[room]]
        self.rooms = plan.rooms
        self.places = [*holders, *([FLOOR] * len(plan.rooms))]  # names by number
        self.room_of = [*(plan.rooms.index(ROOM_OF[holder]) for holder in holders), *range(len(plan.rooms))]
        self.places_in = [[n for n, at in enumerate(self.room_of) if at == room] for room in range(len(plan.rooms))]
        self.exits = _exits(plan)  # the direction to each room that is next to a room
        self.things = [THINGS[thing] for thing in plan.things]
        numbers = {name: number for number, name in enumerate([*holders, *plan.rooms])}
        self.start = State(0, tuple(numbers[start] for start in plan.starts), 0)
        self._moments: dict[State, Moment] = {}
        self._known: dict[tuple[object, ...], tuple[Action, ...]] = {}

    def moment(self, state: State) -> Moment:
        """The state in words; its commands are in alphabetical order."""
        moment = self._moments.get(state)
        if moment is None:
            if len(self._moments) >= MOST_MOMENTS:
                self._moments.clear()
                self._known.clear()
            lying: dict[int, list[str]] = {}
            for thing, place in zip(self.things, state.places, strict=True):
                lying.setdefault(place, []).append(thing.phrase)
            actions = tuple(sorted(self._actions(state), key=itemgetter(0)))
            commands = tuple([action.text for action in actions])
            carried = _listed(lying.get(CARRIED, ()))
            inventory = TIDY["carrying"].format(things=carried) if carried else TIDY["carrying nothing"]
            moment = Moment(state, " ".join(self._look(state, lying)), inventory, commands, actions)
            self._moments[state] = moment
        return moment

    def _look(self, state: State, lying: dict[int, list[str]]) -> Iterator[str]:
        """The sentences that tell what is around, given what lies in each place."""
        yield TIDY["room"].format(room=self.rooms[state.room])
        for place in self.places_in[state.room]:
            things = lying.get(place)
            if things or self.places[place] != FLOOR:
                yield _told(self.places[place], bool(state.closed >> place & 1), tuple(things or ()))
        for direction in self.exits[state.room].values():
            yield TIDY["exit"].format(direction=direction)

    def _actions(self, state: State) -> Iterator[Action]:
        """Everything that can be done, in no order."""
        yield from self._once(self._actions_around, state.room, state.closed)
        for thing, place in enumerate(state.places):
            if place == CARRIED:
                yield from self._once(self._actions_with, thing, state.room, state.closed)
            elif self.room_of[place] == state.room and not state.closed >> place & 1:
                yield from self._once(self._actions_towards, thing, place)

    def _once(self, find: Callable[..., Iterator[Action]], *given: int) -> tuple[Action, ...]:
        """The actions that `find` finds, worked out the first time that the same is asked."""
        key = (find.__name__, *given)
        if key not in self._known:
            self._known[key] = tuple(find(*given))
        return self._known[key]

    def _actions_around(self, room: int, closed: int) -> Iterator[Action]:
        """Everything that can be done without a thing."""
        yield Action(TIDY["look"], "look")
        yield Action(TIDY["inventory"], "inventory")
        for ahead, direction in self.exits[room].items():
            yield Action(TIDY["go"].format(direction=direction), "go", -1, ahead)
        for place in self.places_in[room]:
            name = self.places[place]
            if name != FLOOR:
                yield Action(TIDY["examine"].format(thing=name), "examine", -1, place)
            if name in CONTAINERS:
                kind = "open" if closed >> place & 1 else "close"
                yield Action(TIDY[kind].format(holder=name), kind, -1, place)

    def _actions_with(self, thing: int, room: int, closed: int) -> Iterator[Action]:
        """Everything that can be done with a thing that is carried."""
        name = self.things[thing].name
        yield Action(TIDY["examine"].format(thing=name), "examine", thing)
        yield Action(TIDY["drop"].format(thing=name), "drop", thing)
        for place in self.places_in[room]:
            holder = self.places[place]
            if holder != FLOOR and not closed >> place & 1:
                kind = "insert" if holder in CONTAINERS else "put"
                yield Action(TIDY[kind].format(thing=name, holder=holder), kind, thing, place)

    def _actions_towards(self, thing: int, place: int) -> Iterator[Action]:
        """Everything that can be done with a thing that lies within reach."""
        name = self.things[thing].name
        kind = "take up" if self.places[place] == FLOOR else "take"
        yield Action(TIDY["examine"].format(thing=name), "examine", thing)
        yield Action(TIDY[kind].format(thing=name, holder=self.places[place]), kind, thing, place)

    def outcome(self, state: State, action: Action) -> tuple[State, str]:
        """The state that an action leads to, and what is said of it."""
        place = action.place
        thing = self.things[action.thing].name
        holder = self.places[place]
        match action.kind:
            case "take" | "take up":
                return _moved(state, action.thing, CARRIED), TIDY["took"].format(thing=thing, holder=holder)
            case "put":
                return _moved(state, action.thing, place), TIDY["did put"].format(thing=thing, holder=holder)
            case "insert":
                return _moved(state, action.thing, place), TIDY["inserted"].format(thing=thing, holder=holder)
            case "drop":
                floor = len(self.places) - len(self.rooms) + state.room
                return _moved(state, action.thing, floor), TIDY["dropped"].format(thing=thing)
            case "open":
                return state._replace(closed=state.closed & ~(1 << place)), TIDY["opened"].format(holder=holder)
            case "close":
                return state._replace(closed=state.closed | 1 << place), TIDY["shut"].format(holder=holder)
            case "go":
                return state._replace(room=place), TIDY["went"].format(direction=self.exits[state.room][place])
            case "examine":
                return state, TIDY["examined"].format(thing=thing if action.thing >= 0 else holder)
            case "look":
                return state, TIDY["looked"]
        return state, TIDY["counted"]


def _moved(state: State, thing: int, place: int) -> State:
    return state._replace(places=(*state.places[:thing], place, *state.places[thing + 1 :]))


def _exits(plan: Plan) -> list[dict[int, str]]:
    exits: list[dict[int, str]] = [{} for _ in plan.rooms]
    for room, direction in enumerate(plan.doors):
        exits[room][room + 1] = direction
        exits[room + 1][room] = OPPOSITE[direction]
    return exits


@lru_cache(maxsize=10_000)
def _told(name: str, closed: bool, things: tuple[str, ...]) -> str:
    """The sentence about a place."""
    if closed:
        return TIDY["closed in"].format(holder=name)
    kind = "in" if name in CONTAINERS else "on"
    if things:
        return TIDY[kind].format(holder=name, things=_listed(things))
    return TIDY[f"nothing {kind}"].format(holder=name)


def _listed(phrases: Sequence[str]) -> str:
    """The phrases as one: "a fork, some milk and a ladle"."""
    return " and ".join(filter(None, (", ".join(phrases[:-1]), *phrases[-1:])))
