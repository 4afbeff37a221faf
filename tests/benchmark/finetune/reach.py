"""Reach: a task in stages with continuous actions that takes no simulator, for tests of SAC on the track."""

from dataclasses import dataclass
from typing import ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from lamobench.benchmark.finetune.settings import Budget, RecordedPretrainingConfig, TaskSettings
from lamobench.datasets.environments.staged_tasks import StagedTask
from lamobench.datasets.environments.stages import Actions, Flags, Floats, Rows, StagedEnvironment

GOALS = np.array([0.5, -0.5])  # one a stage
NEAR = 0.1


@dataclass(frozen=True)
class ReachOptions:
    """The options of Reach."""

    horizon: int = 12
    pace: float = 0.2
    signal: float = 0.0  # what tells the stages apart in an observation; 0: no number does


class Reach(StagedEnvironment):
    """E points on a line that go right, then left. Reward: minus the distance; 2 at the goal."""

    costly: ClassVar[bool] = True
    state_names: ClassVar[tuple[str, ...]] = ("place",)
    stages = ("right", "left")

    place: NDArray[np.float64]  # (E,)

    def __init__(self, horizon: int, pace: float, signal: float) -> None:
        self.horizon = horizon
        self.pace = pace
        self.signal = signal
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (3 if signal else 2,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def allocate(self, environments: int) -> None:
        self.place = np.zeros(environments)

    def enter(self, rows: Rows) -> None:
        self.place[rows] = 0.1 * (self.streams.integers(1000, rows) / 1000 - 0.5)

    def move(self, actions: Actions) -> tuple[Floats, Flags]:
        self.place = self.place + self.pace * actions[:, 0]
        away = np.abs(self.place - GOALS[self.stage])
        return np.where(away < NEAR, 2.0, -away).astype(np.float32), away < NEAR

    def observe(self) -> Floats:
        seen = [self.place, self.elapsed / self.horizon]
        if self.signal:
            seen.append(np.where(self.stage == 0, -self.signal, self.signal))
        return np.stack(seen, axis=1).astype(np.float32)

    def expert(self) -> Floats:
        return np.clip((GOALS[self.stage] - self.place)[:, None] / self.pace, -1, 1).astype(np.float32)


TASK = StagedTask(
    name="reach",
    environment="reach:Reach",
    options=ReachOptions(),
    stages=Reach.stages,
    far=(1,),
    trained=(1,),
    horizon=24,
)
SETTINGS = TaskSettings(
    agent="sac",
    budget=Budget(steps=6, evaluate_every=2, evaluation_episodes=5, environments=2, rollout_steps=10),
    pretraining=RecordedPretrainingConfig(episodes=6, updates=40, batch_size=32, memory=60, critic_updates=5),
    policy={"hidden": (16, 16), "batch_size": 16, "capacity": 150, "start_steps": 30, "update_after": 20},
    retention={
        "finetune-bc": {"coefficient": 1.0},
        "finetune-ks": {"coefficient": 1.0, "decay": 1.0},
        "finetune-ewc": {"coefficient": 1.0},
        "finetune-l2-init": {"coefficient": 1.0},
        "finetune-em": {"share": 0.2},
    },
    tried={"finetune-em": (0.1, 0.2)},
    warm_up=0.5,
)
