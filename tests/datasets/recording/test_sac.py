import numpy as np
import pytest
import torch

from lamobench.datasets.recording.td3 import TD3, Batch, Replay, Settings

NOISELESS = Settings(target_noise=0.0, critic_units=16, actor_units=8)


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


def test_targets_are_those_of_the_paper_computed_by_hand() -> None:
    learner, batch = TD3(4, 2, NOISELESS, np.random.default_rng(0)), a_batch()
    targets = learner.targets(batch)
    for n in range(6):
        hidden = batch.next_observations[n]
        for layer in range(3):
            hidden = hidden @ learner.target_actor.weights[layer][0] + learner.target_actor.biases[layer][0, 0]
            hidden = np.maximum(hidden, 0) if layer < 2 else np.tanh(hidden)
        values = []
        for which in range(2):
            value = np.concatenate((batch.next_observations[n], hidden))
            for layer in range(3):
                value = value @ learner.target_critics.weights[layer][which]
                value = value + learner.target_critics.biases[layer][which, 0]
                if layer < 2:
                    value = np.maximum((value - value.mean()) / np.sqrt(value.var() + 1e-5), 0)
            values.append(value[0])
        beyond = 0.0 if n % 3 == 0 else 0.99 * min(values)
        assert targets[n] == pytest.approx(batch.rewards[n] + beyond, rel=1e-3, abs=1e-4)


def test_the_noise_on_the_target_action_is_cut() -> None:
    still = TD3(4, 2, NOISELESS, np.random.default_rng(0))
    noisy = TD3(4, 2, Settings(target_noise=9.0, target_noise_limit=1e-4, critic_units=16, actor_units=8), still.rng)
    for name in ("target_actor", "target_critics"):
        setattr(noisy, name, getattr(still, name))
    batch = a_batch()
    np.testing.assert_allclose(noisy.targets(batch), still.targets(batch), atol=1e-3)
    assert not np.array_equal(noisy.targets(batch), still.targets(batch))


def test_slow_copies_follow_with_every_second_update_and_are_what_targets_come_from() -> None:
    learner, batch = TD3(4, 2, NOISELESS, np.random.default_rng(0)), a_batch()
    before, old = learner.critics.parameters.copy(), learner.target_critics.parameters.copy()
    np.testing.assert_array_equal(before, old)
    targets, actor = learner.targets(batch), learner.actor.parameters.copy()
    learner.update(batch)
    assert not np.array_equal(learner.critics.parameters, before)
    np.testing.assert_array_equal(learner.target_critics.parameters, old)
    np.testing.assert_array_equal(learner.actor.parameters, actor)
    learner.update(batch)
    moved = old + NOISELESS.target_rate * (learner.critics.parameters - old)
    np.testing.assert_allclose(learner.target_critics.parameters, moved, rtol=1e-5, atol=1e-7)
    assert not np.array_equal(learner.actor.parameters, actor)
    assert not np.array_equal(learner.targets(batch), targets), "targets must see the copies' new parameters"


def test_critics_come_to_a_value_that_can_be_computed() -> None:
    """Every transition pays 1 and leads back to where it began: the value is 1 / (1 - discount)."""
    learner = TD3(
        1, 1, Settings(discount=0.5, critic_units=16, actor_units=8, target_rate=0.1), np.random.default_rng(0)
    )
    ones, zeros = np.ones(32, np.float32), np.zeros(32, np.float32)
    rng = np.random.default_rng(1)
    for _ in range(1500):
        actions = rng.uniform(-1, 1, (32, 1)).astype(np.float32)
        learner.update(Batch(ones[:, None], actions, ones, ones[:, None], zeros))
    values, _ = learner.critics.forward(np.array([[1.0, -0.5], [1.0, 0.5]], np.float32))
    np.testing.assert_allclose(values, 2.0, atol=0.1)


def test_the_actor_goes_up_the_first_critic() -> None:
    learner, batch = TD3(4, 2, NOISELESS, np.random.default_rng(0)), a_batch(64)

    def value() -> float:
        actions = np.tanh(learner.actor.forward(batch.observations)[0][0])
        return float(learner.critics.forward(np.concatenate((batch.observations, actions), axis=1))[0][0].mean())

    values = [value()]
    for _ in range(20):
        learner._improve_actor(batch.observations)
        values.append(value())
    assert values == sorted(values)
    assert values[-1] > values[0] + 0.003


def test_the_replay_gives_back_what_it_was_given() -> None:
    replay = Replay(3, observation_size=2, action_size=1)
    replay.add(np.array([1.0, 2.0]), np.array([3.0]), 4.0, np.array([5.0, 6.0]), True)
    replay.add(np.array([7.0, 8.0]), np.array([9.0]), 10.0, np.array([11.0, 12.0]), False)
    batch = replay.sample(np.random.default_rng(0), 50)
    rows = np.column_stack((batch.observations, batch.actions, batch.rewards, batch.next_observations, batch.terminals))
    assert {tuple(row) for row in rows.tolist()} == {(1, 2, 3, 4, 5, 6, 1), (7, 8, 9, 10, 11, 12, 0)}
    assert rows.dtype == np.float32


def test_the_critics_step_goes_down_their_mean_squared_error() -> None:
    """The critics' loss is the sum over both of the mean squared error; its gradient, taken by torch, is ours."""
    learner, batch = TD3(4, 2, NOISELESS, np.random.default_rng(0)), a_batch()
    inputs = np.concatenate((batch.observations, batch.actions), axis=1)
    values, tape = learner.critics.forward(inputs)
    outputs = torch.tensor(values[..., 0], requires_grad=True)
    loss = ((outputs - torch.tensor(learner.targets(batch))) ** 2).mean(dim=1).sum()
    loss.backward()
    assert outputs.grad is not None
    before = learner.critics.parameters.copy()
    expected = learner.critics.parameter_gradient(tape, outputs.grad.numpy()[..., None].copy())
    learner.update(batch)
    moved = before - learner.critics.parameters
    # Adam's first step has the gradient's sign and the learning rate's size, wherever the gradient is not tiny.
    clear = np.abs(expected) > 1e-4
    np.testing.assert_allclose(moved[clear], NOISELESS.learning_rate * np.sign(expected[clear]), rtol=1e-2)
