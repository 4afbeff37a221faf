"""Measure typical costs: python -m lamobench.tests.benchmark.sweep.typical_costs [METHOD ...]

Every method in the cpu profile, on data made of noise: on vectors (Reacher2d's, and CartPole's with discrete actions)
and on frames (Breakout's). Processor time on one core: medians, so that what else the machine does counts little.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import gymnasium
import numpy as np
import torch

from lamobench.benchmark.offline.cpu_settings import CPU
from lamobench.benchmark.offline.loop import Training
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.offline.rollout import rollout
from lamobench.benchmark.offline.settings import IMPORTED
from lamobench.benchmark.runs.methods import METHODS, methods_of
from lamobench.datasets import cache
from lamobench.datasets.catalog import find_task
from lamobench.datasets.entries import DATASETS, Dataset, Recorded
from lamobench.datasets.environments.simulators import make_environment
from lamobench.datasets.tasks import TASKS, Task
from lamobench.datasets.trajectories import Provenance, Trajectories

EPISODES = 40
LENGTH = 50
BLOCKS = 7
UPDATES = 10
STEPS = 30
MANY = 20
CARTPOLE = Task(
    name="cartpole",
    env_id="CartPole-v1",
    simulator="gymnasium",
    horizon=500,
    reference_scores=(0.0, 500.0),
    score_source="a measurement",
    target_returns=(500.0,),
    return_scale=500.0,
)


class Still(gymnasium.Env):
    """An environment that takes no time: the same observation at each of `STEPS` steps."""

    def __init__(self, model: gymnasium.Env) -> None:
        self.observation_space = model.observation_space
        self.action_space = model.action_space
        self.observation = model.reset(seed=0)[0]
        self.left = 0

    def reset(self, **_: Any) -> Any:
        """The first of its steps."""
        self.left = STEPS
        return self.observation, {}

    def step(self, action: Any) -> Any:
        """One step less is left."""
        self.left -= 1
        return self.observation, 0.0, False, self.left == 0, {}


def noise(name: str) -> None:
    """Put a data set of random steps of a task's spaces into the cache, as what the name stands for."""
    task = find_task(name.removesuffix("-noise"))
    rng = np.random.default_rng(0)
    steps = EPISODES * LENGTH
    environment = make_environment(task)
    space: Any = environment.action_space
    first = environment.reset(seed=0)[0]
    source = Recorded(EPISODES, f"noise/{task.name}-v0", 0)
    DATASETS[name] = Dataset(name, task.name, "noise", (source,), ())
    ends = np.arange(steps) % LENGTH == LENGTH - 1

    def observations(count: int) -> Any:
        shape = (count, *first.shape)
        return rng.integers(0, 256, shape, np.uint8) if task.frame_stack else rng.normal(size=shape).astype(np.float32)

    def actions() -> Any:
        if hasattr(space, "n"):
            return rng.integers(0, space.n, steps)
        return rng.uniform(-1, 1, (steps, *space.shape)).astype(np.float32)

    cache.save(
        Trajectories(
            observations=observations(steps),
            actions=actions(),
            rewards=rng.uniform(0, 1, steps).astype(np.float32),
            terminals=np.zeros(steps, bool),
            timeouts=ends,
            offsets=np.arange(0, steps + 1, LENGTH),
            last_observations=observations(EPISODES),
            provenance=Provenance(name, "recorded", "noise", task.env_id, task.simulator),
        )
    )


def processor_seconds(work: Callable[[], Any], times: int) -> float:
    """The median over `BLOCKS` of the processor time of doing something so often, for each."""
    work()
    took = []
    for _ in range(BLOCKS):
        started = time.process_time()
        for _ in range(times):
            work()
        took.append((time.process_time() - started) / times)
    return median(took)


def measure(dataset: str, method: str, folder: Path) -> tuple[float, float, float]:
    """Seconds of an update, of a step of acting in one episode, and of what each further episode adds to it."""
    config = resolve(RunRequest(dataset, method))
    training = Training(config, folder, torch.device("cpu"), lambda done, total: None)
    training.policy.train()
    update = processor_seconds(partial(training.update, 1), UPDATES)
    like = make_environment(find_task(config.task))

    def act(episodes: int) -> float:
        play = partial(rollout, training.policy, lambda: Still(like), range(episodes), config.target_returns[:1])
        return processor_seconds(play, 1) / STEPS

    one = act(1)
    many = act(MANY)
    return update, one, (many - one) / (MANY - 1)


def simulation(task: str) -> float:
    """Seconds of a step of a task's environment under random actions."""
    environment = make_environment(find_task(task))
    environment.reset(seed=0)
    environment.action_space.seed(0)

    def step() -> None:
        *_, terminated, truncated, _ = environment.step(environment.action_space.sample())
        if terminated or truncated:
            environment.reset()

    return processor_seconds(step, 100)


def main() -> None:
    """Print the tables: of each method what it takes on vectors | on frames; of each task a step of its simulator."""
    torch.set_num_threads(1)
    tasks = list(TASKS)
    with tempfile.TemporaryDirectory() as home:
        os.environ["LAMOBENCH_HOME"] = home
        TASKS["cartpole"] = CARTPOLE
        CPU["cartpole"] = CPU[IMPORTED]
        for task in ("reacher2d", "cartpole", "breakout"):
            noise(f"{task}-noise")
        for method in (METHODS[name] for name in sys.argv[1:] or methods_of("offline")):
            on_vectors = "reacher2d-noise" if method.continuous else "cartpole-noise"
            costs = [measure(on_vectors, method.name, Path(home))]
            costs += [measure("breakout-noise", method.name, Path(home))] if method.discrete else []
            print(
                method.name, *(", ".join(f"{1e3 * part:.3g}" for part in cost) for cost in costs), sep=" | ", flush=True
            )
    for task in tasks:
        print(f"{task}: {1e3 * simulation(task):.3g}", flush=True)


if __name__ == "__main__":
    main()
