"""Tests of what the deep Q-networks share, and of what holds for each of them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lamobench.baselines.bcq import BCQ, BCQConfig
from lamobench.baselines.deep_q import QNetwork, bellman_target, newest, of_actions, quantile_huber, synchronise
from lamobench.baselines.discrete_cql import DiscreteCQL, DiscreteCQLConfig
from lamobench.baselines.nfq import NFQ, NFQConfig
from lamobench.baselines.policy import History, Policy, Spec
from lamobench.datasets.fractions import Subset, take_fraction
from lamobench.datasets.trajectories import Array, Provenance, Trajectories
from lamobench.datasets.windows import TransitionBatch

METHODS: dict[str, Any] = {
    "discrete-cql": lambda spec, **changes: DiscreteCQL(DiscreteCQLConfig(**{"quantiles": 3} | changes), spec),
    "bcq": lambda spec, **changes: BCQ(BCQConfig(**changes), spec),
    "bcq on quantiles": lambda spec, **changes: BCQ(BCQConfig(**{"quantiles": 3} | changes), spec),
    "nfq": lambda spec, **changes: NFQ(NFQConfig(**changes), spec),
}
WITH_TARGETS = [name for name in METHODS if name != "nfq"]


def make(method: str, spec: Spec, **changes: Any) -> Any:
    torch.manual_seed(0)
    return METHODS[method](spec, **{"hidden": (8,)} | changes)


def train(policy: Policy, subset: Subset, steps: int, batch_size: int) -> list[float]:
    """The losses of some optimiser steps as the loop takes them."""
    settings = policy.optimizer_settings()
    optimizer = torch.optim.AdamW(settings.groups, eps=settings.epsilon)
    sampler = policy.sampler(subset)
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(steps):
        loss, metrics = policy.loss(sampler.sample(batch_size, rng))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        policy.after_update()
        assert all(torch.isfinite(value) and not value.requires_grad for value in metrics.values())
        losses.append(float(loss.detach()))
    return losses


def test_the_quantile_loss_equals_a_loop_over_all_pairs() -> None:
    rng = np.random.default_rng(0)
    predicted = rng.normal(size=(5, 3)) * 2
    target = rng.normal(size=(5, 4)) * 2
    total = 0.0
    for row in range(5):
        for i in range(3):
            for j in range(4):
                error = target[row, j] - predicted[row, i]
                huber = 0.5 * error**2 if abs(error) <= 1 else abs(error) - 0.5
                total += abs((i + 0.5) / 3 - float(error < 0)) * huber / 4
    loss = quantile_huber(torch.tensor(predicted), torch.tensor(target))
    assert loss.item() == pytest.approx(total / 5, rel=1e-6)


def test_of_one_quantile_the_loss_is_half_of_hubers() -> None:
    predicted = torch.randn(6, 1)
    target = 3 * torch.randn(6, 1)
    torch.testing.assert_close(quantile_huber(predicted, target), F.smooth_l1_loss(predicted, target) / 2)


def test_predictions_settle_at_the_quantiles_of_the_target() -> None:
    outcomes = torch.arange(101.0)[None] * 100  # so far apart that Huber's square around 0 does not matter
    predicted = torch.full((1, 4), 5000.0, requires_grad=True)
    for _ in range(300):
        (gradient,) = torch.autograd.grad(quantile_huber(predicted, outcomes), predicted)
        predicted.data -= 1000.0 * gradient
    assert (predicted.detach() / 100).flatten().tolist() == pytest.approx([12.5, 37.5, 62.5, 87.5], abs=1.0)


def test_targets_stop_at_terminals_and_bootstrap_elsewhere() -> None:
    nothing = torch.zeros(2, 1)
    batch = TransitionBatch(nothing, nothing, torch.tensor([1.0, 2.0]), nothing, torch.tensor([1.0, 0.0]))
    target = bellman_target(batch, torch.tensor([[10.0, 20.0], [30.0, 40.0]]), 0.9)
    torch.testing.assert_close(target, torch.tensor([[1.0, 1.0], [29.0, 38.0]]))


def test_values_of_actions_are_picked_row_by_row() -> None:
    values = torch.arange(24.0).view(2, 4, 3)
    assert of_actions(values, torch.tensor([3, 1])).tolist() == [[9, 10, 11], [15, 16, 17]]


def test_a_target_is_copied_exactly_and_only_when_due() -> None:
    source = nn.Linear(7, 5)
    target = nn.Linear(7, 5)
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    for updates in (1, 2, 4, 5):
        synchronise(target, source, torch.tensor(updates), 3)
        assert all(torch.equal(tensor, before[name]) for name, tensor in target.state_dict().items())
    synchronise(target, source, torch.tensor(6), 3)
    assert all(torch.equal(tensor, source.state_dict()[name]) for name, tensor in target.state_dict().items())


def test_quantiles_of_vectors_by_hand(discrete_spec: Spec) -> None:
    network = QNetwork(discrete_spec, (8,), quantiles=2)
    observation = torch.tensor([1.5, -0.25, 3.0])
    first, _, last = network.network
    normalised = torch.tensor([0.5, 1.5, 3.0])  # means (0.5, -1, 0), deviations (2, 0.5, 1)
    expected = last.weight @ torch.relu(first.weight @ normalised + first.bias) + last.bias
    torch.testing.assert_close(network(observation[None])[0], expected.view(4, 2))


def test_the_newest_step_of_vectors_and_of_frames() -> None:
    vectors = torch.randn(2, 3, 5)
    frames = torch.zeros(2, 4, 84, 84, dtype=torch.uint8)
    rest = (torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2, 3))
    assert newest(History(vectors, *rest)) is not vectors
    assert torch.equal(newest(History(vectors, *rest)), vectors[:, 2])
    assert newest(History(frames, *rest)) is frames


@pytest.mark.parametrize("method", METHODS)
def test_rewards_are_clipped_on_the_way_into_the_loss(method: str, atari_spec: Spec, three_games: Subset) -> None:
    assert three_games.trajectories.rewards.max() > 1
    policy = make(method, atari_spec, discount=0.0)
    batch = policy.sampler(three_games).sample(8, np.random.default_rng(0))
    assert batch.observations.shape == batch.next_observations.shape == (8, 4, 84, 84)
    target = policy.target(batch)
    assert set(target[:, 0].tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("method", METHODS)
def test_timeouts_of_a_data_set_bootstrap(method: str, discrete_spec: Spec, discrete_trajectories: Subset) -> None:
    assert discrete_trajectories.trajectories.timeouts.sum() == 5
    policy = make(method, discrete_spec)
    batch = policy.sampler(discrete_trajectories).sample(64, np.random.default_rng(0))
    assert ((policy.target(batch) - batch.rewards[:, None]).abs() > 0).all()  # a value lies beyond every step
    ended = replace(batch, terminals=torch.ones(64))
    assert torch.equal(policy.target(ended), batch.rewards[:, None].expand_as(policy.target(batch)))


@pytest.mark.parametrize("method", WITH_TARGETS)
def test_the_target_network_is_renewed_at_its_interval(
    method: str, discrete_spec: Spec, discrete_trajectories: Subset
) -> None:
    policy = make(method, discrete_spec, target_interval=3, learning_rate=1e-2)
    online, target = (next(policy.get_submodule(name).parameters()) for name in parts(policy))
    history = []
    for _ in range(7):
        train(policy, discrete_trajectories, 1, 8)
        history.append(torch.equal(online, target))
    assert history == [False, False, True, False, False, True, False]
    assert int(policy.updates) == 7
    assert int(policy.state_dict()["updates"]) == 7  # so that a checkpoint has it


def parts(policy: Policy) -> tuple[str, str]:
    """The names of the online network and of the target network."""
    return "network" if isinstance(policy, BCQ) else "q_network", "target_network"


@pytest.mark.parametrize("method", METHODS)
def test_everything_but_the_target_is_trained_once(method: str, discrete_spec: Spec) -> None:
    policy = make(method, discrete_spec, learning_rate=0.1)
    (group,) = policy.optimizer_settings().groups
    assert (group["lr"], group["weight_decay"]) == (0.1, 0.0)
    trained = {id(parameter) for parameter in group["params"]}
    assert len(trained) == len(group["params"])
    named = dict(policy.named_parameters())
    assert {name for name, p in named.items() if id(p) not in trained} == {n for n in named if n.startswith("target_")}


@pytest.mark.parametrize("method", METHODS)
def test_nothing_flows_through_the_target(method: str, discrete_spec: Spec, discrete_trajectories: Subset) -> None:
    policy = make(method, discrete_spec)
    batch = policy.sampler(discrete_trajectories).sample(16, np.random.default_rng(0))
    policy.loss(batch)[0].backward()
    gradients = [p.grad for p in policy.parameters() if p.grad is not None]
    fixed = policy.target(batch)
    policy.target = lambda _: fixed
    policy.zero_grad()
    policy.loss(batch)[0].backward()
    again = [p.grad for p in policy.parameters() if p.grad is not None]
    for one, other in zip(gradients, again, strict=True):
        assert torch.equal(one, other)


def corridor() -> Subset:
    """Random walks through a corridor of four cells, seen as one-hot vectors: 1 goes right, 0 left; the end pays 1."""
    rng = np.random.default_rng(0)
    cells: list[int] = []
    actions: list[int] = []
    rewards: list[float] = []
    offsets = [0]
    last = []
    for _ in range(60):
        cell = int(rng.integers(4))
        for _ in range(8):
            action = int(rng.integers(2))
            cells.append(cell)
            actions.append(action)
            rewards.append(float(cell == 3 and action == 1))
            if rewards[-1]:
                break
            cell = min(3, max(0, cell + 2 * action - 1))
        offsets.append(len(cells))
        last.append(cell)
    ends = np.isin(np.arange(len(cells)), np.asarray(offsets[1:]) - 1)
    terminals = np.asarray(rewards) > 0
    eye: Array = np.eye(4, dtype=np.float32)
    data = Trajectories(
        observations=eye[cells],
        actions=np.asarray(actions),
        rewards=np.asarray(rewards, np.float32),
        terminals=terminals,
        timeouts=ends & ~terminals,
        offsets=np.asarray(offsets),
        last_observations=eye[last],
        provenance=Provenance("corridor", "recorded", "a test", "toy", "none"),
    )
    return take_fraction(data, 1.0, 0)


@pytest.mark.parametrize("method", METHODS)
def test_values_find_the_way_that_random_data_do_not_show(method: str, discrete_spec: Spec) -> None:
    spec = replace(
        discrete_spec, observation_dim=4, action_dim=2, observation_mean=np.zeros(4), observation_std=np.ones(4)
    )
    subset = corridor()
    fast = {"learning_rate": 1e-2, "discount": 0.9} | ({} if method == "nfq" else {"target_interval": 10})
    if method == "discrete-cql":
        fast["conservative_weight"] = 0.1  # at 4 it clones the walk
    policy = make(method, spec, hidden=(32,), **fast)
    train(policy, subset, 300, 64)
    history = History(torch.eye(4)[:, None], torch.zeros(4, 1), torch.zeros(4, 1), torch.zeros(4, 1))
    assert policy.act(history).tolist() == [1, 1, 1, 1]
    network = policy.network if isinstance(policy, BCQ) else policy.q_network
    values = network(torch.eye(4))
    right = (values[0] if isinstance(values, tuple) else values).mean(-1)[:, 1].detach()
    assert right.tolist() == pytest.approx([0.9**3, 0.9**2, 0.9, 1.0], abs=0.1)


@pytest.mark.parametrize("method", METHODS)
def test_narrow_data_train_without_nan(method: str, discrete_spec: Spec, discrete_trajectories: Subset) -> None:
    """One trajectory, one action, constant rewards and an observation dimension that never varies."""
    data = discrete_trajectories.trajectories
    observations = data.observations.copy()
    last = data.last_observations.copy()
    observations[:, 1] = 4.0
    last[:, 1] = 4.0
    actions = np.full_like(data.actions, 2)
    rewards = np.ones_like(data.rewards)
    data = replace(data, observations=observations, actions=actions, rewards=rewards, last_observations=last)
    subset = take_fraction(data, 0.01, 0)
    assert len(subset.episodes) == 1
    mean, std = subset.observation_moments()
    policy = make(method, replace(discrete_spec, observation_mean=mean, observation_std=std), learning_rate=1e-2)
    assert np.isfinite(train(policy, subset, 100, 16)).all()
    assert all(torch.isfinite(tensor).all() for tensor in policy.state_dict().values())


@pytest.mark.parametrize("method", METHODS)
def test_games_of_frames_are_learned_from_and_played(method: str, atari_spec: Spec, three_games: Subset) -> None:
    policy = make(method, atari_spec, hidden=(32,), learning_rate=1e-3, discount=0.0)
    losses = train(policy, three_games, 12, 8)
    assert np.mean(losses[-3:]) < losses[0]
    batch = policy.sampler(three_games).sample(5, np.random.default_rng(0))
    rest = (torch.zeros(5, 1, dtype=torch.int64), torch.zeros(5, 1), torch.zeros(5, 1, dtype=torch.int64))
    actions = policy.act(History(batch.observations, *rest))
    assert actions.dtype == torch.int64
    assert actions.shape == (5,)
    assert actions.min() >= 0
    assert actions.max() < 5
