"""A package of somebody's own environments, as tests bring them: a module in a folder, and data recorded in them."""

import importlib
import sys
from pathlib import Path

import gymnasium
import minari
import pytest

NAME = "somebody_s_environments"
SOURCE = '''
import gymnasium
import numpy as np
from gymnasium import spaces

SPACES = {
    "Below-v0": spaces.Discrete(3, start=-1),
    "Above-v0": spaces.Discrete(3, start=1),
    "Wide-v0": spaces.Box(-2.0, 2.0, (1,), np.float32),
    "Open-v0": spaces.Box(0.0, np.inf, (2,), np.float32),
    "Grid-v0": spaces.Box(-2.0, 2.0, (2, 2), np.float32),
    "Scalar-v0": spaces.Box(-2.0, 2.0, (), np.float64),
    "Whole-v0": spaces.Box(0, 5, (2,), np.int32),
}


class Paying(gymnasium.Env):
    """Pays the sum of the action; takes none that is not in its space."""

    observation_space = spaces.Box(-1.0, 1.0, (3,), np.float32)

    def __init__(self, space, render_mode=None):
        self.action_space = SPACES[space]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        return self.observation_space.sample(), float(np.sum(action)), False, False, {}


for name in SPACES:
    gymnasium.register(name, entry_point=f"{__name__}:Paying", max_episode_steps=4, kwargs={"space": name})
'''


def write_module(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write the module, as if it were installed; returns its name."""
    folder.mkdir(exist_ok=True)
    (folder / f"{NAME}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return NAME


def forget_module() -> None:
    """Forget the module, as in a process that has not imported it."""
    module = sys.modules.pop(NAME, None)
    for name in module.SPACES if module else ():
        del gymnasium.registry[name]


def record(env_id: str, episodes: int = 3) -> str:
    """Episodes of random actions in one of the environments, as a Minari data set; the module is then forgotten."""
    importlib.import_module(NAME)
    collector = minari.DataCollector(gymnasium.make(env_id))
    collector.action_space.seed(0)
    for seed in range(episodes):
        collector.reset(seed=seed)
        for _ in range(4):
            collector.step(collector.action_space.sample())
    minari_id = f"somebody/{env_id.lower().removesuffix('-v0')}-v0"
    collector.create_dataset(minari_id)
    collector.close()
    forget_module()
    return minari_id
