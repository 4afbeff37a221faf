import re

import pytest

from lamobench.datasets.catalog import TASKS, Task
from lamobench.datasets.environments import make_environment, simulator_version


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_every_task_has_the_environment_that_the_catalog_says(task: Task) -> None:
    env = make_environment(task)
    assert env.spec is not None
    assert (env.spec.id, env.spec.max_episode_steps) == (task.env_id, task.horizon)
    assert re.fullmatch(rf"{task.simulator} \d+\.\d+\.\d+", simulator_version(task))
