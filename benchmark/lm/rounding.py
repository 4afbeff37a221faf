"""Frozen weights under autocast.

What autocast makes of a trained parameter PyTorch keeps for as long as a step takes. A frozen one it would round anew
for every product: of GPT-2's, 170 MB to write each step.
"""

import torch
from torch import Tensor


class RoundedOnce:
    """A frozen weight as autocast hands it to a product: rounded when it is first asked for, and kept.

    Another weight, or a change of it, is noticed; not a change through `weight.data`, which is how peft merges updates.
    """

    def __init__(self) -> None:
        self.kept = torch.empty(0)
        self.of = tuple[object, ...]()

    def __call__(self, weight: Tensor) -> Tensor:
        """`weight`, or under autocast what it is rounded to there."""
        kind = weight.device.type
        if weight.requires_grad or not torch.is_autocast_enabled(kind) or torch.compiler.is_compiling():
            return weight
        dtype = torch.get_autocast_dtype(kind)
        this = (dtype, weight.device, weight.data_ptr(), weight._version)
        if this != self.of:
            with torch.inference_mode(False):  # what is kept from there could not be trained through
                self.kept = weight.detach().to(dtype)
                self.of = this
        return self.kept
