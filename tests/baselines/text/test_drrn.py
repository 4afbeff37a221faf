"""DRRN against the same computed text by text, and its losses by hand."""

import numpy as np
import pytest
import torch

from lamobench.baselines.text.drrn import DRRN
from lamobench.baselines.text.replay import Transition
from lamobench.baselines.text.texts import State, make_batch
from lamobench.tests.baselines.text.conftest import RNG, SCENES, Make, after_learning_which_pays, alone, steps_on

both = pytest.mark.parametrize("letters", [False, True])


def naive(agent: DRRN, state: State, command: int) -> float:
    """Q of one command."""
    return float(alone(agent, agent.network, state, command))


@both
def test_a_batch_gives_what_text_by_text_gives(make: Make, letters: bool) -> None:
    agent = make(letters=letters)
    states = [agent.texts.state(each) for each in SCENES]
    batch = make_batch(agent.texts, states)
    with torch.no_grad():
        values = agent.network(agent._online_vectors(batch.pieces), batch)
        expected = [naive(agent, state, command) for state in states for command in state.commands]
    np.testing.assert_allclose(values.numpy(), expected, rtol=1e-4, atol=1e-5)
    flat = [p for state in states for p in agent.probabilities(state).tolist()]
    softmax = torch.cat([(each / agent.config.temperature).softmax(0) for each in values.split([2, 3, 1])])
    np.testing.assert_allclose(flat, softmax.numpy(), rtol=1e-4)
    still = agent.policy()
    for _ in range(2):  # the second time nothing is read anew
        np.testing.assert_allclose(torch.cat(still.probabilities(states)).numpy(), softmax.numpy(), rtol=1e-4)


def test_targets_by_hand(make: Make) -> None:
    agent = make(discount=0.5)
    _, second, third = (agent.texts.state(each) for each in SCENES)
    steps = steps_on(agent)
    with torch.no_grad():
        agent.network.score[2].bias += 10.0  # the target does not move along
        best = [
            max(float(alone(agent, agent.target, state, command)) for command in state.commands)
            for state in (second, third)
        ]
    expected = [1.0 + 0.5 * best[0], 2.0 + 0.5 * best[1], 3.0, 4.0]
    np.testing.assert_allclose(agent.targets(steps).numpy(), expected, rtol=1e-5)
    found = [naive(agent, step.state, step.command) for step in steps]
    apart = np.abs(np.subtract(found, expected))
    huber = np.where(apart < 1.0, 0.5 * apart**2, apart - 0.5).mean()
    assert float(agent.loss(steps).detach()) == pytest.approx(huber, rel=1e-5)


@both
def test_updates_move_all_that_is_trained_and_the_target_follows(make: Make, letters: bool) -> None:
    agent = make(letters=letters, target_every=2, encoder_learning_rate=0.01)
    first, second, _ = (agent.texts.state(each) for each in SCENES)
    steps = [
        Transition(first, first.commands[0], 1.0, second, False),
        Transition(second, second.commands[0], 0.0, first, True),
    ]
    before = {name: tensor.clone() for name, tensor in agent._weights().items()}
    agent.update(steps, RNG)
    moved = {name.split(".")[0] for name, tensor in agent._weights().items() if not torch.equal(tensor, before[name])}
    assert moved == ({"network", "encoder"} if letters else {"network"})
    agent.update(steps, RNG)
    weights = agent._weights()
    for name, tensor in weights.items():
        if name.startswith("target"):
            assert torch.equal(tensor, weights[name.replace("target_", "").replace("target", "network")])


@both
def test_while_its_encoder_is_trained_it_plays_as_the_target_does(make: Make, letters: bool) -> None:
    agent = make(letters=letters, target_every=2, encoder_learning_rate=0.01)
    first, second, _ = (agent.texts.state(each) for each in SCENES)
    before = agent.probabilities(first)
    agent.update([Transition(first, first.commands[0], 1.0, second, False)], RNG)
    assert torch.equal(agent.probabilities(first), before) == letters
    agent.update([Transition(first, first.commands[0], 1.0, second, False)], RNG)
    scores = [float(alone(agent, agent.network, first, command)) for command in first.commands]
    expected = torch.tensor(scores).div(agent.config.temperature).softmax(0)
    torch.testing.assert_close(agent.probabilities(first), expected)


def test_weights_of_another_shape_are_refused(make: Make) -> None:
    agent = make(letters=False)
    tensors = agent.tensors()
    (name, *_) = (name for name, tensor in tensors.items() if name.startswith("policy.") and tensor.ndim > 1)
    with pytest.raises(ValueError, match="expected"):
        agent.load_weights(tensors | {name: tensors[name][:1]})


@both
def test_an_agent_that_is_loaded_goes_on_as_the_other(make: Make, letters: bool) -> None:
    agents = [make(letters=letters, target_every=3, seed=seed) for seed in (0, 1)]
    for agent in agents:
        for each in SCENES:
            agent.texts.state(each)
    states = [agents[0].texts.state(each) for each in SCENES]
    steps = [Transition(states[0], states[0].commands[1], 1.0, states[1], False)]
    for _ in range(4):
        agents[0].update(steps, RNG)
    agents[1].load(agents[0].tensors())
    for agent in agents:
        agent.update(steps, RNG)
        agent.update(steps, RNG)
    ours, theirs = (agent.tensors() for agent in agents)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_it_learns_which_command_pays(make: Make) -> None:
    agent = make(hidden=16, learning_rate=0.01, temperature=0.1)
    assert after_learning_which_pays(agent, 60)[1] > 0.9
