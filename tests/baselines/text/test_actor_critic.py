"""Actor-critic: its losses against the same computed command by command, and what it learns."""

import numpy as np
import pytest
import torch

from lamobench.baselines.text.actor_critic import ActorCritic, ActorCriticConfig
from lamobench.baselines.text.encoders import HashEncoder
from lamobench.baselines.text.network import log_policy
from lamobench.baselines.text.replay import Transition
from lamobench.baselines.text.texts import PieceVectors, State, Texts
from lamobench.tests.baselines.text.conftest import SCENES, after_learning_which_pays, alone, steps_on


def make(**settings: float) -> ActorCritic:
    encoder = HashEncoder()
    config = ActorCriticConfig(**({"hidden": 4, "learning_rate": 0.01} | settings))  # type: ignore[arg-type]
    return ActorCritic(config, encoder, PieceVectors(Texts(encoder), encoder.encode), seed=0)


def policy_and_values(agent: ActorCritic, network: torch.nn.Module, state: State) -> tuple[np.ndarray, np.ndarray]:
    """The policy and Q of a state's commands, one by one."""
    found = np.array([alone(agent, network, state, command).tolist() for command in state.commands])  # (C, 2)
    weights = np.exp(found[:, 0] / agent.config.temperature)
    return weights / weights.sum(), found[:, 1]


def test_losses_by_hand() -> None:
    agent = make(discount=0.5, entropy=0.25, temperature=0.5)
    _, second, third = (agent.texts.state(each) for each in SCENES)
    steps = steps_on(agent)
    with torch.no_grad():
        agent.network.score[2].bias += torch.tensor([0.0, 10.0])  # the target does not move along
    expected = []
    for reward, following in ((1.0, second), (2.0, third)):
        policy, values = policy_and_values(agent, agent.target, following)
        expected.append(reward + 0.5 * (policy * values).sum())
    expected += [3.0, 4.0]
    np.testing.assert_allclose(agent.targets(steps).numpy(), expected, rtol=1e-5)
    terms = []
    for step, target in zip(steps, expected, strict=True):
        policy, values = policy_and_values(agent, agent.network, step.state)
        apart = abs(values[step.state.commands.index(step.command)] - target)
        huber = 0.5 * apart**2 if apart < 1.0 else apart - 0.5
        terms.append(huber - (policy * values).sum() + 0.25 * (policy * np.log(policy)).sum())
    assert float(agent.loss(steps).detach()) == pytest.approx(np.mean(terms), rel=1e-5)


def test_the_actor_does_not_move_what_the_critic_says() -> None:
    agent = make(entropy=0.0)
    room = agent.texts.state(SCENES[0])
    _, values = policy_and_values(agent, agent.network, room)
    steps = [Transition(room, room.commands[0], float(values[0]), room, True)]  # the critic is right already
    agent.loss(steps).backward()  # type: ignore[no-untyped-call]
    score, value = agent.network.score[2].weight.grad
    assert score.abs().max() > 1e-4
    assert value.abs().max() < 1e-6


def test_a_softmax_over_each_state_s_commands_is_safe_from_large_scores() -> None:
    found = log_policy(torch.tensor([1000.0, 1001.0, -5000.0, 3.0]), torch.tensor([0, 0, 2, 3]), 4)
    log_of_two = [-np.log1p(np.e), -np.log1p(np.exp(-1.0))]
    np.testing.assert_allclose(found.numpy(), [*log_of_two, 0.0, 0.0], rtol=1e-5, atol=1e-6)


def test_the_policies_of_one_state_and_of_many_are_the_same() -> None:
    agent = make()
    states = [agent.texts.state(each) for each in SCENES]
    for state, found in zip(states, agent.policy().probabilities(states), strict=True):
        expected, _ = policy_and_values(agent, agent.network, state)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)
        np.testing.assert_allclose(agent.probabilities(state).numpy(), expected, rtol=1e-4)


def test_it_learns_which_command_pays() -> None:
    assert after_learning_which_pays(make(hidden=16), 80)[1] > 0.9
