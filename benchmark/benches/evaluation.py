"""Evaluation: all episodes and targets in one batch beside one episode at a time, as the published code plays them.

The published way, re-created from its description: one environment and a batch of one, histories that are
concatenated anew at each step, padded to the whole context, and run through the model from its first token.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

from ...baselines.policy import Policy
from ...datasets.trajectories import Array
from ..offline.rollout import rollout
from . import policies
from .harness import Measure, Row, Settings, faster, in_turn
from .published import PublishedModel

EPISODES = 20
TARGETS = (3600.0, 1800.0)
# Steps of an episode: hopper's horizon, or so many that making the environments, forty against one, hardly counts.
STEPS = {True: 1000, False: 200}
COMPARED = 40  # steps whose actions are compared: rounding errors of the first ones grow with each step
TOLERANCE = 1e-5  # largest difference of actions


class Remembering(gymnasium.Wrapper):  # type: ignore[misc]
    """Hopper for so many steps, fallen or not, so that every episode is equally long; it remembers its actions."""

    def __init__(self, steps: int) -> None:
        options: dict[str, Any] = {
            "max_episode_steps": steps,
            "terminate_when_unhealthy": False,
            "disable_env_checker": True,
        }
        super().__init__(gymnasium.make("Hopper-v5", **options))
        self.actions: list[Array] = []

    def step(self, action: Array) -> Any:
        """Step the environment, and remember the action."""
        self.actions.append(np.array(action))
        return self.env.step(action)


def evaluate_dt(settings: Settings, scratch: Path, steps: int | None = None) -> list[Row]:
    """Decision Transformer at its original size."""
    return _evaluate(settings, policies.decision_transformer(), "DT", steps)


def evaluate_lamo(settings: Settings, scratch: Path, steps: int | None = None) -> list[Row]:
    """LaMo on a model of the embedded one's size."""
    return _evaluate(settings, policies.lamo("gpt2-mini"), "LaMo on gpt2-mini", steps)


def _evaluate(settings: Settings, policy: Policy, name: str, steps: int | None) -> list[Row]:
    length = steps or STEPS[settings.full]
    model = PublishedModel(policy).eval()  # type: ignore[arg-type]
    seeds = list(range(EPISODES))
    check_actions(policy, model, seeds[:2], min(length, COMPARED))
    ours = partial(rollout, policy, partial(Remembering, length), seeds, TARGETS)
    cached = partial(ours, cached_context=True)
    theirs = partial(play_one_by_one, model, partial(Remembering, length), seeds, TARGETS)
    what = f"evaluate {name}: {EPISODES} episodes x {len(TARGETS)} targets, hopper, {length} steps each"
    other = "one episode at a time, as published"
    return [
        faster(what, other, in_turn(settings, ours, theirs), 5.0, unit="s"),
        faster(f"{what}, cached context", other, in_turn(settings, cached, theirs), 10.0, unit="s"),
    ]


@torch.no_grad()
def play_one_by_one(
    model: PublishedModel, make: Callable[[], Any], seeds: Sequence[int], targets: Sequence[float]
) -> list[float]:
    """The episodes' returns, targets one after the other."""
    environment = make()
    returns = [_play(model, environment, seed, target) for target in targets for seed in seeds]
    environment.close()
    return returns


def _play(model: PublishedModel, environment: Any, seed: int, target: float) -> float:
    state, _ = environment.reset(seed=seed)
    states = torch.from_numpy(state).float().reshape(1, -1)
    actions = torch.zeros((0, environment.action_space.shape[0]))
    returns = torch.tensor(target / model.return_scale).reshape(1, 1)
    timesteps = torch.zeros(1, dtype=torch.long)
    total = 0.0
    over = False
    step = 0
    while not over:
        actions = torch.cat([actions, torch.zeros((1, actions.shape[1]))])
        action = model.act(model.normalize(states), actions, returns, timesteps)
        actions[-1] = action
        state, reward, terminated, truncated, _ = environment.step(action.numpy())
        total = total + float(reward)
        over = terminated or truncated
        step = step + 1
        states = torch.cat([states, torch.from_numpy(state).float().reshape(1, -1)])
        returns = torch.cat([returns, (returns[-1:] - float(reward) / model.return_scale)])
        timesteps = torch.cat([timesteps, torch.full((1,), step)])
    return total


def check_actions(policy: Policy, model: PublishedModel, seeds: Sequence[int], steps: int) -> None:
    """Check that both ways choose the same actions in the same episodes; an `AssertionError` otherwise."""
    slots: list[Remembering] = []

    def make() -> Remembering:
        slots.append(Remembering(steps))
        return slots[-1]

    rollout(policy, make, seeds, TARGETS)
    one = Remembering(steps)
    play_one_by_one(model, lambda: one, seeds, TARGETS)
    ours = np.stack([action for slot in slots for action in slot.actions])
    np.testing.assert_allclose(ours, np.stack(one.actions), rtol=0, atol=TOLERANCE)


MEASUREMENTS: dict[str, Measure] = {"evaluate-dt": evaluate_dt, "evaluate-lamo": evaluate_lamo}
