"""A causal transformer in GPT-2's arrangement, for the from-scratch Decision Transformer.

Shapes: B batch, L tokens, D width, H heads.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .onednn import from_onednn, to_onednn


class CausalTransformer(nn.Module):
    """Pre-norm blocks and a final LayerNorm. Has no position embeddings: its caller adds what marks time."""

    def __init__(self, layers: int, heads: int, width: int, dropout: float, activation: str) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(heads, width, dropout, activation) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.apply(initialize)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, L, D) to (B, L, D); each position sees itself and what is before it."""
        hidden = self.dropout(tokens)
        for block in self.blocks:
            hidden = block(hidden)
        normed: Tensor = self.norm(hidden)
        return normed


class Block(nn.Module):
    """Attention and a two-layer network of four times the width, each behind a LayerNorm and added to the stream."""

    def __init__(self, heads: int, width: int, dropout: float, activation: str) -> None:
        super().__init__()
        self.heads, self.attention_dropout = heads, dropout
        self.norm_attention, self.norm_network = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.expand, self.contract = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.activation = ACTIVATIONS[activation]
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (B, L, D) to (B, L, D)."""
        attended = to_onednn(self.attend(self.norm_attention(hidden)))
        hidden = hidden + self.dropout(from_onednn(self.project(attended)))
        expanded = self.activation(self.expand(to_onednn(self.norm_network(hidden))))
        return hidden + torch.as_tensor(self.dropout(from_onednn(self.contract(expanded))))

    def attend(self, normed: Tensor) -> Tensor:
        """Causal self-attention of (B, L, D), heads side by side in the result."""
        batch, length, width = normed.shape
        split = from_onednn(self.query_key_value(to_onednn(normed))).view(
            batch, length, 3, self.heads, width // self.heads
        )
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (B, H, L, D / H)
        dropout = self.attention_dropout if self.training else 0.0
        mixed = causal_attention(query, key, value, dropout)
        return mixed.transpose(1, 2).reshape(batch, length, width)


def causal_attention(query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
    """Softmax(QK^T / sqrt(D / H)) V over earlier positions, (B, H, L, D / H) each.

    On a CPU in bfloat16 the fused kernel's backward pass is several times slower than plain products at the few dozen
    tokens of a Decision Transformer's context; elsewhere it is as fast or faster.
    """
    if query.is_cuda or query.dtype == torch.float32:
        return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
    length = query.shape[-2]
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])  # (B, H, L, L)
    future = torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)
    weights = torch.softmax(scores.masked_fill(future, -math.inf), -1)
    return F.dropout(weights, dropout) @ value


def initialize(module: nn.Module) -> None:
    """GPT-2's initialisation: normal weights of standard deviation 0.02, zero biases."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def _gelu_new(inputs: Tensor) -> Tensor:
    outputs = F.gelu(from_onednn(inputs), approximate="tanh")  # oneDNN's layout has the exact one only
    return outputs.to_mkldnn() if inputs.is_mkldnn else outputs


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu, "gelu_new": _gelu_new}
