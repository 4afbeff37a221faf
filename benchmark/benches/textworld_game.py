"""A house of `tidy` as a game of TextWorld 1.7 itself, to be measured beside ours and to be compared with it.

pip install --no-deps textworld==1.7.0 jericho tatsu==5.8.3 more_itertools hashids mementos termcolor
"""

from pathlib import Path

from ...datasets.games.house import CONTAINERS, ROOMS, THINGS
from ...datasets.games.tidy_plans import OPPOSITE, Plan


def build(plan: Plan, story: Path) -> None:
    """Make the house with TextWorld's own maker of games, and compile it; takes a second."""
    from textworld import GameMaker, GameOptions
    from textworld.generator import compile_game
    from textworld.generator.game import Event, Quest

    options = GameOptions()
    options.path = str(story)
    options.seeds = 1
    maker = GameMaker(options)
    rooms = {name: maker.new_room(name) for name in plan.rooms}
    for first, second, direction in zip(plan.rooms, plan.rooms[1:], plan.doors, strict=False):
        maker.connect(getattr(rooms[first], direction), getattr(rooms[second], OPPOSITE[direction]))
    maker.set_player(rooms[plan.rooms[0]])
    places = dict(rooms)
    for name in plan.rooms:
        for holder in ROOMS[name]:
            places[holder] = maker.new(type="c" if holder in CONTAINERS else "s", name=holder)
            if holder in CONTAINERS:
                places[holder].add_property("open")
            rooms[name].add(places[holder])
    for name, start in zip(plan.things, plan.starts, strict=True):
        thing = maker.new(type="o", name=name)
        places[start].add(thing)
        right = [places[place] for place in THINGS[name].places if place in places]
        facts = [maker.new_fact("in" if place.type == "c" else "on", thing, place) for place in right]
        maker.quests.append(Quest(win_events=[Event(conditions={fact}) for fact in facts], reward=1))
    compile_game(maker.build(), options)
