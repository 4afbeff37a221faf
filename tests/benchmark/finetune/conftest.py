"""Runs with tiny budgets, and a home folder of their own for the policies that they begin with."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from lamobench.benchmark.finetune import settings, track
from lamobench.benchmark.finetune.config import FinetuneConfig
from lamobench.benchmark.finetune.resolve import resolve
from lamobench.benchmark.runs.tracks import Wanted
from lamobench.datasets.environments import staged_tasks
from lamobench.tests.benchmark.finetune import reach

torch.set_num_threads(1)
BUDGETS: dict[str, dict[str, int]] = {
    "apple-retrieval": {"steps": 6, "evaluate_every": 2, "evaluation_episodes": 5, "environments": 3},
    "grid-relay": {
        "steps": 6,
        "evaluate_every": 2,
        "evaluation_episodes": 5,
        "environments": 4,
        "rollout_steps": 8,
    },
}
SETTINGS: dict[str, dict[str, Any]] = {
    "apple-retrieval": {
        "environment.distance": 3,
        "environment.horizon": 12,
        "pretraining.updates": 3,
        "pretraining.memory": 30,
    },
    "grid-relay": {
        "environment.goals": 1,
        "environment.horizon": 20,
        "pretraining.updates": 20,
        "pretraining.transitions": 200,
        "pretraining.memory": 50,
        "batch_size": 16,
    },
}
for made_up in (BUDGETS, SETTINGS):
    made_up["reach"] = {}
Tiny = Callable[..., FinetuneConfig]


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which pi* is kept."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("LAMOBENCH_HOME", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def _with_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task for SAC, known to the track as its own are."""
    monkeypatch.setitem(sys.modules, "lamobench.datasets.environments.reach", reach)
    monkeypatch.setitem(staged_tasks.STAGED_TASKS, "reach", reach.TASK)
    monkeypatch.setitem(settings.SETTINGS, "reach", reach.SETTINGS)


@pytest.fixture
def tiny() -> Tiny:
    """A configuration of seconds: of a task and a method, with settings changed."""

    def make(task: str = "grid-relay", method: str = "finetune", seed: int = 0, **changes: Any) -> FinetuneConfig:
        given = SETTINGS[task] | {name.replace("__", "."): value for name, value in changes.items()}
        (config,) = resolve(Wanted(task, (method,), (seed,), budget=BUDGETS[task], settings=given))
        return config

    return make


def train(config: FinetuneConfig, root: Path) -> Path:
    """Train a run; its folder."""
    assert track.train((config,), root, "cpu", lambda *_: None, print) == {}
    return root / config.id
