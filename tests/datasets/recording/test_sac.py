import numpy as np
import pytest
import torch

from lamobench.datasets.recording.sac import (
    LOG_DEVIATION,
    Batch,
    Replay,
    Settings,
    SoftActorCritic,
    draw,
    log_deviation,
    output_gradient,
)

SMALL = Settings(critic_units=16, actor_units=8)


def a_learner(settings: Settings = SMALL) -> SoftActorCritic:
    return SoftActorCritic(4, 2, settings, np.random.default_rng(0))


def a_batch(size: int = 6) -> Batch:
    rng = np.random.default_rng(3)
    terminals = np.zeros(size, np.float32)
    terminals[::3] = 1.0
    return Batch(
        rng.standard_normal((size, 4), np.float32),
        rng.uniform(-1, 1, (size, 2)).astype(np.float32),
        rng.standard_normal(size).astype(np.float32),
        rng.standard_normal((size, 4), np.float32),
        terminals,
    )


def test_draws_and_their_gradient_are_those_of_automatic_differentiation() -> None:
    rng = np.random.default_rng(0)
    outputs = rng.standard_normal((5, 6), np.float32)
    value_gradient = rng.standard_normal((5, 3), np.float32)
    sample = draw(outputs, rng)
    parameters = torch.tensor(outputs, dtype=torch.float64, requires_grad=True)
    means, raw = parameters.chunk(2, dim=-1)
    low, high = LOG_DEVIATION
    policy = torch.distributions.Normal(means, (low + (high - low) / 2 * (torch.tanh(raw) + 1)).exp())
    wide = means + policy.stddev * torch.tensor(sample.noise, dtype=torch.float64)
    actions = torch.tanh(wide)
    log_probabilities = (policy.log_prob(wide) - torch.log(1 - actions**2)).sum(dim=-1)
    (0.3 * log_probabilities - (torch.tensor(value_gradient) * actions).sum(dim=-1)).sum().backward()
    assert parameters.grad is not None
    np.testing.assert_allclose(sample.actions, actions.detach(), atol=1e-5)
    np.testing.assert_allclose(sample.log_probabilities, log_probabilities.detach(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(output_gradient(sample, 0.3, value_gradient), parameters.grad, rtol=1e-3, atol=1e-4)
    assert sample.actions.dtype == sample.log_probabilities.dtype == np.float32


def test_far_out_draws_keep_a_finite_probability() -> None:
    sample = draw(np.array([[30.0, -30.0, 0.0, 0.0]], np.float32), np.random.default_rng(0))
    assert np.abs(sample.actions).max() == 1.0
    assert np.isfinite(sample.log_probabilities).all()


def test_deviations_keep_their_bounds() -> None:
    np.testing.assert_allclose(log_deviation(np.array([-1.0, 0.0, 1.0])), [-5.0, -1.5, 2.0])


def test_targets_are_those_of_the_paper_computed_by_hand() -> None:
    learner = a_learner()
    batch = a_batch()
    learner.log_temperature[0] = np.log(0.2)
    learner.rng = np.random.default_rng(5)
    targets = learner.targets(batch)
    noise = np.random.default_rng(5).standard_normal((6, 2), np.float32)
    for n in range(6):
        outputs = batch.next_observations[n]
        for layer in range(3):
            outputs = outputs @ learner.actor.weights[layer][0] + learner.actor.biases[layer][0, 0]
            outputs = np.maximum(outputs, 0) if layer < 2 else outputs
        deviation = np.exp(log_deviation(np.tanh(outputs[2:])))
        action = np.tanh(outputs[:2] + deviation * noise[n])
        density = np.exp(-(noise[n] ** 2) / 2) / np.sqrt(2 * np.pi) / deviation / (1 - action**2)
        values = []
        for which in range(2):
            value = np.concatenate((batch.next_observations[n], action))
            for layer in range(3):
                value = value @ learner.slow_critics.weights[layer][which]
                value = value + learner.slow_critics.biases[layer][which, 0]
                value = np.maximum(value, 0) if layer < 2 else value
            values.append(value[0])
        beyond = 0.0 if n % 3 == 0 else 0.99 * (min(values) - 0.2 * np.log(density).sum())
        assert targets[n] == pytest.approx(batch.rewards[n] + beyond, rel=1e-3, abs=1e-4)


def test_slow_critics_follow_and_are_what_targets_come_from() -> None:
    learner = a_learner()
    batch = a_batch()
    before = learner.critics.parameters.copy()
    actor = learner.actor.parameters.copy()
    np.testing.assert_array_equal(before, learner.slow_critics.parameters)
    learner.update(batch)
    assert not np.array_equal(learner.critics.parameters, before)
    moved = before + SMALL.target_rate * (learner.critics.parameters - before)
    np.testing.assert_allclose(learner.slow_critics.parameters, moved, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(learner.actor.parameters, actor, "the actor moves with every second update")
    learner.update(batch)
    assert not np.array_equal(learner.actor.parameters, actor)

    def targets() -> np.ndarray:
        learner.rng = np.random.default_rng(0)
        return learner.targets(batch)

    old = targets()
    learner.critics.parameters += 1.0
    np.testing.assert_array_equal(targets(), old)
    learner.slow_critics.parameters += 1.0
    assert not np.array_equal(targets(), old)


def test_critics_come_to_a_value_that_can_be_computed() -> None:
    """Every transition pays 1 and leads back to where it began, and entropy is worth nothing: 1 / (1 - discount)."""
    settings = Settings(discount=0.5, critic_units=16, actor_units=8, target_rate=0.1)
    learner = SoftActorCritic(1, 1, settings, np.random.default_rng(0))
    ones = np.ones(32, np.float32)
    zeros = np.zeros(32, np.float32)
    rng = np.random.default_rng(1)
    for _ in range(1500):
        learner.log_temperature[0] = -30.0
        actions = rng.uniform(-1, 1, (32, 1)).astype(np.float32)
        learner.update(Batch(ones[:, None], actions, ones, ones[:, None], zeros))
    values, _ = learner.critics.forward(np.array([[1.0, -0.5], [1.0, 0.5]], np.float32))
    np.testing.assert_allclose(values, 2.0, atol=0.1)


def test_the_actor_learns_which_action_pays() -> None:
    """One step, which pays what the action says: the mean goes to the end of the action space, the entropy to -A."""
    learner = SoftActorCritic(1, 1, Settings(critic_units=16, actor_units=8), np.random.default_rng(0))
    ones = np.ones(64, np.float32)
    rng = np.random.default_rng(1)
    for _ in range(3000):
        actions = rng.uniform(-1, 1, (64, 1)).astype(np.float32)
        learner.update(Batch(ones[:, None], actions, 5.0 * actions[:, 0], ones[:, None], ones))
    outputs, _ = learner.actor.forward(np.ones((500, 1), np.float32))
    sample = draw(outputs[0], rng)
    assert sample.actions.mean() > 0.7
    assert -sample.log_probabilities.mean() == pytest.approx(-1.0, abs=0.5)


def test_the_replay_gives_back_what_it_was_given() -> None:
    replay = Replay(3, observation_size=2, action_size=1)
    replay.add(np.array([1.0, 2.0]), np.array([3.0]), 4.0, np.array([5.0, 6.0]), True)
    replay.add(np.array([7.0, 8.0]), np.array([9.0]), 10.0, np.array([11.0, 12.0]), False)
    batch = replay.sample(np.random.default_rng(0), 50)
    columns = (batch.observations, batch.actions, batch.rewards, batch.next_observations, batch.terminals)
    rows = np.column_stack(columns)
    assert {tuple(row) for row in rows.tolist()} == {(1, 2, 3, 4, 5, 6, 1), (7, 8, 9, 10, 11, 12, 0)}
    assert rows.dtype == np.float32
