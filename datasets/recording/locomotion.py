"""The player of Hopper, HalfCheetah, Walker2d and Ant: small neural policies that this suite's own search found.

`search.py` found them, `lamobench data search TASK` does it again, and `assets/players/` holds what ships: for each
task some of the search's actors from its first snapshot until the medium one, and the best one it came to. They are the
stochastic policies of soft actor-critic, as those behind D4RL's sets are, and every action is drawn from them, in the
search, in its evaluations and here.

- `medium`: the actor whose mean return was nearest a third of the expert's reference return.
- `medium-replay`: the actors from the first to the medium one, in the search's order, each for an equal share of the
  episodes. It plays the search's policies anew, rather than storing its replay buffer, which would be hundreds of
  megabytes where this is a hundred kilobytes. So the uniformly random actions at the start of a search are not in it,
  an episode is played by one actor to its end, and actors are spaced as `search.snapshot_steps` says.
- `medium-expert`: the first half of the episodes by the medium actor, the second half by the best one that was found,
  called expert as in D4RL although it need not score 100.
"""

from functools import cache

import gymnasium

from ..errors import choose
from .actors import PLAYERS_FOLDER, Actor, Players, load_players, play
from .part import Part

ALGORITHM = "soft actor-critic, the policies of this suite's own search"
GRADES = ["medium", "medium-replay", "medium-expert"]


@cache
def players(task_name: str) -> Players:
    """The players that ship with the suite for that task."""
    return load_players(PLAYERS_FOLDER / f"{task_name}.safetensors")


def play_episode(task_name: str, env: gymnasium.Env, grade: str, part: Part) -> None:
    """Play one episode; the start and the draws follow from the part's seed, the actor from grade and number."""
    play(env, choose_actor(players(task_name), grade, part), part.seed)


def choose_actor(known: Players, grade: str, part: Part) -> Actor:
    """The actor that plays that episode of a recording of that grade."""
    choose("grade", grade, GRADES)
    if grade == "medium-replay":
        return known.replay[part.number * len(known.replay) // part.total]
    if grade == "medium-expert" and 2 * part.number >= part.total:
        return known.expert
    return known.medium
