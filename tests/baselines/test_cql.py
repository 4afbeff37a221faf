import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from lamobench.baselines.cql import CQL, CQLConfig, Noise
from lamobench.baselines.policy import History, Spec
from lamobench.datasets.fractions import Subset, take_fraction
from lamobench.datasets.windows import TransitionBatch, TransitionSampler

SMALL = CQLConfig(hidden=(8, 8), sampled_actions=3)


@pytest.fixture
def make_cql(make_spec: Callable[..., Spec]) -> Callable[..., CQL]:
    def make(**changes: Any) -> CQL:
        torch.manual_seed(0)
        return CQL(replace(SMALL, **changes), make_spec())

    return make


def states_of(policy: CQL, batch: TransitionBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised states, actions in [-1, 1] and normalised next states."""
    return (
        policy.normalize(batch.observations),
        policy.bounds.to_unit(batch.actions),
        policy.normalize(batch.next_observations),
    )


def noise_of(policy: CQL, batch: TransitionBatch) -> Noise:
    """The same each time."""
    torch.manual_seed(5)
    return policy.draw(batch)[0]


def actor_losses(policy: CQL, batch: TransitionBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Actor loss, temperature loss and entropy."""
    states, actions, _ = states_of(policy, batch)
    return policy.actor_losses(states, actions, noise_of(policy, batch).actor)


def critic_losses(policy: CQL, batch: TransitionBatch) -> tuple[Tensor, Tensor]:
    """The Bellman loss and the conservative gap."""
    states, actions, next_states = states_of(policy, batch)
    return policy.critic_losses(batch, states, actions, next_states, noise_of(policy, batch))


def fix_actions(policy: CQL, monkeypatch: pytest.MonkeyPatch, log_density: float) -> None:
    """The actor chooses (0.1, -0.2) everywhere, with a known log density."""

    def sample_actions(states: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        return torch.tensor([0.1, -0.2]).expand(noise.shape), torch.full(noise.shape[:-1], log_density)

    monkeypatch.setattr(policy, "sample_actions", sample_actions)


def naive_value(policy: CQL, state: Tensor, action: Tensor, *, critic: int, target: bool = False) -> float:
    """One critic's value of one state and action, layer by layer."""
    ensemble = policy.target_critic if target else policy.critic
    hidden = torch.cat([state, action])
    for layer, (weight, bias) in enumerate(zip(ensemble.weights, ensemble.biases, strict=True)):
        hidden = hidden @ weight[critic] + bias[critic, 0]
        hidden = torch.relu(hidden) if layer < len(ensemble.weights) - 1 else hidden
    return float(hidden.detach())


@pytest.mark.parametrize("samples", [None, 4])
def test_log_density_equals_that_of_torch_distributions(make_cql: Callable[..., CQL], samples: int | None) -> None:
    policy = make_cql()
    states = torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    actions, log_density = policy.sample_actions(states, torch.randn((50, 2) if samples is None else (4, 50, 2)))
    mean, log_std = policy.actor(states).chunk(2, -1)
    theirs = TransformedDistribution(Normal(mean, log_std.exp()), [TanhTransform()])
    assert actions.shape == ((50, 2) if samples is None else (4, 50, 2))
    torch.testing.assert_close(log_density, theirs.log_prob(actions).sum(-1), rtol=1e-3, atol=1e-3)


def test_log_density_is_finite_where_tanh_saturates(make_cql: Callable[..., CQL]) -> None:
    policy = make_cql()
    with torch.no_grad():
        policy.actor[-1].bias.copy_(torch.tensor([50.0, -50.0, 5.0, -30.0]))  # means, and log deviations out of bounds
    actions, log_density = policy.sample_actions(torch.randn(50, 3), torch.randn(50, 2))
    assert torch.isfinite(log_density).all()
    assert actions.abs().max() == 1.0


@pytest.mark.parametrize("backup_entropy", [False, True])
def test_the_bellman_target_stops_at_terminals_and_bootstraps_at_timeouts(
    make_cql: Callable[..., CQL], batch: TransitionBatch, monkeypatch: pytest.MonkeyPatch, backup_entropy: bool
) -> None:
    policy = make_cql(backup_entropy=backup_entropy, discount=0.9, initial_temperature=0.5)
    fix_actions(policy, monkeypatch, log_density=-1.5)
    with torch.no_grad():  # unlike the critics, so that mixing them up shows
        for parameter in policy.target_critic.parameters():
            parameter += 0.1
    next_states = states_of(policy, batch)[2]
    action = torch.tensor([0.1, -0.2])
    expected = []
    for n in range(6):
        value = min(naive_value(policy, next_states[n], action, critic=c, target=True) for c in (0, 1))
        entropy_bonus = 0.5 * 1.5 if backup_entropy else 0.0
        beyond = 0.0 if n in (0, 3) else 0.9 * (value + entropy_bonus)
        expected.append(n + beyond)
    noise = noise_of(policy, batch).target
    torch.testing.assert_close(policy.bellman_target(batch, next_states, noise), torch.tensor(expected))


def test_timeouts_of_a_data_set_are_no_terminals(five_trajectories: Subset) -> None:
    assert five_trajectories.trajectories.timeouts.sum() == 5
    batch = TransitionSampler(five_trajectories).sample(500, np.random.default_rng(0))
    assert batch.terminals.sum() == 0


def test_the_bellman_loss_is_the_squared_error_summed_over_critics(
    make_cql: Callable[..., CQL], batch: TransitionBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make_cql()
    fix_actions(policy, monkeypatch, log_density=0.0)
    states, actions, next_states = states_of(policy, batch)
    target = policy.bellman_target(batch, next_states, noise_of(policy, batch).target)
    expected = sum(
        np.mean([(naive_value(policy, states[n], actions[n], critic=c) - float(target[n])) ** 2 for n in range(6)])
        for c in (0, 1)
    )
    assert critic_losses(policy, batch)[0].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("clip_gap", [None, 0.05])
def test_the_conservative_gap_equals_a_naive_loop(
    make_cql: Callable[..., CQL], batch: TransitionBatch, clip_gap: float | None
) -> None:
    policy = make_cql(clip_gap=clip_gap)
    states, actions, next_states = states_of(policy, batch)
    gap = critic_losses(policy, batch)[1].item()
    proposals, log_densities = policy.proposals(states, next_states, noise_of(policy, batch))
    total = 0.0
    for critic in (0, 1):
        for n in range(6):
            weighted = [
                math.exp(naive_value(policy, states[n], proposals[k, n], critic=critic))
                / math.exp(log_densities[k, n].item())
                for k in range(9)
            ]
            difference = math.log(sum(weighted) / 9) - naive_value(policy, states[n], actions[n], critic=critic)
            total += difference if clip_gap is None else max(-clip_gap, min(clip_gap, difference))
    assert gap == pytest.approx(total / 6, rel=1e-4)


def test_proposals_are_uniform_and_from_the_policy_at_both_states(
    make_cql: Callable[..., CQL], batch: TransitionBatch
) -> None:
    policy = make_cql(sampled_actions=200)
    with torch.no_grad():
        policy.actor[-1].weight.mul_(20.0)  # so that the policy differs from state to state
    states, _, next_states = states_of(policy, batch)
    proposals, log_densities = policy.proposals(states, next_states, noise_of(policy, batch))
    assert torch.equal(log_densities[:200], torch.full((200, 6), -2 * math.log(2.0)))  # a square of side 2
    uniform = proposals[:200].flatten()
    assert -1 <= uniform.min() < -0.99
    assert 0.99 < uniform.max() <= 1
    assert abs(uniform.mean()) < 0.05
    for part, where in ((proposals[200:400], states), (proposals[400:], next_states)):
        mean, log_std = policy.actor(where).chunk(2, -1)
        error = (part.clamp(-0.999999, 0.999999).atanh().median(0).values - mean) / log_std.exp()
        assert error.abs().max() < 0.4  # medians of 200 draws: a standard error of 0.09


def gradients_reach(policy: CQL, loss: Tensor) -> set[str]:
    """The parts of the policy that a loss moves."""
    policy.zero_grad(set_to_none=True)
    loss.backward()
    return {
        name.split(".")[0] for name, p in policy.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0
    }


def test_each_loss_reaches_its_own_parameters_alone(make_cql: Callable[..., CQL], batch: TransitionBatch) -> None:
    policy = make_cql(backup_entropy=True)
    assert gradients_reach(policy, actor_losses(policy, batch)[0]) == {"actor"}
    assert gradients_reach(policy, actor_losses(policy, batch)[1]) == {"log_temperature"}
    assert gradients_reach(policy, critic_losses(policy, batch)[0]) == {"critic"}
    assert gradients_reach(policy, critic_losses(policy, batch)[1]) == {"critic"}


def test_actor_and_temperature_losses_by_hand(
    make_cql: Callable[..., CQL], batch: TransitionBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make_cql(initial_temperature=2.0)
    fix_actions(policy, monkeypatch, log_density=-1.5)
    states = states_of(policy, batch)[0]
    chosen = torch.tensor([0.1, -0.2])
    values = [min(naive_value(policy, state, chosen, critic=c) for c in (0, 1)) for state in states]
    actor_loss, temperature_loss, entropy = actor_losses(policy, batch)
    assert actor_loss.item() == pytest.approx(2.0 * -1.5 - np.mean(values), rel=1e-5)
    assert temperature_loss.item() == pytest.approx(-math.log(2.0) * (-1.5 - 2.0), rel=1e-5)  # target entropy -A
    assert entropy.item() == 1.5
    assert policy.target_entropy == -2.0
    assert make_cql(target_entropy=-0.5).target_entropy == -0.5


@pytest.mark.parametrize(("log_density", "direction"), [(-5.0, -1), (5.0, 1)])
def test_the_temperature_falls_where_entropy_is_above_its_target_and_rises_below(
    make_cql: Callable[..., CQL],
    batch: TransitionBatch,
    monkeypatch: pytest.MonkeyPatch,
    log_density: float,
    direction: int,
) -> None:
    policy = make_cql()
    fix_actions(policy, monkeypatch, log_density)
    actor_losses(policy, batch)[1].backward()
    assert policy.log_temperature.grad is not None
    assert torch.sign(-policy.log_temperature.grad) == direction


def test_the_density_of_given_actions_equals_that_of_torch_distributions(
    make_cql: Callable[..., CQL], batch: TransitionBatch
) -> None:
    policy = make_cql()
    states, actions, _ = states_of(policy, batch)
    mean, log_std = policy.actor(states).chunk(2, -1)
    theirs = TransformedDistribution(Normal(mean, log_std.exp()), [TanhTransform()])
    torch.testing.assert_close(
        policy.log_density(states, actions), theirs.log_prob(actions).sum(-1), rtol=1e-4, atol=1e-4
    )
    at_the_bounds = torch.tensor([[1.0, -1.0]]).expand(6, 2)
    assert torch.isfinite(policy.log_density(states, at_the_bounds)).all()


def test_the_actor_clones_the_data_first_and_follows_the_critics_afterwards(
    make_cql: Callable[..., CQL], batch: TransitionBatch
) -> None:
    policy = make_cql(cloning_steps=2)
    plain = make_cql()
    states, actions, _ = states_of(policy, batch)
    _, log_density = policy.sample_actions(states, noise_of(policy, batch).actor)
    entropy_term = log_density.mean().item()  # the initial temperature is 1
    cloning = entropy_term - policy.log_density(states, actions).mean().item()
    losses = []
    for _ in range(3):
        losses.append(actor_losses(policy, batch)[0].item())
        policy.after_update()
    following = actor_losses(plain, batch)[0].item()
    assert losses == pytest.approx([cloning, cloning, following], rel=1e-5)
    assert abs(cloning - following) > 0.1


def test_the_loss_is_the_sum_of_all(make_cql: Callable[..., CQL], batch: TransitionBatch) -> None:
    policy = make_cql(conservative_weight=7.0, initial_temperature=2.0)
    total, metrics = policy.loss(batch)
    temperature_loss = -math.log(2.0) * (-metrics["entropy"] - 2.0)
    expected = metrics["actor_loss"] + metrics["bellman_loss"] + 7.0 * metrics["conservative_gap"] + temperature_loss
    torch.testing.assert_close(total.detach(), expected)
    assert float(metrics["temperature"]) == pytest.approx(2.0)


def test_the_targets_move_by_the_target_rate(make_cql: Callable[..., CQL]) -> None:
    policy = make_cql(target_rate=0.25)
    before = [parameter.clone() for parameter in policy.target_critic.parameters()]
    with torch.no_grad():
        for parameter in policy.critic.parameters():
            parameter += 1.0
    policy.after_update()
    for old, new in zip(before, policy.target_critic.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.25)
    assert not any(parameter.requires_grad for parameter in policy.target_critic.parameters())


def test_every_trained_parameter_is_optimised_once(make_cql: Callable[..., CQL]) -> None:
    policy = make_cql(actor_learning_rate=0.1, critic_learning_rate=0.2)
    rates = {id(p): group["lr"] for group in policy.optimizer_settings().groups for p in group["params"]}
    named = dict(policy.named_parameters())
    assert {name for name, p in named.items() if id(p) not in rates} == {n for n in named if n.startswith("target_")}
    assert rates[id(policy.log_temperature)] == rates[id(policy.actor[0].weight)] == 0.1
    assert rates[id(policy.critic.weights[0])] == 0.2


def test_narrow_data_train_without_nan(make_spec: Callable[..., Spec], five_trajectories: Subset) -> None:
    """One trajectory, constant rewards and an observation dimension that never varies."""
    data = five_trajectories.trajectories
    observations = data.observations.copy()
    observations[:, 1] = 4.0
    last = data.last_observations.copy()
    last[:, 1] = 4.0
    data = replace(data, observations=observations, rewards=np.ones_like(data.rewards), last_observations=last)
    subset = take_fraction(data, 0.01, 0)
    assert len(subset.episodes) == 1
    mean, std = subset.observation_moments()
    torch.manual_seed(0)
    policy = CQL(SMALL, make_spec(observation_mean=mean, observation_std=std))
    optimizer = torch.optim.AdamW(policy.optimizer_settings().groups)
    rng = np.random.default_rng(0)
    for _ in range(100):
        loss, metrics = policy.loss(policy.sampler(subset).sample(16, rng))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        policy.after_update()
        assert all(torch.isfinite(value) for value in metrics.values())
    assert all(torch.isfinite(tensor).all() for tensor in policy.state_dict().values())


def test_act_is_the_squashed_mode_inside_the_bounds(make_cql: Callable[..., CQL], batch: TransitionBatch) -> None:
    policy = make_cql()
    history = History(batch.observations[:, None], torch.zeros(6, 1, 2), torch.zeros(6, 1), torch.zeros(6, 1).long())
    mean = policy.actor(policy.normalize(batch.observations))[:, :2]
    low = torch.tensor([-2.0, -1.0])
    high = torch.tensor([2.0, 3.0])
    torch.testing.assert_close(policy.act(history), low + (torch.tanh(mean) + 1) / 2 * (high - low))


def test_without_importance_sampling_the_data_are_compared_too_and_densities_are_not(
    make_cql: Callable[..., CQL], batch: TransitionBatch
) -> None:
    policy = make_cql(importance_sampling=False, soft_maximum_temperature=0.5)
    states, actions, next_states = states_of(policy, batch)
    gap = critic_losses(policy, batch)[1].item()
    proposals, _ = policy.proposals(states, next_states, noise_of(policy, batch))
    total = 0.0
    for critic in (0, 1):
        for n in range(6):
            own = naive_value(policy, states[n], actions[n], critic=critic)
            values = [own, *(naive_value(policy, states[n], proposals[k, n], critic=critic) for k in range(9))]
            total += 0.5 * math.log(np.mean(np.exp(np.array(values) / 0.5))) - own
    assert gap == pytest.approx(total / 6, rel=1e-4)


def test_the_target_of_the_max_backup_is_each_critics_best_action(
    make_cql: Callable[..., CQL], batch: TransitionBatch
) -> None:
    policy = make_cql(max_backup=True, backup_entropy=True, discount=0.9)
    next_states = states_of(policy, batch)[2]
    noise = noise_of(policy, batch).target
    target = policy.bellman_target(batch, next_states, noise)
    actions, _ = policy.sample_actions(next_states, noise)
    assert len(actions) == 3
    for n in range(6):
        best = [
            max(naive_value(policy, next_states[n], actions[k, n], critic=c, target=True) for k in range(3))
            for c in (0, 1)
        ]
        assert target[n].item() == pytest.approx(n + (0.0 if n in (0, 3) else 0.9 * min(best)), rel=1e-5)


def test_a_fixed_temperature_is_not_learned(make_cql: Callable[..., CQL], batch: TransitionBatch) -> None:
    policy = make_cql(automatic_entropy=False, initial_temperature=0.5)
    total, metrics = policy.loss(batch)
    expected = metrics["actor_loss"] + metrics["bellman_loss"] + 10.0 * metrics["conservative_gap"]
    torch.testing.assert_close(total.detach(), expected)
    total.backward()
    assert policy.log_temperature.grad is None
    assert float(metrics["temperature"]) == pytest.approx(0.5)
    optimised = {id(p) for group in policy.optimizer_settings().groups for p in group["params"]}
    assert id(policy.log_temperature) not in optimised


def test_the_lagrangian_by_hand(make_cql: Callable[..., CQL], batch: TransitionBatch) -> None:
    """The published code's: alpha' (alpha gap - tau), summed over critics, and minus half of it for alpha'."""
    policy = make_cql(target_gap=5.0, conservative_weight=2.0)
    with torch.no_grad():
        policy.log_factor.fill_(math.log(3.0))
    gap = torch.tensor(1.5, requires_grad=True)  # of both critics together, each with the mean inside the logarithm
    loss = policy.lagrangian(gap, 5.0)
    loss.backward()
    excess = 2.0 * (1.5 + 2 * math.log(9)) - 2 * 5.0
    assert loss.item() == pytest.approx(3.0 * excess - 0.5 * 3.0 * excess)
    assert gap.grad is not None
    assert gap.grad.item() == pytest.approx(3.0 * 2.0)
    assert policy.log_factor.grad is not None
    assert policy.log_factor.grad.item() == pytest.approx(-0.5 * 3.0 * excess)
    rates = {id(p): group["lr"] for group in policy.optimizer_settings().groups for p in group["params"]}
    assert rates[id(policy.log_factor)] == policy.config.critic_learning_rate
    metrics = policy.loss(batch)[1]
    assert float(metrics["conservative_factor"]) == pytest.approx(3.0)


def test_each_part_of_the_lagrange_version_reaches_its_own_parameters(
    make_cql: Callable[..., CQL], batch: TransitionBatch
) -> None:
    policy = make_cql(target_gap=5.0)
    gap = critic_losses(policy, batch)[1]
    assert gradients_reach(policy, policy.lagrangian(gap, 5.0)) == {"critic", "log_factor"}
    assert "log_factor" not in dict(make_cql().named_parameters())  # checkpoints from before there was the choice
