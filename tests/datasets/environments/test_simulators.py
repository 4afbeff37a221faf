import re

import numpy as np
import pytest

from lamobench.datasets.catalog import find_task
from lamobench.datasets.entries import D4RL, DATASETS
from lamobench.datasets.environments.simulators import make_environment, simulator_version
from lamobench.datasets.tasks import TASKS, Task


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_every_task_has_the_environment_that_the_catalog_says(task: Task) -> None:
    env = make_environment(task)
    assert env.spec is not None
    assert (env.spec.id, env.spec.max_episode_steps) == (task.env_id, task.horizon)
    assert re.fullmatch(rf"{task.simulator} \d+\.\d+\.\d+", simulator_version(task))
    observation, _ = env.reset(seed=3)
    assert env.observation_space.contains(observation)
    np.testing.assert_array_equal(env.reset(seed=3)[0], observation)
    sizes = {
        (source.observation_size, source.action_size)
        for dataset in DATASETS.values()
        if dataset.task == task.name
        for source in dataset.sources
        if isinstance(source, D4RL)
    }
    assert sizes <= {(*env.observation_space.shape, *env.action_space.shape)}, "the data fit the environment"
    env.close()


def test_ant_has_no_contact_forces_as_in_the_data() -> None:
    env = make_environment(find_task("ant"))
    env.reset(seed=0)
    env.action_space.seed(0)
    steps = [env.step(env.action_space.sample()) for _ in range(50)]
    observations = np.array([step[0] for step in steps])
    assert (observations[:, 27:] == 0).all()
    assert (observations[:, :27].std(axis=0) > 0).all()
    assert all(step[4]["reward_contact"] == 0 for step in steps)
