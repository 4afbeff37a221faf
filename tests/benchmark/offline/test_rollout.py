"""Batched evaluation against a loop that plays one episode at a time and keeps everything."""

import math
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lamobench.baselines.bc import BC, BCConfig
from lamobench.baselines.decision_transformer import DecisionTransformer, DecisionTransformerConfig
from lamobench.baselines.policy import History, OptimizerSettings, Policy, Sampler, Spec
from lamobench.benchmark.offline.rollout import evaluation_seeds, rollout
from lamobench.benchmark.runs.episodes import Episode
from lamobench.datasets.catalog import find_task
from lamobench.datasets.environments.simulators import make_environment
from lamobench.datasets.fractions import Subset
from lamobench.datasets.trajectories import Array
from lamobench.datasets.windows import View

SEEDS = [11, 4, 7, 8, 30, 2, 9, 17]


class Toy(gymnasium.Env):  # type: ignore[misc]
    """Deterministic; an episode of seed s lasts 1 + s % 9 steps, ends in either way, and pays for its actions."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def __init__(self) -> None:
        self.resets: list[int] = []
        self.closed = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        assert seed is not None
        self.resets.append(seed)
        self.time = 0
        self.length = 1 + seed % 9
        self.state = np.array([math.sin(seed), math.cos(seed), 0.1 * seed], np.float32)
        return self.state.copy(), {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        assert self.time < self.length, "a finished episode was stepped"
        self.time += 1
        self.state = np.cos(self.state + np.array([*action, self.time], np.float32)).astype(np.float32)
        over = self.time == self.length
        return (
            self.state.copy(),
            float(1.0 + action[0]),
            over and self.length % 2 == 0,
            over and self.length % 2 == 1,
            {},
        )

    def close(self) -> None:
        self.closed = True


class Recorder(Policy):
    """A policy that remembers what it was shown; its actions depend on all of it."""

    def __init__(self, context: int) -> None:
        super().__init__()
        self.context = context
        self.seen = list[History]()
        self.weight = nn.Parameter(torch.ones(()))

    def act(self, history: History) -> Tensor:
        self.seen.append(history)
        mixed = (
            history.observations.mean(1)[:, :2] + history.actions.sum(1) + 0.01 * history.returns_to_go.sum(1)[:, None]
        )
        return torch.tanh(mixed + history.timesteps[:, -1:] * 0.1)

    def sampler(self, subset: Subset) -> Sampler:
        raise NotImplementedError

    def loss(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        raise NotImplementedError

    def optimizer_settings(self) -> OptimizerSettings:
        raise NotImplementedError


@pytest.fixture
def spec() -> Spec:
    low = np.full(2, -1.0, np.float32)
    high = np.full(2, 1.0, np.float32)
    return Spec(3, 2, low, high, np.zeros(3, np.float32), np.ones(3, np.float32), horizon=9, return_scale=10.0)


@torch.no_grad()
def play_alone(policy: Policy, environment: Any, seed: int, target: float) -> tuple[float, int, list[History]]:
    """One episode as the definition has it: whole lists, cut to the last K steps at each step."""
    observations = [environment.reset(seed=seed)[0]]
    actions = [np.zeros(2, np.float32)]
    returns_to_go = [target]
    total = 0.0
    histories = []
    over = False
    while not over:
        length = len(observations)
        last = slice(max(0, length - policy.context), length)
        history = History(
            torch.tensor(np.array(observations[last]))[None],
            torch.tensor(np.array(actions[last]))[None],
            torch.tensor(returns_to_go[last], dtype=torch.float32)[None],
            torch.arange(length)[None, last],
        )
        histories.append(history)
        actions[-1] = policy.act(history)[0].numpy()
        observation, reward, terminated, truncated, _ = environment.step(actions[-1])
        over = terminated or truncated
        total += reward
        observations.append(observation)
        actions.append(np.zeros(2, np.float32))
        returns_to_go.append(returns_to_go[-1] - reward)
    return total, len(histories), histories


def assert_equals_playing_alone(policy: Policy, make: Callable[[], Any], episodes: list[Episode]) -> None:
    policy.eval()
    for episode in episodes:
        total, length, _ = play_alone(policy, make(), episode.seed, episode.target_return)
        assert episode.length == length
        assert episode.episode_return == pytest.approx(total, abs=1e-4), episode


def policies(spec: Spec) -> dict[str, Policy]:
    torch.manual_seed(0)
    config = DecisionTransformerConfig(context=4, layers=1, heads=2, width=16, dropout=0.5)
    transformer = DecisionTransformer(config, spec)
    with torch.no_grad():
        for parameter in transformer.parameters():
            parameter += 0.2 * torch.randn_like(parameter)  # so that its actions depend on all it sees
    return {"context": transformer, "mlp": BC(BCConfig(hidden=(16,)), spec), "recorder": Recorder(3)}


@pytest.mark.parametrize("kind", ["context", "mlp", "recorder"])
@pytest.mark.parametrize("environments", [64, 5, 1])
def test_batched_equals_one_by_one(kind: str, environments: int, spec: Spec) -> None:
    policy = policies(spec)[kind]
    episodes = rollout(policy, Toy, SEEDS, [5.0, 20.0], step=7, environments=environments)
    assert [(e.target_return, e.episode, e.seed, e.step) for e in episodes] == [
        (target, number, seed, 7) for target in (5.0, 20.0) for number, seed in enumerate(SEEDS)
    ]
    assert len({e.length for e in episodes}) > 4
    assert_equals_playing_alone(policy, Toy, episodes)


def test_batched_equals_one_by_one_in_the_real_simulator(spec: Spec) -> None:
    def make() -> Any:
        return gymnasium.wrappers.TimeLimit(make_environment(find_task("reacher2d")).unwrapped, 8)

    wide = {"observation_dim": 12, "observation_mean": np.zeros(12), "observation_std": np.ones(12)}
    for kind in ("context", "mlp"):
        policy = policies(Spec(**vars(spec) | wide))[kind]
        episodes = rollout(policy, make, [3, 1, 4, 1_000_003, 5], [76.0, 40.0])
        assert [e.length for e in episodes] == [8] * 10
        assert_equals_playing_alone(policy, make, episodes)


@pytest.mark.parametrize("context", [1, 3, 20])
def test_what_the_policy_sees_equals_the_naive_loop(context: int) -> None:
    recorder = Recorder(context)
    rollout(recorder, Toy, SEEDS, [5.0])
    batched = list(recorder.seen)
    lengths = [1 + seed % 9 for seed in SEEDS]
    assert [len(h.timesteps) for h in batched] == [sum(length > t for length in lengths) for t in range(max(lengths))]
    alone = [play_alone(recorder, Toy(), seed, 5.0)[2] for seed in SEEDS]
    for time, history in enumerate(batched):
        rows = [histories[time] for histories in alone if len(histories) > time]  # finished ones left the batch
        for name in ("observations", "actions", "returns_to_go", "timesteps"):
            shown = getattr(history, name)
            expected = torch.cat([getattr(row, name) for row in rows])
            assert shown.dtype == expected.dtype
            torch.testing.assert_close(shown, expected, rtol=0, atol=1e-5, msg=f"{name} at step {time}")
        assert shown.shape[1] == min(time + 1, context)
        assert (history.actions[:, -1] == 0).all()  # not chosen yet


def test_returns_to_go_are_the_target_minus_what_was_collected() -> None:
    recorder = Recorder(20)
    rollout(recorder, Toy, [8], [50.0])  # nine steps, a reward of 1 + action[0] each
    newest = recorder.seen[-1]
    rewards = 1.0 + newest.actions[0, :-1, 0]
    expected = torch.cat([torch.tensor([50.0]), 50.0 - rewards.cumsum(0)])
    torch.testing.assert_close(newest.returns_to_go[0], expected)
    assert rewards.std() > 0.01


class Film:
    """Frames that tell their number, from 1 on; every step pays 5."""

    action_space = gymnasium.spaces.Discrete(4)

    def reset(self, seed: int) -> tuple[np.ndarray, dict[str, Any]]:
        self.number = 1
        self.last = 4 + seed
        return self.frame(), {}

    def frame(self) -> np.ndarray:
        return np.full((84, 84), self.number, np.uint8)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        self.number += 1
        return self.frame(), 5.0, self.number == self.last, False, {}

    def close(self) -> None: ...


class Viewer(Recorder):
    """A policy that takes action 3 at every step."""

    view = View(frames=4, clip_rewards=True)

    def act(self, history: History) -> Tensor:
        self.seen.append(history)
        return torch.full((len(history.timesteps),), 3)


def test_frames_are_shown_with_those_before_them_and_returns_to_go_are_of_clipped_rewards() -> None:
    viewer = Viewer(context=2)
    first, second = rollout(viewer, Film, [0, 1], [10.0])
    assert (first.episode_return, first.length, second.episode_return) == (15.0, 3, 20.0)
    shown = [history.observations[-1, :, 0, 0].tolist() for history in viewer.seen]
    assert shown == [[0, 0, 0, 1], [0, 0, 0, 1, 2], [0, 0, 1, 2, 3], [0, 1, 2, 3, 4]]
    assert viewer.seen[0].observations.dtype == torch.uint8
    assert [history.returns_to_go[-1].tolist() for history in viewer.seen] == [[10], [10, 9], [9, 8], [8, 7]]
    assert [history.actions[-1].tolist() for history in viewer.seen] == [[0], [3, 0], [3, 0], [3, 0]]


def test_returns_to_go_are_of_unclipped_rewards_where_evaluation_is_told_so() -> None:
    viewer = Viewer(context=2)
    rollout(viewer, Film, [1], [10.0], view=View(frames=4))
    assert [history.returns_to_go[-1].tolist() for history in viewer.seen] == [[10], [10, 5], [5, 0], [0, -5]]


def test_every_environment_plays_its_share_however_long_its_episodes_are() -> None:
    made: list[Toy] = []

    def make() -> Toy:
        made.append(Toy())
        return made[-1]

    seeds = [8, 0, 9, 8, 0, 9, 8]  # the first environment would play fewest, were free ones to take the next episode
    rollout(Recorder(2), make, seeds, [5.0], environments=3)
    assert [len(environment.resets) for environment in made] == [3, 2, 2]
    assert all(environment.closed for environment in made)


def test_a_rollout_leaves_mode_and_random_state_alone(spec: Spec) -> None:
    policy = policies(spec)["context"]  # has dropout
    policy.train()
    before = torch.get_rng_state()
    first = rollout(policy, Toy, SEEDS, [5.0])
    assert torch.equal(torch.get_rng_state(), before)
    assert policy.training
    assert rollout(policy, Toy, SEEDS, [5.0]) == first


def test_evaluation_seeds_are_fresh_each_time_and_the_same_for_every_method() -> None:
    assert evaluation_seeds(3, 1, 10) == evaluation_seeds(3, 1, 10)
    assert evaluation_seeds(3, 1, 10) == evaluation_seeds(3, 1, 20)[:10]
    drawn = [seed for run in range(3) for number in range(3) for seed in evaluation_seeds(run, number, 10)]
    assert len(set(drawn)) == len(drawn)
