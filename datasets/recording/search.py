"""Find the behaviour policies of the locomotion tasks: soft actor-critic, with a snapshot of its actor now and then.

The same task, seed and steps give the same weights on the same kind of processor with the same versions of NumPy and
simulator; elsewhere the last bits of a product differ, and with them, some thousand steps later, everything. Steps only
only decide when to stop: a longer search begins with the shorter one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from tqdm import tqdm

from ..counts import count
from ..environments.simulators import make_environment
from ..errors import UserError, choose
from ..tasks import TASKS, Task
from ..trajectories import Array
from .actors import Actor, Players, play, save_players, shipped
from .perceptron import Perceptrons
from .sac import Replay, Settings, SoftActorCritic

ALGORITHM = "soft actor-critic"

STEPS: dict[str, int] = {"hopper": 206_000, "halfcheetah": 154_000, "walker2d": 192_250, "ant": 250_250}

REPLAY_ACTORS = 10  # how many from the first snapshot to the medium one ship, evenly chosen: 10 kB each
LEAST_SPREAD = 0.2  # radians, metres, or either per second
SPACING = 250  # the n-th snapshot is taken 250 times n squared steps after the random ones
EPISODES = 10  # with which each snapshot is evaluated
FRESH_EPISODES = 20  # with which the chosen ones are evaluated again: the best of many evaluations flatters
# The seeds of both kinds of episodes, for every search alike; recordings take theirs from other sequences.
EVALUATION_SEEDS, FRESH_SEEDS = (
    [int(seed) for seed in np.random.SeedSequence(entropy).generate_state(count, np.uint64)]
    for entropy, count in ((710_001, EPISODES), (710_002, FRESH_EPISODES))
)
MEDIUM_SCORE = 100 / 3
RISING_SCORE = 50.0


# Observation, action, reward, next observation, and whether the episode terminated there.
Transition = tuple[Array, Array, float, Array, bool]


@dataclass(frozen=True)
class Snapshot:
    """The actor at some point of the search, and how well its draws play."""

    step: int  # environment steps of the search until then
    actor: Actor
    mean_return: float  # over EPISODES episodes
    score: float  # the same, normalised


def search_players(
    task_name: str, output: Path, seed: int = 0, steps: int = 0, report: Callable[[Snapshot], None] | None = None
) -> Players:
    """Search, choose and write the players of a task to `output`; 0 steps means the task's own number.

    `report` is told of every snapshot. A `UserError` says what is wrong with the arguments.
    """
    task = TASKS[choose("task to search players for", task_name, list(STEPS))]
    if output.exists():
        raise UserError(f"{output} is there already; delete it, or name another file: --output FILE")
    if seed < 0:
        raise UserError(f"seed {seed}: expected 0 or more; for example --seed 0")
    settings = Settings()
    steps = steps or STEPS[task.name]
    if steps < (fewest := settings.random_steps + SPACING):
        raise UserError(
            f"{count(steps, 'step')}: expected at least {fewest}, after which the first actor is kept; or --steps 0"
        )
    snapshots = []
    for snapshot in search(task, settings, seed, steps):
        snapshots.append(snapshot)
        if report:
            report(snapshot)
    players = choose_players(task, snapshots, settings, {"seed": seed, "steps": steps})
    save_players(output, players)
    return players


def snapshot_steps(settings: Settings, steps: int) -> list[int]:
    """The environment steps after which an actor is kept: further and further apart, as returns rise fast at first."""
    squares = range(1, 1 + int(((steps - settings.random_steps) / SPACING) ** 0.5))
    return [settings.random_steps + SPACING * n**2 for n in squares]


def search(task: Task, settings: Settings, seed: int, steps: int) -> Iterator[Snapshot]:
    """Train for that many environment steps and yield the actor, evaluated, at each of `snapshot_steps`."""
    env = make_environment(task)
    evaluation_env = make_environment(task)
    keep = snapshot_steps(settings, steps)
    env_seed, random_seed = (int(s) for s in np.random.SeedSequence(seed).generate_state(2))
    rng = np.random.default_rng(random_seed)
    observation, _ = env.reset(seed=env_seed)
    walk = random_walk(env, observation, settings.random_steps, rng)
    centre, scale = normalisation(np.stack([step[0] for step in walk]))
    learner = SoftActorCritic(len(centre), len(walk[0][1]), settings, rng)
    actor = Actor(centre, scale, layers_of(learner.actor))
    replay = Replay(steps, len(centre), len(walk[0][1]))
    for before, action, paid, after, terminal in walk:
        replay.add(actor.observe(before), action, paid, actor.observe(after), terminal)
    observation, _ = env.reset()
    rest = range(settings.random_steps + 1, steps + 1)
    for step in tqdm(rest, desc=f"searching {task.name}", unit=" steps", leave=False, disable=None):
        action = actor.act(observation, rng)
        after, reward, terminated, truncated, _ = env.step(action)
        replay.add(actor.observe(observation), action, float(reward), actor.observe(after), terminated)
        observation = env.reset()[0] if terminated or truncated else after
        learner.update(replay.sample(rng, settings.batch_size))
        if step in keep:
            yield evaluate(evaluation_env, task, shipped(actor), step)


def random_walk(env: gymnasium.Env, observation: Array, steps: int, rng: np.random.Generator) -> list[Transition]:
    """Take `steps` uniformly random actions, in an environment that has just been reset."""
    walk: list[Transition] = []
    for _ in range(steps):
        action = rng.uniform(-1.0, 1.0, env.action_space.shape).astype(np.float32)
        after, reward, terminated, truncated, _ = env.step(action)
        walk.append((observation, action, float(reward), after, terminated))
        observation = env.reset()[0] if terminated or truncated else after
    return walk


def normalisation(observations: Array) -> tuple[Array, Array]:
    """Mean and spread, (S,) float32 each, of the numbers with which (T, >= S) observations of random actions begin.

    The spread is the standard deviation, but at least LEAST_SPREAD: Hopper's height hardly varies until it learns to
    hop, and then by 25 of its standard deviations. Constants at the end are left out: Ant's last 84 of 111 are zeros.
    """
    deviation = observations.std(axis=0)
    size = int(np.flatnonzero(deviation)[-1]) + 1
    spread = np.maximum(deviation[:size], LEAST_SPREAD)
    return observations[:, :size].mean(axis=0).astype(np.float32), spread.astype(np.float32)


def layers_of(actor: Perceptrons) -> tuple[tuple[Array, Array], ...]:
    """The weights and biases of one network as views, which follow its training."""
    return tuple((weight[0].T, bias[0, 0]) for weight, bias in zip(actor.weights, actor.biases, strict=True))


def evaluate(env: gymnasium.Env, task: Task, actor: Actor, step: int) -> Snapshot:
    """The actor with its mean return over the evaluation's fixed episodes."""
    mean_return = float(np.mean([play(env, actor, seed) for seed in EVALUATION_SEEDS]))
    return Snapshot(step, actor, mean_return, task.normalise(mean_return))


def choose_medium(snapshots: Sequence[Snapshot]) -> int:
    """The index of the snapshot whose score is nearest a third of an expert's, on the way up.

    Only snapshots until the first that scores 50 count, so that a good search's later stumble is not taken for it.
    """
    risen = next((n for n, snapshot in enumerate(snapshots) if snapshot.score >= RISING_SCORE), len(snapshots) - 1)
    return min(range(risen + 1), key=lambda n: abs(snapshots[n].score - MEDIUM_SCORE))


def choose_replay(medium: int) -> list[int]:
    """Indices of REPLAY_ACTORS snapshots, or as many as there are, evenly from the first to the medium one."""
    return [round(n) for n in np.linspace(0, medium, min(REPLAY_ACTORS, medium + 1))]


def choose_players(task: Task, snapshots: Sequence[Snapshot], settings: Settings, run: dict[str, Any]) -> Players:
    """The medium snapshot, those on the way to it, and the best one; medium and best are evaluated again."""
    replay = [snapshots[n] for n in choose_replay(choose_medium(snapshots))]
    expert = max(snapshots, key=lambda snapshot: snapshot.mean_return)
    env = make_environment(task)
    facts = run | {
        "task": task.name,
        "algorithm": ALGORITHM,
        "settings": asdict(settings),
        "curve": [[snapshot.step, round(snapshot.mean_return, 1)] for snapshot in snapshots],
        "replay_steps": [snapshot.step for snapshot in replay],
        "medium": _fresh_returns(env, replay[-1]),
        "expert": _fresh_returns(env, expert),
        "versions": {package: version(package) for package in ("numpy", "gymnasium", task.simulator)},
    }
    return Players(tuple(s.actor for s in replay), expert.actor, facts)


def _fresh_returns(env: gymnasium.Env, snapshot: Snapshot) -> dict[str, float]:
    """Mean returns over episodes that had no part in choosing the snapshot."""
    drawn = [play(env, snapshot.actor, seed) for seed in FRESH_SEEDS]
    means = [play(env, snapshot.actor, seed, drawn=False) for seed in FRESH_SEEDS]
    return {
        "step": snapshot.step,
        "mean_return": round(float(np.mean(drawn)), 1),
        "standard_deviation": round(float(np.std(drawn)), 1),
        "mean_return_of_mean_actions": round(float(np.mean(means)), 1),
    }
