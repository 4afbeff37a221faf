"""A causal transformer in GPT-2's arrangement, for the from-scratch Decision Transformer.

Shapes: B batch, L tokens, R of them that are read, D width, H heads.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .dropout import Dropout
from .dropout import dropout as drop
from .onednn import Linear, linear

EVERY = slice(None)  # every token is read
FEW_TOKENS = 128  # on a CPU, plain products are the fastest attention up to this many
LANES = 16  # float32 numbers in a vector of the processor


class CausalTransformer(nn.Module):
    """Pre-norm blocks and a final LayerNorm, without position embeddings: its caller adds what marks time."""

    def __init__(self, layers: int, heads: int, width: int, dropout: float, activation: str) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(Block(heads, width, dropout, activation) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.apply(initialize)

    def forward(self, tokens: Tensor, read: slice = EVERY) -> Tensor:
        """Map (B, L, D) to the outputs (B, R, D) at the tokens `read`; each sees itself and what is before it."""
        return self.extend(tokens, None, read)

    def begin(self, tokens: Tensor) -> Tensor:
        """The part (B, L, 4D) that depends on each token (B, L, D) alone: the token, its first query, key and value."""
        hidden = self.dropout(tokens)
        first = cast(Block, self.blocks[0])
        return torch.cat([hidden, first.project_alone(hidden)], dim=-1)

    def finish(self, begun: Tensor, read: slice = EVERY) -> Tensor:
        """Compute `forward` from what `begin` made of the tokens, (B, L, 4D)."""
        hidden, projected = begun.tensor_split((begun.shape[-1] // 4,), dim=-1)
        return self._layers(hidden, None, read, projected)

    def new_past(self) -> "KeysAndValues":
        """An empty memory for `extend`."""
        return KeysAndValues.of(len(self.blocks))

    def extend(self, tokens: Tensor, past: "KeysAndValues | None", read: slice = EVERY) -> Tensor:
        """Compute `forward` for tokens that follow those in `past`; they attend to these too, and join them."""
        return self._layers(self.dropout(tokens), past, read)

    def _layers(
        self, hidden: Tensor, past: "KeysAndValues | None", read: slice, projected: Tensor | None = None
    ) -> Tensor:
        for layer, block in enumerate(self.blocks):
            last = layer == len(self.blocks) - 1
            own = projected if layer == 0 else None
            hidden = block(hidden, past and partial(past.extend, layer), read if last else EVERY, own)
        normed: Tensor = self.norm(hidden)
        return normed


@dataclass
class KeysAndValues:
    """Keys and values of the tokens read so far, for acting; they have no gradients.

    Each layer has room for more tokens than it holds, so that adding a few does not move the others.
    """

    layers: list[Tensor | None]  # (2, B, H, room, D / H) each, None before the first tokens
    lengths: list[int]  # tokens of each

    @classmethod
    def of(cls, layers: int) -> "KeysAndValues":
        """Empty keys and values for `layers` layers."""
        return cls([None] * layers, [0] * layers)

    def extend(self, layer: int, added: Tensor) -> Tensor:
        """Add a layer's keys and values (2, B, H, L, D / H) of new tokens; return those of all."""
        before = self.lengths[layer]
        after = self.lengths[layer] + added.shape[-2]
        kept = self.layers[layer]
        if kept is None or kept.shape[-2] < after:
            larger = added.new_empty(*added.shape[:-2], 2 * after, added.shape[-1])
            if kept is not None:
                larger[..., :before, :] = kept[..., :before, :]
            self.layers[layer] = kept = larger
        kept[..., before:after, :] = added
        self.lengths[layer] = after
        return kept[..., :after, :]

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows of the batch, in this order."""
        self.layers = [layer if layer is None else layer[:, indices] for layer in self.layers]


class Block(nn.Module):
    """Attention and a two-layer network of four times the width, each after a LayerNorm and added to its input."""

    def __init__(self, heads: int, width: int, dropout: float, activation: str) -> None:
        super().__init__()
        self.heads = heads
        self.attention_dropout = dropout
        self.norm_attention = nn.LayerNorm(width)
        self.norm_network = nn.LayerNorm(width)
        self.query_key_value = Linear(width, 3 * width)
        self.project = Linear(width, width)
        self.expand = Linear(width, 4 * width)
        self.contract = Linear(4 * width, width)
        self.activation = ACTIVATIONS[activation]
        self.dropout = Dropout(dropout)

    def forward(
        self,
        hidden: Tensor,
        extend: Callable[[Tensor], Tensor] | None = None,
        read: slice = EVERY,
        projected: Tensor | None = None,
    ) -> Tensor:
        """Map (B, L, D) to (B, R, D). `extend` adds keys and values to those of earlier tokens.

        `projected` is the result of `project_alone`, if it is at hand.
        """
        attended = self.attend(hidden, extend, read, projected)
        hidden = hidden[:, read] + self.dropout(self.project(attended))
        expanded = self.activation(self.expand(self.norm_network(hidden)))
        return hidden + torch.as_tensor(self.dropout(self.contract(expanded)))

    def project_alone(self, hidden: Tensor) -> Tensor:
        """Map (B, L, D) to queries, keys and values (B, L, 3D): each token's depend on it alone."""
        projected: Tensor = self.query_key_value(self.norm_attention(hidden))
        return projected

    def attend(
        self, hidden: Tensor, extend: Callable[[Tensor], Tensor] | None, read: slice, projected: Tensor | None
    ) -> Tensor:
        """Causal self-attention of the tokens `read` among (B, L, D); the result (B, R, D) has heads side by side."""
        query, *keys_values = self._project(hidden, read, projected)
        key, value = extend(torch.stack(keys_values)) if extend else keys_values
        places = Places(hidden.shape[1], read)
        return causal_attention(query, key, value, places, self.attention_dropout if self.training else 0.0)

    def _project(self, hidden: Tensor, read: slice, projected: Tensor | None) -> Sequence[Tensor]:
        """Queries (B, H, R, D / H) of the tokens `read`; keys and values (B, H, L, D / H) of all."""
        if projected is not None or read == EVERY:
            every = self.project_alone(hidden) if projected is None else projected
            queries, keys, values = split_heads(every, 3, self.heads)
            return [queries[:, :, read], keys, values]
        normed = self.norm_attention(hidden)
        (weight, bias) = self.query_key_value.parameters()
        width = hidden.shape[-1]
        query = linear(normed[:, read], weight[:width], bias[:width])
        keys_values = linear(normed, weight[width:], bias[width:])
        return [*split_heads(query, 1, self.heads), *split_heads(keys_values, 2, self.heads)]


def split_heads(projected: Tensor, parts: int, heads: int) -> Sequence[Tensor]:
    """Split (B, L, parts x D) into its parts, each (B, H, L, D / H), a view."""
    batch, length, width = projected.shape
    return projected.view(batch, length, parts, heads, width // parts // heads).permute(2, 0, 3, 1, 4).unbind()


@dataclass(frozen=True)
class Places:
    """The tokens that have queries: those `read` among the last `length`."""

    length: int  # L
    read: slice


def causal_attention(
    query: Tensor, key: Tensor, value: Tensor, places: Places, dropout: float = 0.0, scale: float | None = None
) -> Tensor:
    """Softmax(scale QK^T) V of each query over its own token and earlier ones, heads side by side: (B, R, D).

    Queries (B, H, R, D / H) are those at `places`; keys and values (B, H, seen, D / H) those of all tokens. Of these
    there may be fewer heads, each for as many neighbours among the queries' (Ainslie et al. 2023, arXiv 2305.13245).
    The default scale is 1 / sqrt(D / H).

    On a CPU plain products are faster than the fused kernel for the few dozen tokens of a Decision Transformer's
    context, and with dropout. In bfloat16 they are several times faster, except without gradients on a processor with
    matrix tiles for it.
    """
    batch, heads, rows, width = query.shape
    seen = key.shape[-2]
    grouped = key.shape[1] < heads
    scale = 1 / math.sqrt(width) if scale is None else scale
    if not query.is_cuda and (dropout > 0 or seen <= FEW_TOKENS or not _fused_is_fast(query)):
        mixed = _plain_attention(query, key, value, _future(query, seen, places, max(0, LANES - seen)), dropout, scale)
    elif seen == places.length and places.read == EVERY:
        mixed = F.scaled_dot_product_attention(
            query, key, value, dropout_p=dropout, is_causal=True, scale=scale, enable_gqa=grouped
        )
    else:
        future = _future(query, seen, places)
        mixed = F.scaled_dot_product_attention(query, key, value, future, dropout, scale=scale, enable_gqa=grouped)
    return mixed.transpose(1, 2).reshape(batch, rows, heads * width)


def _fused_is_fast(query: Tensor) -> bool:
    """Check whether a CPU's fused kernel is fast in the precision of the queries' products.

    That is autocast's precision if it is on: acting keeps float32 tokens, which are rounded when they enter.
    """
    rounded = torch.is_autocast_enabled("cpu")
    precision = torch.get_autocast_dtype("cpu") if rounded else query.dtype
    if precision == torch.bfloat16 and not torch.is_grad_enabled():
        return bool(torch.cpu._is_amx_tile_supported())
    return precision == torch.float32


def _future(query: Tensor, seen: int, places: Places, padding: int = 0) -> Tensor:
    """The mask (R, seen + padding) of scores: 0, or minus infinity for later tokens and in the padding."""
    first = seen - places.length  # how many tokens are before those of `places`
    return query.new_full((places.length, seen + padding), -math.inf).triu(1 + first)[places.read]


def _plain_attention(query: Tensor, key: Tensor, value: Tensor, future: Tensor, dropout: float, scale: float) -> Tensor:
    """Attention by products. If `future` has more columns than there are keys, zeros take their places.

    PyTorch's softmax is up to eight times slower on rows that are shorter than a vector of the processor.
    """
    if missing := future.shape[-1] - key.shape[-2]:
        key, value = (F.pad(part, (0, 0, 0, missing)) for part in (key, value))
    keys = key.flatten(0, 1)
    values = value.flatten(0, 1)
    if (share := query.shape[1] // key.shape[1]) > 1:  # of one head of keys: its queries are rows of one product
        future = future.repeat(share, 1)
    queries = query.reshape(len(keys), -1, query.shape[-1])
    scores = torch.baddbmm(future, queries, keys.mT, alpha=scale)
    weights = torch.softmax(scores, -1)
    return torch.bmm(drop(weights, dropout) if dropout else weights, values).view_as(query)


def initialize(module: nn.Module) -> None:
    """GPT-2's initialisation: normal weights of standard deviation 0.02, zero biases."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def relu(hidden: Tensor) -> Tensor:
    """Rectify, in place without gradients, which saves a twentieth of the transformer's time in an evaluation."""
    return F.relu(hidden, inplace=not torch.is_grad_enabled())


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
}
