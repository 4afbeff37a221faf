import copy
import math

import numpy as np
import pytest
import torch

from lamobench.baselines.online.retention import RETENTIONS, Retention, RetentionConfig
from lamobench.baselines.online.sac import SAC, SACConfig
from lamobench.baselines.online.transitions import Transitions
from lamobench.datasets.trajectories import Array
from lamobench.tests.baselines.online.made_up import CONTINUOUS, small_sac, transitions

NOTHING = Retention(RetentionConfig())


def forward(agent: SAC, part: str, member: int, inputs: Array, stages: Array) -> Array:
    """Outputs (B, out) of one network in NumPy: LayerNorm after the first layer, leaky rectifiers, a head a stage."""
    network = agent.get_submodule(part)
    weights = [w[member].detach().numpy() for w in network.weights]  # type: ignore[union-attr]
    biases = [b[member, 0].detach().numpy() for b in network.biases]  # type: ignore[union-attr]
    gain, shift = (p[member, 0].detach().numpy() for p in network.norms)  # type: ignore[union-attr]
    hidden = inputs
    for layer in range(len(weights) - 1):
        hidden = hidden @ weights[layer] + biases[layer]
        if layer == 0:
            centred = hidden - hidden.mean(1, keepdims=True)
            hidden = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * gain + shift
        hidden = np.where(hidden > 0, hidden, 0.01 * hidden)
    outputs = (hidden @ weights[-1] + biases[-1]).reshape(len(inputs), 2, -1)
    return outputs[np.arange(len(inputs)), stages]


def drawn(agent: SAC, observations: Array, stages: Array, noise: Array) -> tuple[Array, Array]:
    """Actions (B, A) and their log densities (B,)."""
    mean, log_std = np.split(forward(agent, "actor.network", 0, observations, stages), 2, axis=1)
    std = np.exp(np.clip(log_std, -5, 2))
    before = mean + std * noise
    density = -0.5 * noise**2 - np.log(std) - 0.5 * math.log(2 * math.pi) - np.log(1 - np.tanh(before) ** 2)
    return np.tanh(before), density.sum(1)


def lower(agent: SAC, part: str, observations: Array, actions: Array, stages: Array) -> Array:
    inputs = np.concatenate([observations, actions], 1)
    return np.minimum(*(forward(agent, part, member, inputs, stages)[:, 0] for member in (0, 1)))


def test_the_losses_by_hand() -> None:
    agent = small_sac()
    batch = transitions(CONTINUOUS, 8)
    noise = torch.randn(8, 2, generator=torch.Generator().manual_seed(5))
    observations, actions, rewards, after, dones, stages = (column.numpy() for column in vars(batch).values())
    temperature = np.exp(np.array([-0.7, 0.2]))[stages]

    next_actions, next_density = drawn(agent, after, stages, noise.numpy())
    value = lower(agent, "target_critic", after, next_actions, stages) - temperature * next_density
    target = rewards + 0.99 * (1 - dones) * value
    both = np.concatenate([observations, actions], 1)
    errors = [forward(agent, "critic", member, both, stages)[:, 0] - target for member in (0, 1)]
    critic_loss, _ = agent.critic_loss(batch, noise)
    assert critic_loss.item() == pytest.approx(sum(0.5 * np.mean(e**2) for e in errors), rel=1e-4)

    acted, density = drawn(agent, observations, stages, noise.numpy())
    expected = np.mean(temperature * density - lower(agent, "critic", observations, acted, stages))
    actor_loss, info, visited, log_probs = agent.actor_loss(batch, noise)
    assert actor_loss.item() == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(log_probs, density, rtol=1e-4, atol=1e-4)
    assert info["entropy"].item() == pytest.approx(-density.mean(), rel=1e-4)
    torch.testing.assert_close(visited.observations, batch.observations)

    by_stage = np.array([-0.7, 0.2])[stages]
    expected = -np.mean(by_stage * (density - 2.0))
    assert agent.temperature_loss(batch, log_probs).item() == pytest.approx(expected, rel=1e-4)


def test_what_is_done_is_worth_its_reward() -> None:
    agent = small_sac()
    batch = transitions(CONTINUOUS, 50)
    target = agent.bellman_target(batch, torch.zeros(50, 2))
    over = batch.dones == 1
    assert 0 < over.sum() < 50
    assert torch.equal(target[over], batch.rewards[over])
    assert (target[~over] != batch.rewards[~over]).all()


def test_each_step_moves_its_own_part() -> None:
    agent = small_sac()
    before = copy.deepcopy(agent.state_dict())
    agent.update_critics(transitions(CONTINUOUS, 16))
    moved = {name.split(".")[0] for name, tensor in agent.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {"critic", "target_critic"}
    before = copy.deepcopy(agent.state_dict())
    agent.update_actor(transitions(CONTINUOUS, 16), NOTHING)
    moved = {name.split(".")[0] for name, tensor in agent.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {"actor", "log_temperature", "updates"}


def test_rows_of_one_stage_leave_the_heads_and_temperature_of_the_other() -> None:
    agent = small_sac()
    before = copy.deepcopy(agent)
    agent.update(transitions(CONTINUOUS, 16, stage=0), NOTHING)
    for network, earlier in ((agent.actor.network, before.actor.network), (agent.critic, before.critic)):
        other = network.head_columns(1)
        assert torch.equal(network.weights[-1][..., other], earlier.weights[-1][..., other])
        assert not torch.equal(network.weights[-1], earlier.weights[-1])
    changed = agent.log_temperature != before.log_temperature
    assert changed.tolist() == [True, False]


def test_targets_follow_the_critics() -> None:
    agent = small_sac()
    old = copy.deepcopy(agent.target_critic)
    agent.update(transitions(CONTINUOUS, 16), NOTHING)
    for target, earlier, source in zip(
        agent.target_critic.parameters(), old.parameters(), agent.critic.parameters(), strict=True
    ):
        torch.testing.assert_close(target, 0.995 * earlier + 0.005 * source)


@pytest.mark.parametrize("name", ["none", "bc", "ewc"])
def test_an_agent_goes_on_bitwise(name: str) -> None:
    memory = transitions(CONTINUOUS, 200, seed=3, stage=1)
    row = RETENTIONS[name]
    retention = row.build(row.config())
    retention.prepare(small_sac().actor, memory, torch.Generator())
    agent = small_sac()
    for seed in range(3):
        agent.update(transitions(CONTINUOUS, 16, seed), retention)
    kept = agent.tensors()
    other = SAC(SACConfig(hidden=(16, 16)), CONTINUOUS, seed=7)
    other.load(kept)
    for each in (agent, other):
        for seed in range(3, 6):
            each.update(transitions(CONTINUOUS, 16, seed), retention)
    assert agent.tensors().keys() == other.tensors().keys()
    for name, tensor in agent.tensors().items():
        assert torch.equal(tensor, other.tensors()[name]), name
    assert {name.split(".")[0] for name in kept} == {"policy", "optimizer", "random"}
    assert not torch.equal(kept["policy.actor.network.weights.0"], agent.actor.network.weights[0])  # it was a copy


def test_the_shared_optimiser_moves_actor_and_temperatures_as_two_would() -> None:
    agent = small_sac()
    apart = small_sac()
    actor = torch.optim.Adam(apart.actor.parameters(), apart.config.learning_rate, fused=True)
    temperatures = torch.optim.Adam([apart.log_temperature], apart.config.learning_rate, fused=True)
    for seed in range(3):
        batch = transitions(CONTINUOUS, 16, seed)
        agent.update_actor(batch, NOTHING)
        loss, _, _, log_probs = apart.actor_loss(batch, apart.noise(batch))
        for optimizer, own in ((actor, loss), (temperatures, apart.temperature_loss(batch, log_probs))):
            optimizer.zero_grad()
            own.backward()
            optimizer.step()
    assert torch.equal(agent.log_temperature, apart.log_temperature)
    for parameter, other in zip(agent.actor.parameters(), apart.actor.parameters(), strict=True):
        assert torch.equal(parameter, other)


def test_moments_of_an_optimiser_that_is_not_there_are_refused() -> None:
    agent = small_sac()
    agent.update(transitions(CONTINUOUS, 16), NOTHING)
    older = agent.tensors() | {"optimizer.temperature.0.step": torch.tensor(1.0)}
    with pytest.raises(KeyError, match="moments of temperature"):
        agent.load(older)


def test_pytorch_s_own_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    agent = small_sac()
    agent.act(torch.zeros(2, 3), torch.tensor([0, 1]), torch.Generator().manual_seed(1))
    agent.update(transitions(CONTINUOUS, 16), NOTHING)
    assert torch.equal(torch.get_rng_state(), before)


def test_seeds_decide_the_first_weights() -> None:
    same = small_sac(0)
    other = small_sac(1)
    for parameter, equal, different in zip(
        small_sac(0).actor.parameters(), same.actor.parameters(), other.actor.parameters(), strict=True
    ):
        assert torch.equal(parameter, equal)
        assert len(parameter.unique()) == 1 or not torch.equal(parameter, different)  # norms begin alike


def test_without_a_generator_the_likeliest_action_is_taken() -> None:
    agent = small_sac()
    batch = transitions(CONTINUOUS, 5)
    policy = agent.gaussian(batch.observations, batch.stages)
    torch.testing.assert_close(agent.act(batch.observations, batch.stages), policy.mean.tanh())
    generators = [torch.Generator().manual_seed(3) for _ in range(2)]
    first, second = (agent.act(batch.observations, batch.stages, generator) for generator in generators)
    assert torch.equal(first, second)
    assert not torch.equal(first, agent.act(batch.observations, batch.stages))


def test_a_reward_that_is_no_number_shows_in_what_is_logged() -> None:
    agent = small_sac()
    batch = transitions(CONTINUOUS, 16)
    broken = Transitions(**vars(batch) | {"rewards": torch.full((16,), math.nan)})
    assert not agent.update(broken, NOTHING)["critic_loss"].isfinite()


def test_it_learns_a_bandit() -> None:
    """Reward is minus the squared distance to an action that differs between stages."""
    agent = SAC(SACConfig(hidden=(32, 32), learning_rate=3e-3, initial_temperature=0.05), CONTINUOUS, 0)
    goals = torch.tensor([[0.6, -0.3], [-0.5, 0.5]])
    generator = torch.Generator().manual_seed(0)
    batch = transitions(CONTINUOUS, 512)
    actions = 2.0 * torch.rand(512, 2, generator=generator) - 1.0
    made = {"actions": actions, "rewards": -(actions - goals[batch.stages]).square().sum(1), "dones": torch.ones(512)}
    steps = Transitions(**vars(batch) | made)
    for _ in range(200):
        agent.update(steps.rows(torch.randint(512, (64,), generator=generator)), NOTHING)
    chosen = agent.act(batch.observations, batch.stages)
    assert (chosen - goals[batch.stages]).norm(dim=1).mean() < 0.3  # 0.7 at first
