"""Matrix products on a CPU by oneDNN.

PyTorch multiplies float32 matrices on a CPU by MKL, which on processors that are not Intel's is no faster than AVX2
allows. oneDNN, which comes with PyTorch too, takes AVX-512 wherever there is any: on a core of an AMD EPYC it reaches
183 GFLOP/s, MKL 92. Tensors in its layout go through its kernels, forwards and backwards: linear layers, ReLU and GELU
know it. The maths is the same, the order of summation is not: results differ by rounding.

Layers that are not trained need no layout of their own: no gradient of their weights is asked for, and oneDNN takes
PyTorch's layout for the two products that are left. Neither do those of several seeds that are trained in one pass
(`torch.vmap`), which PyTorch would hand to MKL as one stack: oneDNN takes one seed's after the other.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

ROWS = 1024  # from which on the way into the layout and back is cheap beside the product
FEW_ROWS = 64  # where there is no such way: fewer, as when one episode is played, are left to MKL
MULTIPLICATIONS = 1 << 22  # of one seed's product, from which on it is faster alone than in a stack


def to_onednn(inputs: Tensor) -> Tensor:
    """Inputs (..., width) of linear layers in oneDNN's layout where that pays, else as they are."""
    rows = inputs.numel() // inputs.shape[-1]
    return inputs.to_mkldnn() if rows >= ROWS and _can(inputs) else inputs


def from_onednn(outputs: Tensor) -> Tensor:
    """Outputs in PyTorch's own layout, whichever they had."""
    return outputs.to_dense() if outputs.is_mkldnn else outputs


def frozen_linear(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor | None:
    """A linear layer (..., in) -> (..., out) whose `weight` (out, in) is not trained, by oneDNN; None where it can't.

    `weight` may be a transposed view, and `bias` may be trained.
    """
    if weight.requires_grad or inputs.numel() < FEW_ROWS * inputs.shape[-1] or not _can(inputs):
        return None
    product: Tensor = _FrozenProduct.apply(inputs, weight, bias)  # type: ignore[no-untyped-call]
    return product


class _FrozenProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return _product(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        (weight,), (gradient,) = ctx.saved_tensors, gradients
        for_inputs = _product(gradient, weight.T, None) if ctx.needs_input_grad[0] else None
        for_bias = gradient.flatten(0, -2).sum(0) if ctx.needs_input_grad[2] else None
        return for_inputs, None, for_bias


def pays_by_seed(inputs: Tensor, weight: Tensor) -> bool:
    """Whether inputs (..., in) are those of several seeds in one pass, and large enough to be multiplied one by one.

    `weight`: one layer's or one member's, whatever the order of its last two dimensions.
    """
    if not _vmapped() or not _knows(inputs):
        return False
    rows, size = inputs.numel() // inputs.shape[-1], weight.shape[-1] * weight.shape[-2]
    return rows * size >= MULTIPLICATIONS


def product_by_seed(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`bias + inputs @ weight` of several seeds in one pass, where it `pays_by_seed`.

    Shapes: inputs (..., rows, in), weight (..., in, out), bias (..., 1, out), with the same leading dimensions.
    """
    product: Tensor = _ProductBySeed.apply(inputs, weight, bias)  # type: ignore[no-untyped-call]
    return product


class _ProductBySeed(torch.autograd.Function):
    @staticmethod
    def forward(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return _each(lambda x, w, b: _product(x, w.T, b[0]), inputs, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:2])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (inputs, weight), (gradient,) = ctx.saved_tensors, gradients
        of_inputs, of_weight, of_bias = ctx.needs_input_grad
        return (
            _each(lambda g, w: _product(g, w, None), gradient, weight) if of_inputs else None,
            _each(lambda x, g: _product(x.T, g.T, None), inputs, gradient) if of_weight else None,
            gradient.sum(-2, keepdim=True) if of_bias else None,
        )

    @staticmethod
    def vmap(info: Any, places: tuple[int | None, ...], *tensors: Tensor) -> tuple[Tensor, int]:
        moved = [
            tensor.expand(info.batch_size, *tensor.shape) if place is None else tensor.movedim(place, 0)
            for tensor, place in zip(tensors, places, strict=True)
        ]
        product: Tensor = _ProductBySeed.apply(*moved)  # type: ignore[no-untyped-call]
        return product, 0


def _each(product: Callable[..., Tensor], *stacks: Tensor) -> Tensor:
    """The products of matrices (..., rows, columns), one after the other."""
    leading = stacks[0].shape[:-2]
    flat = [stack.reshape(-1, *stack.shape[-2:]) for stack in stacks]
    products = torch.stack([product(*matrices) for matrices in zip(*flat, strict=True)])
    return products.view(*leading, *products.shape[-2:])


def _product(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(inputs.contiguous(), weight, bias, "none", [], "")
    return product


def _can(inputs: Tensor) -> bool:
    return _knows(inputs) and not _vmapped()  # torch.vmap and its kind know nothing of the layout


def _vmapped() -> bool:
    return torch._C._functorch.maybe_current_level() is not None


def _knows(inputs: Tensor) -> bool:
    if inputs.device.type != "cpu" or inputs.dtype != torch.float32:
        return False
    if torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling():
        return False
    here: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return here
