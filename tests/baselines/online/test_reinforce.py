import numpy as np
import pytest
import torch

from lamobench.baselines.online.networks import NetworkConfig
from lamobench.baselines.online.reinforce import Episodes, Reinforce, ReinforceConfig, discounted_returns
from lamobench.baselines.online.retention import Retention, RetentionConfig
from lamobench.baselines.online.transitions import StagedSpec

NOTHING = Retention(RetentionConfig())
APPLE = StagedSpec(observation_dim=1, action_dim=2, stages=2, discrete=True)


def walked(agent: Reinforce, seed: int, c: float, stage: int = 0, episodes: int = 3, steps: int = 10) -> Episodes:
    """Episodes in one phase of AppleRetrieval, where +1 is paid for the right direction: -c is seen in phase 1."""
    generator = torch.Generator().manual_seed(seed)
    observations = torch.full((episodes, steps, 1), c if stage else -c)
    stages = torch.full((episodes, steps), stage)
    actions = agent.act(observations.flatten(0, 1), stages.flatten(), generator).view(episodes, steps)
    lengths = torch.randint(2, steps + 1, (episodes, 1), generator=generator)
    mask = (torch.arange(steps) < lengths).float()
    rewards = torch.where(actions == 1 - stage, 1.0, -1.0) * mask
    return Episodes(observations, stages, actions, rewards, mask)


def second_phase_logit(agent: Reinforce, c: float) -> float:
    (weight,) = agent.actor.network.weights
    (bias,) = agent.actor.network.biases
    return weight.item() * c + bias.item()


@pytest.mark.parametrize("c", [0.1, 0.5, 1.0, 2.0])
def test_a_step_in_phase_one_moves_phase_two_by_one_minus_c_squared_of_its_gradient(c: float) -> None:
    """The logit is w o + b: a gradient g at o = -c moves w by -c g and b by g, so w c + b by (1 - c^2) g."""
    agent = Reinforce(ReinforceConfig(learning_rate=0.01, initial_scale=1.0), APPLE, 0)
    episodes = walked(agent, 1, c)
    before = second_phase_logit(agent, c)
    agent.update(episodes, NOTHING)
    gradient = -float(agent.actor.network.biases[0].grad)  # of the objective, by the logit in phase 1
    assert abs(gradient) > 0.1
    moved = second_phase_logit(agent, c) - before
    assert moved == pytest.approx(0.01 * (1 - c**2) * gradient, abs=1e-6)


def test_nothing_is_forgotten_at_c_of_one_and_something_below() -> None:
    forgotten = {}
    for c in (1.0, 0.2):
        agent = Reinforce(ReinforceConfig(learning_rate=0.01), APPLE, 0)
        for seed in range(50):
            agent.update(walked(agent, seed, c, stage=1), NOTHING)
        before = second_phase_logit(agent, c)
        assert before < 0.0  # to the left, as it was taught
        for seed in range(50, 100):
            agent.update(walked(agent, seed, c, stage=0), NOTHING)
        forgotten[c] = second_phase_logit(agent, c) - before
    assert forgotten[1.0] == pytest.approx(0.0, abs=1e-5)
    assert forgotten[0.2] > 0.3


def test_the_loss_by_hand() -> None:
    agent = Reinforce(ReinforceConfig(initial_scale=1.0, discount=0.9), APPLE, 3)
    episodes = walked(agent, 2, 0.5, episodes=2, steps=4)
    weight, bias = (parameter.item() for parameter in agent.actor.parameters())
    expected = 0.0
    for episode in range(2):
        for step in range(4):
            if not episodes.mask[episode, step]:
                continue
            later = [0.9**k * float(episodes.rewards[episode, step + k]) for k in range(4 - step)]
            right = 1 / (1 + np.exp(-(weight * -0.5 + bias)))
            chance = right if episodes.actions[episode, step] == 1 else 1 - right
            expected -= np.log(chance) * sum(later) / 2
    loss, info, visited = agent.loss(episodes)
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    assert info["return"].item() == pytest.approx(float(episodes.rewards.sum()) / 2)
    assert visited.weights is not None
    assert torch.equal(visited.weights, episodes.mask.flatten())


def test_returns_are_discounted_sums() -> None:
    returns = discounted_returns(torch.tensor([[1.0, 2.0, 4.0], [0.0, 0.0, 1.0]]), 0.5)
    assert returns.tolist() == [[3.0, 4.0, 4.0], [0.25, 0.5, 1.0]]


def test_an_agent_goes_on_bitwise() -> None:
    agent, other = (Reinforce(ReinforceConfig(initial_scale=1.0), APPLE, seed) for seed in (0, 1))
    other.load(agent.tensors())
    for each in (agent, other):
        for step in range(3):
            each.update(walked(each, step, 0.3), NOTHING)
    for name, tensor in agent.tensors().items():
        assert torch.equal(tensor, other.tensors()[name]), name


def test_a_network_with_hidden_layers_needs_weights_to_begin_with() -> None:
    shape = NetworkConfig((4,), "tanh", layer_norm=False, head_a_stage=False)
    config = ReinforceConfig(**vars(shape) | {"initial_scale": 0.5})
    agent = Reinforce(config, APPLE, 0)
    assert all(parameter.abs().max() > 0.0 for parameter in agent.actor.parameters())
