"""Small multilayer perceptrons with their gradients, in plain NumPy.

At a hundred units a layer, a deep-learning framework's own overhead takes as long as the arithmetic; here there is
little of it. Shapes: N networks side by side, B batch, I and O a layer's inputs and outputs.
"""

import math
from collections.abc import Iterator
from copy import copy
from itertools import pairwise
from typing import Self

import numpy as np

from ..trajectories import Array

Tape = list[Array]  # the inputs of each layer, which the gradients need: (N, B, I), those of the first (B, I)


class Perceptrons:
    """N networks of the same sizes: linear layers, rectified but for the last.

    All parameters lie in one flat array, so an optimiser or a moving average is a few array operations.
    """

    def __init__(self, count: int, sizes: list[int], rng: np.random.Generator) -> None:
        self.shapes = [shape for pair in pairwise(sizes) for shape in ((count, *pair), (count, 1, pair[1]))]
        self._hold(np.empty(sum(math.prod(shape) for shape in self.shapes), np.float32))
        for weight, bias in zip(self.weights, self.biases, strict=True):
            bound = weight.shape[1] ** -0.5  # as torch.nn.Linear
            weight[:] = rng.uniform(-bound, bound, weight.shape)
            bias[:] = rng.uniform(-bound, bound, bias.shape)

    def copy(self) -> Self:
        """The same networks with parameters of their own; `copy.deepcopy` would part the flat array from its views."""
        twin = copy(self)
        twin._hold(self.parameters.copy())
        return twin

    def _hold(self, parameters: Array) -> None:
        self.parameters = parameters
        views = split(parameters, self.shapes)
        self.weights = views[::2]  # (N, I, O) for each layer
        self.biases = views[1::2]  # (N, 1, O) for each layer

    def forward(self, inputs: Array) -> tuple[Array, Tape]:
        """Outputs (N, B, O) for inputs (B, I), and the tape for the gradients."""
        tape = []
        hidden = inputs
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            tape.append(hidden)
            hidden = np.matmul(hidden, weight)
            hidden += bias
            if layer < len(self.weights) - 1:
                np.maximum(hidden, 0.0, out=hidden)
        return hidden, tape

    def parameter_gradient(self, tape: Tape, output_gradient: Array) -> Array:
        """The flat gradient for the parameters, given that for (N, B, O) outputs, of all N networks."""
        gradient = np.empty_like(self.parameters)
        views = split(gradient, self.shapes)
        for layer, back in self._backward(tape, output_gradient):
            np.matmul(tape[layer].swapaxes(-1, -2), back, out=views[2 * layer])
            np.sum(back, axis=1, keepdims=True, out=views[2 * layer + 1])
        return gradient

    def input_gradient(self, tape: Tape, output_gradient: Array) -> Array:
        """Each network's gradient (N, B, I) for the inputs, given that for its outputs."""
        *_, (_, back) = self._backward(tape, output_gradient)
        gradient: Array = np.matmul(back, self.weights[0].swapaxes(1, 2))
        return gradient

    def _backward(self, tape: Tape, output_gradient: Array) -> Iterator[tuple[int, Array]]:
        """Yield each layer's number, last to first, and the gradient for its outputs before they are rectified."""
        back = output_gradient
        for layer in range(len(self.weights) - 1, -1, -1):
            yield layer, back
            if layer > 0:
                across = self.weights[layer].swapaxes(1, 2)
                back = back * across if back.shape[-1] == 1 else np.matmul(back, across)  # matmul is slow at one output
                back *= tape[layer] > 0.0


def split(flat: Array, shapes: list[tuple[int, int, int]]) -> list[Array]:
    """Views of consecutive parts of a flat array, in those shapes."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]


class Adam:
    """Adam (Kingma and Ba, 2015) for a flat array of parameters, which it changes in place."""

    def __init__(self, parameters: Array, learning_rate: float) -> None:
        self.parameters = parameters
        self.learning_rate = learning_rate
        self.steps = 0
        self.mean = np.zeros_like(parameters)
        self.square = np.zeros_like(parameters)

    def step(self, gradient: Array) -> None:
        """Take one step down a gradient, which is overwritten."""
        self.steps += 1
        self.mean += 0.1 * (gradient - self.mean)
        np.multiply(gradient, gradient, out=gradient)
        gradient -= self.square
        gradient *= 0.001
        self.square += gradient
        correction = (1 - 0.999**self.steps) ** 0.5
        np.sqrt(self.square, out=gradient)
        gradient += 1e-8 * correction
        np.divide(self.mean, gradient, out=gradient)
        gradient *= self.learning_rate * correction / (1 - 0.9**self.steps)
        self.parameters -= gradient
