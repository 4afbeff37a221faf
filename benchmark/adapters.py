"""What of a language model is trained: low-rank updates, everything, or nothing.

Hu et al. 2021 (arXiv 2106.09685) for the updates; Shi et al. 2024, Section 4.2 and published code, for where they go.
"""

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from transformers import GPT2LMHeadModel
from transformers.pytorch_utils import Conv1D


class SplitProjection(nn.Module):
    """GPT-2's fused `c_attn` as three layers of its own weights, so that each can have an update of its own.

    Maps (..., D) to (..., 3D): queries, keys, values.
    """

    def __init__(self, fused: Conv1D) -> None:
        super().__init__()
        width, inputs = fused.nf // 3, fused.weight.shape[0]
        self.q, self.k, self.v = (nn.Linear(inputs, width) for _ in range(3))
        with torch.no_grad():
            for layer, weight, bias in zip(
                (self.q, self.k, self.v), fused.weight.split(width, dim=1), fused.bias.split(width), strict=True
            ):
                layer.weight.copy_(weight.T)  # GPT-2 stores its weights as (in, out)
                layer.bias.copy_(bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Queries, keys and values, side by side."""
        return torch.cat([self.q(hidden), self.k(hidden), self.v(hidden)], dim=-1)


def add_lora(model: GPT2LMHeadModel, pairs: str, rank: int, alpha: float, dropout: float) -> None:
    """Freeze `model`, and add updates of `rank`, scaled by `alpha / rank`, to its queries, keys and values.

    `pairs`: "separate" gives each of the three its own pair of matrices, as LaMo does on D4RL (through loralib);
    "joint" gives the fused layer one pair, as LaMo does on Atari (through peft). The layer's biases are trained too
    with "separate", as published there.
    """
    model.requires_grad_(False)
    if pairs == "separate":
        for block in model.transformer.h:
            block.attn.c_attn = SplitProjection(block.attn.c_attn)
    lora = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=["q", "k", "v"] if pairs == "separate" else ["c_attn"],
        fan_in_fan_out=pairs == "joint",
        bias="lora_only" if pairs == "separate" else "none",
    )
    inject_adapter_in_model(lora, model)
