"""Dropout whose random numbers are cheap on a CPU.

PyTorch draws a number for each element, which made dropout a sixth of LaMo's step on gpt2-mini. Here four elements
share one: 16 bits decide about each. The rate is rounded to a multiple of 2^-16, and what is kept is scaled by that:
the expectation stays exact.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 1 << 16  # of 16 bits
# Bounds of PyTorch's random int64, all of whose bits then are random.
LEAST = -(1 << 63)
MOST = None


class Dropout(nn.Dropout):
    """PyTorch's module, with the random numbers of `dropout`."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the inputs, of any shape; in training, some of them zero."""
        return dropout(inputs, self.p) if self.training and self.p else inputs


def dropout(inputs: Tensor, rate: float) -> Tensor:
    """Set each input to zero with probability `rate`, and scale the others so that the expectation stays."""
    dropped = round(rate * LEVELS)
    if dropped == LEVELS or torch.compiler.is_compiling() or inputs.device.type != "cpu":
        return F.dropout(inputs, rate)
    draws = torch.empty((inputs.numel() + 3) // 4, dtype=torch.int64).random_(LEAST, MOST)
    kept = draws.view(torch.int16)[: inputs.numel()].view(inputs.shape) >= dropped - LEVELS // 2
    return inputs * kept.to(inputs.dtype).mul_(LEVELS / (LEVELS - dropped))
