import numpy as np
import pytest
import torch
from torch import Tensor

from lamobench.datasets.recording.perceptron import Adam, Perceptrons


def torch_forward(networks: Perceptrons, parameters: Tensor, inputs: Tensor) -> Tensor:
    sizes = [int(np.prod(shape)) for shape in networks.shapes]
    parts = [part.view(shape) for part, shape in zip(parameters.split(sizes), networks.shapes, strict=True)]
    hidden = inputs.expand(len(parts[0]), *inputs.shape)
    for weight, bias in zip(parts[:-2:2], parts[1:-2:2], strict=True):
        hidden = torch.relu(torch.baddbmm(bias, hidden, weight))
    return torch.baddbmm(parts[-1], hidden, parts[-2])


@pytest.mark.parametrize(("count", "outputs"), [(1, 3), (2, 1)])
def test_values_and_gradients_are_those_of_automatic_differentiation(count: int, outputs: int) -> None:
    rng = np.random.default_rng(0)
    networks = Perceptrons(count, [5, 16, 12, outputs], rng)
    inputs = rng.standard_normal((7, 5), np.float32)
    output_gradient = rng.standard_normal((count, 7, outputs), np.float32)
    parameters = torch.tensor(networks.parameters, requires_grad=True)
    torch_inputs = torch.tensor(inputs, requires_grad=True)
    expected = torch_forward(networks, parameters, torch_inputs)
    expected.backward(torch.tensor(output_gradient))
    assert parameters.grad is not None
    assert torch_inputs.grad is not None
    given = output_gradient.copy()
    values, tape = networks.forward(inputs)
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-4, atol=1e-5)
    gradient = networks.parameter_gradient(tape, given)
    np.testing.assert_allclose(gradient, parameters.grad, rtol=1e-3, atol=1e-5)
    input_gradient = networks.input_gradient(tape, given)
    np.testing.assert_allclose(input_gradient.sum(axis=0), torch_inputs.grad, rtol=1e-3, atol=1e-5)
    assert values.dtype == gradient.dtype == input_gradient.dtype == np.float32
    np.testing.assert_array_equal(given, output_gradient, "gradients are taken twice of the same tape")


def test_layers_are_views_of_the_parameters_in_a_copy_too() -> None:
    networks = Perceptrons(2, [3, 4, 1], np.random.default_rng(0))
    inputs = np.ones((2, 3), np.float32)
    twin = networks.copy()
    before, _ = networks.forward(inputs)
    twin.parameters += 1.0
    np.testing.assert_array_equal(networks.forward(inputs)[0], before)
    assert not np.array_equal(twin.forward(inputs)[0], before)
    twin.parameters[:] = networks.parameters
    np.testing.assert_array_equal(twin.forward(inputs)[0], before)


def test_adam_takes_the_steps_of_torch() -> None:
    rng = np.random.default_rng(2)
    ours = rng.standard_normal(20, np.float32)
    theirs = torch.tensor(ours.copy(), requires_grad=True)
    adam = Adam(ours, 0.01)
    expected = torch.optim.Adam([theirs], 0.01)
    for _ in range(5):
        gradient = rng.standard_normal(20, np.float32)
        theirs.grad = torch.tensor(gradient.copy())
        expected.step()
        adam.step(gradient)
        np.testing.assert_allclose(ours, theirs.detach(), rtol=1e-5, atol=1e-6)
    assert ours.dtype == np.float32
