"""Llama's pass over embedded tokens, put together from transformers' layers.

As `gpt2.py` is GPT-2's: the last layer is computed where it is read, and queries, keys and values with their updates
are computed together. Weights, names and the reading of English stay transformers'.

Shapes: B batch, L tokens, R of them that are read, D width, H heads of queries, G of keys and values, E a head's width.
"""

from collections.abc import Sequence
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ...baselines.onednn import linear
from ...baselines.transformer import EVERY, KeysAndValues, Places, causal_attention
from .rounding import RoundedOnce

PROJECTIONS = ("q_proj", "k_proj", "v_proj")


def join_projections(model: Any, _: Sequence[str]) -> None:
    """Lay the frozen weights of a Llama's queries, keys and values beside each other, to be multiplied at once.

    The three layers keep their names and become parts of that one tensor. Its other layers are linear already, so
    the names of those that have updates make no difference.
    """
    for block in model.model.layers:
        attention = block.self_attn
        layers = [getattr(attention, name) for name in PROJECTIONS]
        attention.register_buffer("joined", torch.cat([layer.weight.detach() for layer in layers]), persistent=False)
        attention.rounded = RoundedOnce()
        parts = attention.joined.split([layer.out_features for layer in layers])
        for layer, part in zip(layers, parts, strict=True):
            layer.weight = nn.Parameter(part, requires_grad=layer.weight.requires_grad)


def read_tokens(llama: Any, tokens: Tensor, past: KeysAndValues | None = None, read: slice = EVERY) -> Tensor:
    """Map embedded tokens (B, L, D) to the outputs (B, R, D) of a `LlamaModel` at those `read`.

    The tokens follow those of `past`, and join them there. `llama.drop` is LaMo's dropout: Llama has none by itself.
    """
    before = 0 if past is None else past.lengths[0]
    positions = torch.arange(before, before + tokens.shape[1], device=tokens.device)
    cos, sin = (angles[0] for angles in llama.rotary_emb(tokens, positions[None]))  # (L, E) each
    hidden = llama.drop(tokens)
    for block in llama.layers:
        hidden = _block(block, hidden, (cos, sin), llama.drop, past, read if block is llama.layers[-1] else EVERY)
    return normed(llama.norm, hidden)


def _block(
    block: Any,
    hidden: Tensor,
    angles: tuple[Tensor, Tensor],
    drop: nn.Dropout,
    past: KeysAndValues | None,
    read: slice,
) -> Tensor:
    """One of Llama's layers: of tokens (B, L, D) the outputs (B, R, D) at those `read`."""
    attention = block.self_attn
    query, key, value = _projected(attention, normed(block.input_layernorm, hidden), read)
    query = _rotated(query, angles, read)
    key = _rotated(key, angles, EVERY)
    if past is not None:
        key, value = past.extend(attention.layer_idx, torch.stack([key, value.to(key.dtype)]))
    places = Places(hidden.shape[1], read)
    mixed = causal_attention(query, key, value, places, drop.p if drop.training else 0.0, attention.scaling)
    hidden = hidden[:, read] + drop(attention.o_proj(mixed))
    return torch.as_tensor(hidden + drop(block.mlp(normed(block.post_attention_layernorm, hidden))))


def normed(norm: Any, hidden: Tensor) -> Tensor:
    """Llama's RMSNorm (Zhang and Sennrich 2019, arXiv 1910.07467), whose weights and epsilon `norm` has."""
    if norm.weight.requires_grad or torch.compiler.is_compiling():
        return F.rms_norm(hidden.float(), norm.weight.shape, norm.weight, norm.variance_epsilon)
    return torch.as_tensor(_Norm.apply(hidden.float(), norm.weight, norm.variance_epsilon))  # type: ignore[no-untyped-call]


class _Norm(torch.autograd.Function):
    """RMSNorm with frozen weights: y = w x / r, r = sqrt(mean x^2 + epsilon).

    On a CPU PyTorch puts it together from operations that are twice as many and each go through memory.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        mean = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True).square_().div_(hidden.shape[-1])
        inverse = mean.add_(epsilon).rsqrt_()
        ctx.save_for_backward(hidden, weight, inverse)
        return torch.as_tensor((hidden * inverse).mul_(weight))

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Give dx = (w g - x mean(w g x) / r^2) / r of the gradient g."""
        hidden, weight, inverse = ctx.saved_tensors
        scaled = gradient * weight
        mean = torch.linalg.vecdot(scaled, hidden).unsqueeze(-1).div_(hidden.shape[-1])
        return scaled.mul_(inverse).addcmul_(hidden, mean.mul_(inverse**3), value=-1), None, None


def _projected(attention: Any, hidden: Tensor, read: slice) -> Sequence[Tensor]:
    """Queries (B, H, R, E) of the tokens `read`, keys and values (B, G, L, E) of all."""
    first: Any = attention.q_proj
    if not isinstance(first, LoraLayer) or first.merged or first.disable_adapters:
        inputs = (hidden[:, read], hidden, hidden)
        parts = [getattr(attention, name)(given) for name, given in zip(PROJECTIONS, inputs, strict=True)]
    else:
        dropped = first.lora_dropout["default"](hidden)  # one dropout for all three, as published
        if read == EVERY:
            parts = _updated(attention, PROJECTIONS, hidden, dropped)
        else:
            queries = _updated(attention, PROJECTIONS[:1], hidden[:, read], dropped[:, read])
            parts = [*queries, *_updated(attention, PROJECTIONS[1:], hidden, dropped)]
    return [part.unflatten(-1, (-1, attention.head_dim)).transpose(1, 2) for part in parts]


def _updated(attention: Any, names: Sequence[str], hidden: Tensor, dropped: Tensor) -> list[Tensor]:
    """Project `hidden` by neighbours among `PROJECTIONS`; their updates are given `dropped`.

    Where nothing is learned and tokens are many, updates are added to the weights first, which is less to multiply.
    """
    layers: list[Any] = [getattr(attention, name) for name in names]
    sizes = [layer.out_features for layer in layers]
    before = sum(getattr(attention, name).out_features for name in PROJECTIONS[: PROJECTIONS.index(names[0])])
    rows = slice(before, before + sum(sizes))
    biases = [layer.base_layer.bias for layer in layers]
    bias = None if biases[0] is None else torch.cat(biases)
    downs = [layer.scaling["default"] * layer.lora_A["default"].weight for layer in layers]  # (r, in) each
    ups = [layer.lora_B["default"].weight for layer in layers]  # (out, r) each
    if not (attention.training or torch.is_grad_enabled()) and hidden.shape[:-1].numel() > hidden.shape[-1]:
        updates = torch.cat([up @ down for up, down in zip(ups, downs, strict=True)])
        return list(torch.split(linear(hidden, attention.joined[rows] + updates, bias), sizes, dim=-1))
    reduced = torch.split(linear(dropped, torch.cat(downs), None), [len(down) for down in downs], dim=-1)
    projected = torch.split(linear(hidden, attention.rounded(attention.joined)[rows], bias), sizes, dim=-1)
    return [part + linear(low, up, None) for part, low, up in zip(projected, reduced, ups, strict=True)]


def _rotated(heads: Tensor, angles: tuple[Tensor, Tensor], read: slice) -> Tensor:
    """Queries or keys (B, H, R, E), turned by their positions (Su et al. 2021, arXiv 2104.09864, as Llama lays it out).

    The two coordinates of a plane are half a head apart.
    """
    cos, sin = (angle[read] for angle in angles)
    first, second = heads.chunk(2, dim=-1)
    return heads * cos + torch.cat([-second, first], dim=-1) * sin
