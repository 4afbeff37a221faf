"""The player of FrankaKitchen: demonstrations by a scripted arm, each with an order, a noise and a speed of its own.

D4RL's kitchen data are people's: 19 demonstrations of all four sub-goals in order (`complete`), and 601 that do four of
seven sub-tasks in various orders, of which some (`partial`) or none (`mixed`) do all four sub-goals (Fu et al. 2020,
arXiv:2004.07219). These are their analogues by a machine, and less varied than people are. An action is the script's
plus white noise, cut to the range of actions. The scripts read the simulator's state, of which an observation holds the
positions with a little noise.

The environment ends a demonstration when all of the task's sub-goals are done, or at the horizon. One that has come to
the end of its order before holds still for `STILL` steps and stops; as nothing of the environment's has ended, its last
step is a timeout. (D4RL's files call the end of every demonstration terminal.)

Scripts and ranges were tuned on environment and player seeds that no recording uses.
"""

from collections.abc import Callable
from dataclasses import dataclass

import gymnasium
import numpy as np

from ..kitchen import DONE_WITHIN
from ..tasks import TASKS
from .kitchen_arm import CLOSED, Arm, Motion
from .kitchen_scripts import SCRIPTS, distance
from .part import Part

ALGORITHM = "scripted arm, by inverse kinematics, with an order, white noise and a speed of its own per episode"

STILL = 10
JITTER = (0.005, 0.02)  # metres: standard deviation of where a script goes; uniform over episodes
SPEED = (0.75, 1.1)  # of a script's joint turns; uniform over episodes
CAREFUL = (0.02, 0.12)  # standard deviation of an action's noise, where actions lie in -1 to 1; uniform over episodes
CLUMSY = (0.15, 0.40)  # the same for players who often fail, and try once only

TARGET = TASKS["kitchen"].sub_goals
MIXED_TARGET = TASKS["kitchen-mixed"].sub_goals


@dataclass(frozen=True)
class Demonstration:
    """The plan of an episode, drawn before it begins."""

    order: tuple[str, ...]  # the sub-tasks, one after the other
    noise: float
    jitter: float
    speed: float
    attempts: int  # at a sub-task, before the next one's turn comes


def play_episode(env: gymnasium.Env, grade: str, part: Part) -> None:
    """Play one episode; all of it follows from the grade and the part."""
    env_seed, player_seed = (int(s) for s in np.random.SeedSequence(part.seed).generate_state(2))
    rng = np.random.default_rng(player_seed)
    demonstration = GRADES[grade](rng, part.number)
    env.reset(seed=env_seed)
    for action in perform(Arm(env, demonstration.speed), demonstration, rng):
        noisy = action + demonstration.noise * rng.standard_normal(len(action))
        _, _, terminated, truncated, _ = env.step(np.clip(noisy, -1.0, 1.0))
        if terminated or truncated:
            return


def perform(arm: Arm, demonstration: Demonstration, rng: np.random.Generator) -> Motion:
    """The actions of a demonstration, before noise."""
    for name in demonstration.order:
        for _ in range(demonstration.attempts):
            yield from SCRIPTS[name](arm, rng.normal(0.0, demonstration.jitter, 3))
            if distance(arm, name) < DONE_WITHIN:
                break
    yield from arm.hold(CLOSED, STILL)


def complete(rng: np.random.Generator, number: int) -> Demonstration:
    """All four sub-goals in their order, carefully."""
    return _demonstration(rng, TARGET, clumsy=False)


def partial(rng: np.random.Generator, number: int) -> Demonstration:
    """Every fifth demonstration is of all four sub-goals in order, the others of anything; a quarter are clumsy."""
    order = TARGET if number % 5 == 0 else any_order(rng)
    return _demonstration(rng, order, clumsy=rng.random() < 0.25)


def mixed(rng: np.random.Generator, number: int) -> Demonstration:
    """Demonstrations of anything but of all four of the mixed task's sub-goals; a quarter are clumsy."""
    order = any_order(rng)
    while set(order) >= set(MIXED_TARGET):
        order = any_order(rng)
    return _demonstration(rng, order, clumsy=rng.random() < 0.25)


GRADES: dict[str, Callable[[np.random.Generator, int], Demonstration]] = {
    "complete": complete,
    "partial": partial,
    "mixed": mixed,
}


def any_order(rng: np.random.Generator) -> tuple[str, ...]:
    """Two to four of all sub-tasks: half of the time in the order of `SCRIPTS`, else in any.

    The hinge cabinet is always last: what is done near its open door afterwards would shut it, or not be done at all.
    """
    names = list(SCRIPTS)
    count = rng.choice([2, 3, 4], p=[0.1, 0.2, 0.7])
    chosen = [names[index] for index in rng.permutation(len(names))[:count]]
    if rng.random() < 0.5:
        chosen.sort(key=names.index)
    return tuple(sorted(chosen, key=lambda name: name == "hinge cabinet"))


def _demonstration(rng: np.random.Generator, sub_tasks: tuple[str, ...], clumsy: bool) -> Demonstration:
    noise = rng.uniform(*(CLUMSY if clumsy else CAREFUL))
    return Demonstration(sub_tasks, noise, rng.uniform(*JITTER), rng.uniform(*SPEED), attempts=1 if clumsy else 3)
