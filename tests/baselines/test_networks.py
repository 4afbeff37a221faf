from dataclasses import replace

import torch
from torch import nn

from lamobench.baselines.dropout import Dropout
from lamobench.baselines.networks import Ensemble, FrameEncoder, UpdateCount, mlp, move_towards
from lamobench.baselines.onednn import Linear
from lamobench.baselines.policy import Spec


def test_mlp_is_linear_layers_with_relu_between_them() -> None:
    network = mlp((3, 5, 4, 2))
    assert [type(layer) for layer in network] == [Linear, nn.ReLU, Linear, nn.ReLU, Linear]
    assert network(torch.zeros(7, 3)).shape == (7, 2)


def test_ensemble_equals_separate_stacks() -> None:
    torch.manual_seed(0)
    ensemble = Ensemble(3, (4, 8, 6, 2))
    inputs = torch.randn(5, 4)
    outputs = ensemble(inputs)
    assert outputs.shape == (3, 5, 2)
    for member in range(3):
        stack = mlp((4, 8, 6, 2))
        with torch.no_grad():
            for linear, weight, bias in zip(stack[::2], ensemble.weights, ensemble.biases, strict=True):
                linear.weight.copy_(weight[member].T)
                linear.bias.copy_(bias[member, 0])
        torch.testing.assert_close(outputs[member], stack(inputs))


def test_ensemble_is_initialised_as_linear_layers_are() -> None:
    torch.manual_seed(0)
    ensemble = Ensemble(2, (100, 200))
    linear = nn.Linear(100, 200)
    for ours, theirs in ((ensemble.weights[0], linear.weight), (ensemble.biases[0], linear.bias)):
        assert ours.abs().max() <= 0.1  # 1 / sqrt(inputs)
        torch.testing.assert_close(ours.std(), theirs.std(), rtol=0.1, atol=0)
    assert not torch.equal(ensemble.weights[0][0], ensemble.weights[0][1])


def test_a_frozen_ensemble_passes_gradients_to_its_inputs_alone() -> None:
    torch.manual_seed(0)
    ensemble = Ensemble(2, (4, 8, 1))
    inputs = torch.randn(5, 4, requires_grad=True)
    frozen = ensemble(inputs, frozen=True)
    assert torch.equal(frozen, ensemble(inputs))
    frozen.sum().backward()
    assert inputs.grad is not None
    assert inputs.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in ensemble.parameters())


def test_frame_encoder_sees_the_same_in_a_window_and_in_stacks_of_its_own(atari_spec: Spec) -> None:
    torch.manual_seed(0)
    spec = replace(atari_spec, background=0.25)
    encoder = FrameEncoder(spec, 8)
    frames = torch.randint(0, 256, (2, 3 + 5, 84, 84), dtype=torch.uint8)
    together = encoder(frames)
    assert together.shape == (2, 5, 8)
    for step in range(5):
        torch.testing.assert_close(encoder(frames[:, step : step + 4])[:, 0], together[:, step])
    levels = encoder.convolutions(frames[:, :4].float() / 255 - 0.25)  # the newest frame is the last channel
    torch.testing.assert_close(encoder.project(levels), together[:, 0])


def test_dropout_follows_every_hidden_layer() -> None:
    network = mlp((3, 5, 4, 2), dropout=0.3)
    hidden = [Linear, nn.ReLU, Dropout]
    assert [type(layer) for layer in network] == [*hidden, *hidden, Linear]
    assert network[2].p == 0.3


def test_a_normed_ensemble_equals_separate_stacks() -> None:
    torch.manual_seed(0)
    ensemble = Ensemble(2, (4, 8, 6, 1), layer_norm=True)
    inputs = torch.randn(5, 4)
    with torch.no_grad():
        for parameter in ensemble.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    for member in range(2):
        hidden = inputs
        for layer in range(3):
            hidden = hidden @ ensemble.weights[layer][member] + ensemble.biases[layer][member]
            if layer < 2:
                gain = ensemble.gains[layer][member, 0]
                shift = ensemble.shifts[layer][member, 0]
                hidden = nn.functional.layer_norm(hidden.relu(), (len(gain),), gain, shift, eps=1e-6)
        torch.testing.assert_close(ensemble(inputs)[member], hidden)
    ensemble(inputs.requires_grad_(), frozen=True).sum().backward()
    assert all(parameter.grad is None for parameter in ensemble.parameters())


def test_the_first_members_alone() -> None:
    torch.manual_seed(0)
    ensemble = Ensemble(3, (4, 8, 1), layer_norm=True)
    inputs = torch.randn(5, 4)
    torch.testing.assert_close(ensemble(inputs, members=2), ensemble(inputs)[:2])


def test_targets_move_part_of_the_way() -> None:
    target = nn.Linear(2, 2)
    source = nn.Linear(2, 2)
    expected = 0.75 * target.weight.detach() + 0.25 * source.weight.detach()
    move_towards(target, source, 0.25)
    torch.testing.assert_close(target.weight.detach(), expected)


def test_the_count_of_updates_is_in_the_state_of_whatever_holds_it() -> None:
    holders = [nn.ModuleDict({"updates": UpdateCount()}) for _ in range(2)]
    for _ in range(3):
        holders[0]["updates"].add()
    holders[1].load_state_dict(holders[0].state_dict(), strict=False)
    assert holders[1]["updates"].done == 3
    holders[1]["updates"].add()
    assert int(holders[1].state_dict()["updates.steps"]) == 4
