"""Linear layers on a CPU by oneDNN.

PyTorch multiplies float32 matrices on a CPU by MKL. On processors that are not Intel's, MKL is no faster than AVX2
allows. oneDNN, which also comes with PyTorch, uses AVX-512 wherever there is any, and is about twice as fast there
(`lamobench bench --only peaks`). The maths is the same, the order of summation is not: results differ by rounding.
On Intel's own processors both are equally fast, and MKL has no Python calls around it: there oneDNN is not used.

oneDNN gets only float32 products on a CPU, outside autocast and compiled code, that are large enough; the rest stays
with PyTorch's own linear layer. PyTorch would hand the products of several seeds in one pass (`torch.vmap`) to MKL as
one stack; oneDNN computes one product after the other.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ..datasets.processes import processor

MULTIPLICATIONS = 1 << 22  # of a product: with fewer it is no faster, with four times as many twice as fast
ROWS = 3  # rows: with fewer, as when one step is read, it is no faster


class Linear(nn.Linear):
    """PyTorch's linear layer, multiplied by oneDNN where that is faster."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        return linear(inputs, self.weight, self.bias)


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A linear layer (..., in) -> (..., out). `weight` is (out, in), and may be a transposed view; `bias` is (out,)."""
    if not pays(inputs, weight) or inputs.shape[-1] != weight.shape[-1]:  # the latter: PyTorch says what is wrong
        return F.linear(inputs, weight, bias)
    kind = _BySeed if _batched(inputs, weight, bias) else _Product
    product: Tensor = kind.apply(inputs, weight, bias)  # type: ignore[no-untyped-call]
    return product


def pays(inputs: Tensor, weight: Tensor) -> bool:
    """Check whether the product of inputs (..., rows, in) and the matrix `weight` goes to oneDNN."""
    if torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
        return False
    if inputs.device.type != "cpu" or not inputs.dtype == weight.dtype == torch.float32 or inputs.ndim < 2:
        return False
    rows = inputs.shape[:-1].numel()
    if rows < ROWS or rows * weight.numel() < MULTIPLICATIONS:
        return False
    if torch._C._functorch.maybe_current_level() is not None and not _batched(inputs, weight):
        return False  # transformed in another way than by `torch.vmap`
    return faster_here()


@cache
def faster_here() -> bool:
    """Check whether oneDNN is there, and this processor has nothing as fast."""
    mkl_at_home = torch.backends.mkl.is_available() and "Intel" in processor()  # type: ignore[no-untyped-call]
    return not mkl_at_home and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs if ctx.needs_input_grad[1] else None, weight)  # not for what is frozen
        return _multiply(inputs, weight, bias)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        inputs, weight = ctx.saved_tensors
        of_inputs, of_weight, of_bias = ctx.needs_input_grad
        return (
            _multiply(gradient, weight.T, None) if of_inputs else None,
            _weight_gradient(inputs.flatten(0, -2), gradient.flatten(0, -2)) if of_weight else None,
            gradient.flatten(0, -2).sum(0) if of_bias else None,
        )


class _BySeed(torch.autograd.Function):
    """The product under `torch.vmap` over several seeds: one after the other. Never called itself."""

    @staticmethod
    def forward(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        raise NotImplementedError("this is for tensors under torch.vmap alone")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        raise NotImplementedError("this is for tensors under torch.vmap alone")

    @staticmethod
    def vmap(info: Any, places: tuple[int | None, ...], *tensors: Tensor | None) -> tuple[Tensor, int]:
        seeds = [
            [tensor] * info.batch_size if tensor is None or place is None else tensor.unbind(place)
            for tensor, place in zip(tensors, places, strict=True)
        ]
        return torch.stack([linear(*each) for each in zip(*seeds, strict=True)]), 0


def _weight_gradient(inputs: Tensor, gradient: Tensor) -> Tensor:
    """The product (out, in) of matrices (rows, in) and (rows, out).

    oneDNN copies its first factor. Where the inputs and the product are less to copy, these are copied instead.
    """
    (rows, width) = inputs.shape
    outputs = gradient.shape[1]
    if rows * (outputs - width) <= outputs * width:
        return _multiply(gradient.T, inputs.T, None)
    return _multiply(inputs.T, gradient.T, None).T


def _multiply(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`inputs @ weight.T + bias` in any memory order: oneDNN is slow on gaps, and accepts none in a bias."""
    if not weight.is_contiguous() and not weight.T.is_contiguous():
        weight = weight.contiguous()
    return _contiguous_product(inputs, weight, None if bias is None else bias.contiguous())


def _contiguous_product(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")
    return product


def _batched(*tensors: Tensor | None) -> bool:
    """Check whether any tensor holds several seeds under `torch.vmap`."""
    return any(tensor is not None and torch._C._functorch.is_batchedtensor(tensor) for tensor in tensors)
