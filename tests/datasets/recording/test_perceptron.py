import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from lamobench.datasets.recording.perceptron import Adam, Perceptrons


def torch_forward(networks: Perceptrons, parameters: Tensor, inputs: Tensor) -> Tensor:
    sizes = [int(np.prod(shape)) for shape in networks.shapes]
    parts = [part.view(shape) for part, shape in zip(parameters.split(sizes), networks.shapes, strict=True)]
    hidden = inputs.expand(len(parts[0]), *inputs.shape)
    for weight, bias in zip(parts[:-2:2], parts[1:-2:2], strict=True):
        hidden = torch.baddbmm(bias, hidden, weight)
        if networks.normalise:
            hidden = functional.layer_norm(hidden, hidden.shape[-1:])
        hidden = functional.relu(hidden)
    return torch.baddbmm(parts[-1], hidden, parts[-2])


@pytest.mark.parametrize(("count", "normalise"), [(1, False), (2, True)])
def test_values_and_gradients_are_those_of_automatic_differentiation(count: int, normalise: bool) -> None:
    rng = np.random.default_rng(0)
    networks = Perceptrons(count, [5, 16, 12, 3], normalise, rng)
    inputs, output_gradient = rng.standard_normal((7, 5), np.float32), rng.standard_normal((count, 7, 3), np.float32)
    parameters = torch.tensor(networks.parameters, requires_grad=True)
    torch_inputs = torch.tensor(inputs, requires_grad=True)
    expected = torch_forward(networks, parameters, torch_inputs)
    expected.backward(torch.tensor(output_gradient))
    assert parameters.grad is not None
    assert torch_inputs.grad is not None
    outputs, tape = networks.forward(inputs)
    np.testing.assert_allclose(outputs, expected.detach(), rtol=1e-4, atol=1e-5)
    gradient = networks.parameter_gradient(tape, output_gradient)
    np.testing.assert_allclose(gradient, parameters.grad, rtol=1e-3, atol=1e-4)
    input_gradient = networks.input_gradient(tape, output_gradient)
    np.testing.assert_allclose(input_gradient.sum(axis=0), torch_inputs.grad, rtol=1e-3, atol=1e-4)
    assert outputs.dtype == gradient.dtype == input_gradient.dtype == np.float32


def test_the_first_network_alone_answers_as_among_the_others() -> None:
    rng = np.random.default_rng(1)
    networks = Perceptrons(2, [5, 16, 1], True, rng)
    inputs = rng.standard_normal((7, 5), np.float32)
    both, tape_of_both = networks.forward(inputs)
    one, tape = networks.forward(inputs, first=1)
    np.testing.assert_allclose(one, both[:1], rtol=1e-5, atol=1e-6)
    ones = np.ones_like(both)
    expected = networks.input_gradient(tape_of_both, ones)[:1]
    np.testing.assert_allclose(networks.input_gradient(tape, ones[:1]), expected, rtol=1e-5, atol=1e-6)


def test_adam_takes_the_steps_of_torch() -> None:
    rng = np.random.default_rng(2)
    ours = rng.standard_normal(20, np.float32)
    theirs = torch.tensor(ours.copy(), requires_grad=True)
    adam, expected = Adam(ours, 0.01), torch.optim.Adam([theirs], 0.01)
    for _ in range(5):
        gradient = rng.standard_normal(20, np.float32)
        theirs.grad = torch.tensor(gradient.copy())
        expected.step()
        adam.step(gradient)
        np.testing.assert_allclose(ours, theirs.detach(), rtol=1e-5, atol=1e-6)
    assert ours.dtype == np.float32
