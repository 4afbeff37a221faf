"""Frozen weights under autocast.

What autocast makes of a trained parameter PyTorch keeps for as long as a step takes. A frozen one it would round anew
for every product: of GPT-2's, 170 MB to write each step.
"""

import torch
from torch import Tensor


class RoundedOnce:
    """A frozen weight as autocast hands it to a product: rounded when it is first asked for, and kept.

    A change of the weight that PyTorch counts as one (not through `.data`) is noticed.
    """

    def __init__(self) -> None:
        self.kept, self.version = torch.empty(0), -1

    def __call__(self, weight: Tensor) -> Tensor:
        """`weight`, always the same one, or under autocast what it is rounded to there."""
        kind = weight.device.type
        if weight.requires_grad or not torch.is_autocast_enabled(kind) or torch.compiler.is_compiling():
            return weight
        dtype, version = torch.get_autocast_dtype(kind), weight._version
        if (self.kept.dtype, self.kept.device, self.version) != (dtype, weight.device, version):
            self.kept, self.version = weight.detach().to(dtype), version
        return self.kept
