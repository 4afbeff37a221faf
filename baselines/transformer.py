"""A causal transformer in GPT-2's arrangement, for the from-scratch Decision Transformer.

Shapes: B batch, L tokens, D width, H heads.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .dropout import Dropout
from .dropout import dropout as drop
from .onednn import Linear


class CausalTransformer(nn.Module):
    """Pre-norm blocks and a final LayerNorm. Has no position embeddings: its caller adds what marks time."""

    def __init__(self, layers: int, heads: int, width: int, dropout: float, activation: str) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(Block(heads, width, dropout, activation) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.apply(initialize)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, L, D) to (B, L, D); each position sees itself and what is before it."""
        return self.extend(tokens, None)

    def new_past(self) -> "KeysAndValues":
        """What `extend` keeps of what it has read: nothing yet."""
        return KeysAndValues([None for _ in self.blocks])

    def extend(self, tokens: Tensor, past: "KeysAndValues | None") -> Tensor:
        """As `forward`, of tokens that follow those read before: they see these too, and join them in `past`."""
        hidden = self.dropout(tokens)
        for layer, block in enumerate(self.blocks):
            hidden = block(hidden, past and partial(past.extend, layer))
        normed: Tensor = self.norm(hidden)
        return normed


@dataclass
class KeysAndValues:
    """Each layer's keys and values of the tokens that were read: (2, B, H, L, D / H) each, None before the first."""

    layers: list[Tensor | None]

    def extend(self, layer: int, added: Tensor) -> Tensor:
        """Keep a layer's keys and values of more tokens; returns those of all."""
        before = self.layers[layer]
        together = added if before is None else torch.cat([before, added], dim=-2)
        self.layers[layer] = together
        return together

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows of the batch, in this order."""
        self.layers = [layer if layer is None else layer[:, indices] for layer in self.layers]


class Block(nn.Module):
    """Attention and a two-layer network of four times the width, each behind a LayerNorm and added to the stream."""

    def __init__(self, heads: int, width: int, dropout: float, activation: str) -> None:
        super().__init__()
        self.heads, self.attention_dropout = heads, dropout
        self.norm_attention, self.norm_network = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.project = Linear(width, 3 * width), Linear(width, width)
        self.expand, self.contract = Linear(width, 4 * width), Linear(4 * width, width)
        self.activation = ACTIVATIONS[activation]
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, extend: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Map (B, L, D) to (B, L, D). `extend` puts keys and values behind those of earlier tokens."""
        hidden = hidden + self.dropout(self.project(self.attend(self.norm_attention(hidden), extend)))
        expanded = self.activation(self.expand(self.norm_network(hidden)))
        return hidden + torch.as_tensor(self.dropout(self.contract(expanded)))

    def attend(self, normed: Tensor, extend: Callable[[Tensor], Tensor] | None) -> Tensor:
        """Causal self-attention of (B, L, D), heads side by side in the result."""
        batch, length, width = normed.shape
        split = self.query_key_value(normed).view(batch, length, 3, self.heads, width // self.heads)
        query, *_ = queries_keys_values = split.permute(2, 0, 3, 1, 4)  # each (B, H, L, D / H)
        key, value = extend(queries_keys_values[1:]) if extend else queries_keys_values[1:]
        dropout = self.attention_dropout if self.training else 0.0
        mixed = causal_attention(query, key, value, dropout)
        return mixed.transpose(1, 2).reshape(batch, length, width)


def causal_attention(query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
    """Softmax(QK^T / sqrt(D / H)) V over earlier positions, (B, H, L, D / H) each; queries are those of the last L.

    On a CPU in bfloat16 the fused kernel's backward pass is several times slower than plain products at the few dozen
    tokens of a Decision Transformer's context; elsewhere it is as fast or faster.
    """
    length, seen = query.shape[-2], key.shape[-2]
    if length == seen and (query.is_cuda or query.dtype == torch.float32):
        return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])  # (B, H, L, seen)
    future = torch.ones(length, seen, dtype=torch.bool, device=query.device).triu(1 + seen - length)
    weights = torch.softmax(scores.masked_fill(future, -math.inf), -1)
    return (drop(weights, dropout) if dropout else weights) @ value


def initialize(module: nn.Module) -> None:
    """GPT-2's initialisation: normal weights of standard deviation 0.02, zero biases."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
}
