"""GPT-2's pass over embedded tokens, put together from transformers' layers.

Its own would compute the last layer at every token, two thirds of which a Decision Transformer never reads, and attends
with kernels that are slower at contexts this short. Weights, names and the reading of English stay transformers'.

Shapes: B batch, L tokens, R of them that are read, D width, H heads.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from ...baselines.onednn import linear
from ...baselines.transformer import EVERY, KeysAndValues, Places, causal_attention, split_heads
from .rounding import RoundedOnce


class SplitProjection(nn.Module):
    """GPT-2's fused `c_attn` as three layers of its own weights, so that each can have an update of its own.

    Maps (..., D) to (..., 3D): queries, keys, values. Once peft has put updates around the three layers (rank r), what
    they would compute one by one is computed together, under one dropout, as published (loralib's merged layer).
    """

    fused: Tensor  # (D, 3D), GPT-2's own weight, of which the layers' frozen ones are parts

    def __init__(self, fused: Conv1D) -> None:
        super().__init__()
        width = fused.nf // 3
        inputs = fused.weight.shape[0]
        self.register_buffer("fused", fused.weight.detach(), persistent=False)
        self.rounded = RoundedOnce()
        self.q, self.k, self.v = (nn.Linear(inputs, width) for _ in range(3))
        weights = torch.split(self.fused, width, dim=1)
        biases = torch.split(fused.bias.detach(), width)
        for layer, weight, bias in zip((self.q, self.k, self.v), weights, biases, strict=True):
            layer.weight = nn.Parameter(weight.T)
            layer.bias = nn.Parameter(bias.clone())

    def forward(self, hidden: Tensor) -> Tensor:
        """Queries, keys and values, side by side."""
        return self.only("qkv", hidden, self.drop(hidden))

    def drop(self, hidden: Tensor) -> Tensor:
        """The input of the updates: `hidden` after their dropout."""
        dropped: Tensor = self.q.lora_dropout["default"](hidden)  # type: ignore[operator, union-attr, index]
        return dropped

    def only(self, parts: str, hidden: Tensor, dropped: Tensor) -> Tensor:
        """Do the same as `forward` for neighbours among "q", "k" and "v"; `dropped` is of `drop`.

        Where nothing is learned and tokens are many, updates are added to the weights first, which is less to multiply.
        """
        layers: list[Any] = [getattr(self, part) for part in parts]
        bias = torch.cat([layer.base_layer.bias for layer in layers])
        if layers[0].merged or layers[0].disable_adapters:
            return linear(hidden, torch.cat([layer.base_layer.weight for layer in layers]), bias)
        inputs = self.fused.shape[0]
        width = self.fused.shape[1] // 3
        first = "qkv".index(parts)
        columns = slice(first * width, (first + len(parts)) * width)
        down = torch.stack([layer.lora_A["default"].weight for layer in layers])  # (parts, r, in)
        down = layers[0].scaling["default"] * down
        up = torch.stack([layer.lora_B["default"].weight.T for layer in layers])  # (parts, r, out)
        if not (self.training or torch.is_grad_enabled()) and hidden.shape[:-1].numel() > inputs:
            return linear(hidden, self.fused[:, columns].T + torch.bmm(up.mT, down).flatten(0, 1), bias)
        reduced = linear(dropped, down.flatten(0, 1), None).view(-1, *up.shape[:2])  # (tokens, parts, r)
        updates = torch.bmm(reduced.transpose(0, 1), up).transpose(0, 1)  # (tokens, parts, out)
        projected = linear(hidden, self.rounded(self.fused)[:, columns].T, bias)
        return (projected.view_as(updates) + updates).view_as(projected)


def split_projections(model: Any, layers: Sequence[str]) -> None:
    """Split a GPT-2's fused layer into queries, keys and values, and make linear layers of the named `layers`."""
    for block in model.transformer.h:
        block.attn.c_attn = SplitProjection(block.attn.c_attn)
        for name in layers:
            part, _, leaf = name.partition(".")
            setattr(getattr(block, part), leaf, _as_linear(getattr(getattr(block, part), leaf)))


def _as_linear(layer: Conv1D) -> nn.Linear:
    """The same map; GPT-2 stores its weights as (in, out)."""
    inputs, outputs = layer.weight.shape
    linear = nn.Linear(inputs, outputs)
    with torch.no_grad():
        linear.weight.copy_(layer.weight.T)
        linear.bias.copy_(layer.bias)
    return linear.requires_grad_(False)


def read_tokens(gpt2: Any, tokens: Tensor, past: KeysAndValues | None = None, read: slice = EVERY) -> Tensor:
    """Map embedded tokens (B, L, D) to the outputs (B, R, D) of a `GPT2Model` at those `read`.

    The tokens follow those of `past`, and join them there.
    """
    before = 0 if past is None else past.lengths[0]
    positions = torch.arange(before, before + tokens.shape[1], device=tokens.device)
    hidden = gpt2.drop(tokens + gpt2.wpe(positions))
    for block in gpt2.h:
        hidden = _block(block, hidden, past, read if block is gpt2.h[-1] else EVERY)
    return torch.as_tensor(gpt2.ln_f(hidden))


def _block(block: Any, hidden: Tensor, past: KeysAndValues | None, read: slice) -> Tensor:
    """One of GPT-2's layers: of tokens (B, L, D) the outputs (B, R, D) at those `read`."""
    attention = block.attn
    normed = block.ln_1(hidden)
    query, key, value = _projected(attention, normed, read)
    if past is not None:
        key, value = past.extend(attention.layer_idx, torch.stack([key, value]))
    dropout = attention.attn_dropout.p if attention.training else 0.0
    mixed = causal_attention(query, key, value, Places(normed.shape[1], read), dropout, attention.scaling)
    hidden = hidden[:, read] + attention.resid_dropout(attention.c_proj(mixed))
    return torch.as_tensor(hidden + block.mlp(block.ln_2(hidden)))


def _projected(attention: Any, normed: Tensor, read: slice) -> Sequence[Tensor]:
    """Queries (B, H, R, D / H) of the tokens `read`, keys and values (B, H, L, D / H) of all."""
    split = attention.c_attn
    heads = attention.num_heads
    if read == EVERY or not isinstance(split, SplitProjection):  # GPT-2's own layer computes all three of all tokens
        query, *keys_values = split_heads(split(normed), 3, heads)
        return query[:, :, read], *keys_values
    dropped = split.drop(normed)
    queries = split_heads(split.only("q", normed[:, read], dropped[:, read]), 1, heads)
    return [*queries, *split_heads(split.only("kv", normed, dropped), 2, heads)]
