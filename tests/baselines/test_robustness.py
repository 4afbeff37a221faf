"""Narrow and odd data: every method that can play them trains on, and nothing stops being a finite number."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lamobench.baselines.policy import History
from lamobench.benchmark.offline import loop as loop
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.offline.settings import SEQUENCE_METHODS
from lamobench.benchmark.runs.methods import METHODS, methods_of
from lamobench.datasets import cache
from lamobench.datasets.trajectories import Array, Provenance, Trajectories

Requests = Callable[..., RunRequest]
OFFLINE = [METHODS[name] for name in methods_of("offline")]
CONTINUOUS = [method.name for method in OFFLINE if method.plays(discrete=False)]
DISCRETE = [method.name for method in OFFLINE if method.plays(discrete=True)]


def with_ends(data: Trajectories, *, terminal: bool) -> Trajectories:
    ends = np.zeros(data.num_steps, bool)
    ends[data.offsets[1:] - 1] = True
    return replace(data, terminals=ends & terminal, timeouts=ends & (not terminal), known_hash="")


def without_variation(data: Trajectories) -> Trajectories:
    """The first three observation dimensions never vary."""
    observations = np.array(data.observations)
    last = np.array(data.last_observations)
    observations[:, :3] = 4.0
    last[:, :3] = 4.0
    return replace(data, observations=observations, last_observations=last)


def at_the_bounds(data: Trajectories) -> Trajectories:
    return replace(data, actions=np.where(data.actions < 0, -1.0, 1.0).astype(np.float32))


def rewarded(data: Trajectories, reward: float) -> Trajectories:
    return replace(data, rewards=np.full_like(data.rewards, reward))


CASES: dict[str, Callable[[Trajectories], Trajectories]] = {
    "constant rewards": lambda data: rewarded(data, 1.0),
    "one trajectory": lambda data: data,  # of a fraction of 1 %
    "actions at the bounds": at_the_bounds,
    "observations that never vary": without_variation,
    "terminals only, no rewards": lambda data: rewarded(with_ends(data, terminal=True), 0.0),
    "timeouts only": lambda data: with_ends(data, terminal=False),
}
# Sequence models, which take longer, and games meet them together.
TOGETHER: dict[str, Callable[[Trajectories], Trajectories]] = {
    "one trajectory": lambda data: rewarded(with_ends(data, terminal=False), 1.0),
    "all": lambda data: rewarded(with_ends(data, terminal=True), 0.0),
}


def trained(request: RunRequest, folder: Path, steps: int) -> Any:
    """A policy after some updates, all of whose metrics and tensors were seen to be finite."""
    training = loop.Training(resolve(request), folder, torch.device("cpu"), lambda done, total: None)
    training.policy.train()
    training.advance(steps)
    training.check_weights()
    return training.policy.eval()


def check_continuous(data: Trajectories, request: Requests, methods: list[str], folder: Path, fraction: float) -> None:
    cache.replace(replace(data, known_hash="").check())
    observations = torch.from_numpy(data.observations[:4])[:, None]
    history = History(observations, torch.zeros(4, 1, 2), torch.full((4, 1), 76.0), torch.zeros(4, 1).long())
    for method in methods:
        control = METHODS[method].weights not in ("", "pretrained")  # LaMo but for weights that are not trained
        policy = trained(request(method, fraction=fraction), folder, 5 if control else 50)
        with torch.no_grad():
            actions = policy.act(history)
        assert torch.isfinite(actions).all(), method
        assert (actions.abs() <= 1.0).all(), method


@pytest.mark.parametrize("case", CASES)
def test_networks_of_single_steps_stay_finite(
    tiny_request: Requests, reacher_data: Trajectories, tmp_path: Path, case: str
) -> None:
    methods = [name for name in CONTINUOUS if name not in SEQUENCE_METHODS]
    assert {"bc", "bc-10", "cql", "iql", "td3-bc", "rebrac", "rvs"} <= set(methods)
    fraction = 0.01 if case == "one trajectory" else 1.0
    check_continuous(CASES[case](reacher_data), tiny_request, methods, tmp_path, fraction)


@pytest.mark.parametrize("case", TOGETHER)
def test_sequence_models_stay_finite(
    tiny_request: Requests, reacher_data: Trajectories, tmp_path: Path, case: str
) -> None:
    data = TOGETHER[case](without_variation(at_the_bounds(reacher_data)))
    fraction = 0.01 if case == "one trajectory" else 1.0
    check_continuous(data, tiny_request, [*SEQUENCE_METHODS], tmp_path, fraction)


@pytest.fixture
def games() -> Trajectories:
    """Three short games of random frames."""
    rng = np.random.default_rng(5)
    offsets = np.array([0, 6, 11, 15])

    def frames(count: int) -> Array:
        return rng.integers(0, 256, (count, 84, 84), np.uint8)

    return Trajectories(
        observations=frames(15),
        actions=rng.integers(0, 4, 15),
        rewards=np.ones(15, np.float32),
        terminals=np.zeros(15, bool),
        timeouts=np.zeros(15, bool),
        offsets=offsets,
        last_observations=frames(3),
        provenance=Provenance("breakout-medium", "recorded", "a test", "ALE/Breakout-v5", "ale-py"),
    )


def test_methods_that_play_games_stay_finite(tiny_request: Requests, games: Trajectories, tmp_path: Path) -> None:
    cache.save(TOGETHER["all"](games).check())
    frames = torch.from_numpy(games.observations[None, :4])
    none = torch.zeros(1, 1, dtype=torch.int64)
    history = History(frames, none, torch.zeros(1, 1), none)
    for method in DISCRETE:
        request = tiny_request(method, budget={"batch_size": 2})
        policy = trained(replace(request, dataset="breakout-medium"), tmp_path, 3)
        with torch.no_grad():
            assert policy.act(history).tolist()[0] in range(4), method
