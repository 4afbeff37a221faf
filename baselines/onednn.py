"""Matrix products on a CPU by oneDNN.

PyTorch multiplies float32 matrices on a CPU by MKL, which on processors that are not Intel's is no faster than AVX2
allows. oneDNN, which comes with PyTorch too, takes AVX-512 wherever there is any: on a core of an AMD EPYC it reaches
183 GFLOP/s, MKL 92. Tensors in its layout go through its kernels, forwards and backwards: linear layers, ReLU and GELU
know it. The maths is the same, the order of summation is not: results differ by rounding.

Layers that are not trained need no layout of their own: no gradient of their weights is asked for, and oneDNN takes
PyTorch's layout for the two products that are left.
"""

from typing import Any

import torch
from torch import Tensor

ROWS = 1024  # from which on the way into the layout and back is cheap beside the product
FROZEN_ROWS = 64  # of layers that are not trained: fewer, as when one episode is played, are left to MKL


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
    if weight.requires_grad or inputs.numel() < FROZEN_ROWS * inputs.shape[-1] or not _can(inputs):
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


def _product(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(inputs.contiguous(), weight, bias, "none", [], "")
    return product


def _can(inputs: Tensor) -> bool:
    if inputs.device.type != "cpu" or inputs.dtype != torch.float32:
        return False
    if torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling():
        return False
    if torch._C._functorch.maybe_current_level() is not None:  # torch.func.vmap and its kind know none of it
        return False
    here: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return here
