from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from lamobench.baselines.online.actors import Actor
from lamobench.baselines.online.distributions import Categorical, SquashedGaussian
from lamobench.baselines.online.networks import NetworkConfig, StackedNetwork
from lamobench.tests.baselines.online.made_up import CONTINUOUS, DISCRETE, transitions

LAYERS = {"relu": nn.ReLU, "tanh": nn.Tanh, "leaky-relu": nn.LeakyReLU}


def config(activation: str = "leaky-relu", layer_norm: bool = True, hidden: Sequence[int] = (8, 6)) -> NetworkConfig:
    return NetworkConfig(tuple(hidden), activation, layer_norm, head_a_stage=True)  # type: ignore[arg-type]


@torch.no_grad()
def alone(network: StackedNetwork, member: int, stage: int, activation: str) -> nn.Sequential:
    """One of the networks with one of its heads, as PyTorch's own layers."""
    layers: list[nn.Module] = []
    for number, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        last = number == len(network.weights) - 1
        columns = slice(stage * network.outputs, (stage + 1) * network.outputs) if last else slice(None)
        weight = weight[member][:, columns]
        bias = bias[member][:, columns]
        layer = nn.Linear(*weight.shape)
        layer.weight.copy_(weight.T)
        layer.bias.copy_(bias[0])
        layers.append(layer)
        if number == 0 and len(network.norms):
            norm = nn.LayerNorm(weight.shape[1])
            norm.weight.copy_(network.norms[0][member, 0])
            norm.bias.copy_(network.norms[1][member, 0])
            layers.append(norm)
        if not last:
            layers.append(LAYERS[activation]())
    return nn.Sequential(*layers)


@pytest.mark.parametrize("activation", LAYERS)
@pytest.mark.parametrize("layer_norm", [True, False])
def test_stacked_networks_are_those_of_torch_one_by_one(activation: str, layer_norm: bool) -> None:
    torch.manual_seed(0)
    network = StackedNetwork(2, 3, 4, heads=3, config=config(activation, layer_norm))
    with torch.no_grad():
        for parameter in network.norms:
            parameter += 0.3 * torch.randn_like(parameter)
    inputs = torch.randn(7, 3)
    stages = torch.tensor([0, 2, 1, 1, 0, 2, 2])
    outputs = network(inputs, stages)
    for member in range(2):
        for row, stage in enumerate(stages.tolist()):
            expected = alone(network, member, stage, activation)(inputs[row])
            torch.testing.assert_close(outputs[member, row], expected)


def test_each_of_several_seeds_has_rows_and_stages_of_its_own() -> None:
    torch.manual_seed(0)
    network = StackedNetwork(2, 3, 4, heads=3, config=config())
    inputs = torch.randn(2, 5, 3)
    stages = torch.randint(3, (2, 5))
    outputs = network(inputs, stages)
    for member in range(2):
        torch.testing.assert_close(outputs[member], network(inputs[member], stages[member])[member])


def rows() -> tuple[Tensor, Tensor]:
    batch = transitions(CONTINUOUS, 6)
    return batch.observations, batch.stages


def test_deviations_are_clamped_in_the_policy() -> None:
    torch.manual_seed(0)
    actor = Actor(CONTINUOUS, config(), log_std_range=(-0.01, 0.01))
    policy = actor.distribution(*rows())
    assert isinstance(policy, SquashedGaussian)
    assert policy.mean.shape == (6, 2)
    assert policy.log_std.abs().max().item() == pytest.approx(0.01)


def test_two_actions_share_a_logit() -> None:
    torch.manual_seed(0)
    two = type(DISCRETE)(3, 2, 1, discrete=True)
    actor = Actor(two, NetworkConfig((), "tanh", layer_norm=False, head_a_stage=False))
    observations, stages = rows()
    policy = actor.distribution(observations, stages)
    assert isinstance(policy, Categorical)
    ((weight, bias),) = zip(actor.network.weights, actor.network.biases, strict=True)
    torch.testing.assert_close(
        policy.log_probabilities[:, 1].exp(), (observations @ weight[0] + bias[0])[:, 0].sigmoid()
    )


def test_the_trunk_is_what_stages_share() -> None:
    actor = Actor(DISCRETE, config())
    heads = {name for name, _ in actor.named_parameters()} - set(actor.trunk())
    assert heads == {"network.weights.2", "network.biases.2"}
    single = Actor(DISCRETE, NetworkConfig((8,), "tanh", layer_norm=False, head_a_stage=False))
    assert set(single.trunk()) == {name for name, _ in single.named_parameters()}
    observations, stages = rows()
    outputs = torch.stack(
        [policy.log_probabilities for policy in map(single.distribution, [observations] * 2, (stages, 1 - stages))]
    )
    assert torch.equal(*outputs)  # one head: stages change nothing


def test_a_head_that_is_shrunk_leaves_the_others() -> None:
    torch.manual_seed(0)
    actor = Actor(CONTINUOUS, config())
    observations, stages = rows()
    before = actor.distribution(observations, stages)
    actor.shrink_head(0, 0.01)
    after = actor.distribution(observations, stages)
    assert isinstance(before, SquashedGaussian)
    assert isinstance(after, SquashedGaussian)
    assert torch.equal(after.mean[stages == 1], before.mean[stages == 1])
    assert after.mean[stages == 0].abs().max() < 0.02
    assert before.mean[stages == 0].abs().max() > 0.1
    assert [layer.shape for layer in actor.features(observations)] == [(1, 6, 8), (1, 6, 6)]
