"""GPT-2's pass over embedded tokens, put together from transformers' layers.

Its own would compute the last layer at every token, two thirds of which a Decision Transformer never reads, and attends
with kernels that are slower at contexts this short. Weights, names and English stay transformers'.

Shapes: B batch, L tokens, R of them that are read, D width, H heads.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.pytorch_utils import Conv1D

from ..baselines.onednn import linear
from ..baselines.transformer import EVERY, Places, causal_attention, split_heads


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
        return self.only("qkv", hidden)

    def only(self, parts: str, hidden: Tensor) -> Tensor:
        """As `forward`, of some of "q", "k" and "v", once peft has given them their updates.

        What peft's layers would compute one by one is computed together, under one dropout, as published.
        """
        layers = [getattr(self, part) for part in parts]
        weight, bias = (torch.cat([getattr(layer.base_layer, name) for layer in layers]) for name in ("weight", "bias"))
        if layers[0].merged or layers[0].disable_adapters:
            return linear(hidden, weight, bias)
        scaling = layers[0].scaling["default"]
        down = scaling * torch.stack([layer.lora_A["default"].weight for layer in layers])  # (parts, r, in)
        up = torch.stack([layer.lora_B["default"].weight.T for layer in layers])  # (parts, r, out)
        if not (self.training or torch.is_grad_enabled()):
            return linear(hidden, weight + torch.bmm(up.mT, down).flatten(0, 1), bias)
        dropout = layers[0].lora_dropout["default"]
        reduced = linear(dropout(hidden), down.flatten(0, 1), None).view(-1, *up.shape[:2])  # (tokens, parts, r)
        updates = torch.bmm(reduced.transpose(0, 1), up).transpose(0, 1)  # (tokens, parts, out)
        projected = linear(hidden, weight, bias)
        return (projected.view_as(updates) + updates).view_as(projected)


def read_tokens(gpt2: Any, tokens: Tensor, past: DynamicCache | None = None, read: slice = EVERY) -> Tensor:
    """Map embedded tokens (B, L, D) to the outputs (B, R, D) of a `GPT2Model` at those `read`.

    The tokens follow those of `past`, and join them there.
    """
    before = 0 if past is None else past.get_seq_length()
    positions = torch.arange(before, before + tokens.shape[1], device=tokens.device)
    hidden = gpt2.drop(tokens + gpt2.wpe(positions))
    for block in gpt2.h:
        hidden = _block(block, hidden, past, read if block is gpt2.h[-1] else EVERY)
    return torch.as_tensor(gpt2.ln_f(hidden))


def _block(block: Any, hidden: Tensor, past: DynamicCache | None, read: slice) -> Tensor:
    """One of GPT-2's layers: of tokens (B, L, D) the outputs (B, R, D) at those `read`."""
    attention, normed = block.attn, block.ln_1(hidden)
    query, key, value = _projected(attention, normed, read)
    if past is not None:
        key, value = past.update(key, value, attention.layer_idx)
    dropout = attention.attn_dropout.p if attention.training else 0.0
    mixed = causal_attention(query, key, value, Places(normed.shape[1], read), dropout, attention.scaling)
    hidden = hidden[:, read] + attention.resid_dropout(attention.c_proj(mixed))
    return torch.as_tensor(hidden + block.mlp(block.ln_2(hidden)))


def _projected(attention: Any, normed: Tensor, read: slice) -> Sequence[Tensor]:
    """Queries (B, H, R, D / H) of the tokens `read`, keys and values (B, H, L, D / H) of all."""
    if read == EVERY or not isinstance(attention.c_attn, SplitProjection):
        query, *keys_values = split_heads(attention.c_attn(normed), 3, attention.num_heads)
        return query[:, :, read], *keys_values
    split = attention.c_attn
    queries = split_heads(split.only("q", normed[:, read]), 1, attention.num_heads)
    return [*queries, *split_heads(split.only("kv", normed), 2, attention.num_heads)]
