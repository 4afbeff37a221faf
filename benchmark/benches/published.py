"""The published model, re-created from its description: GPT-2 as transformers 4 had it, in a Decision Transformer.

Operation by operation as described: attention from plain products under a causal mask and a padding mask, the tanh
approximation of GELU spelled out, LaMo's updates as loralib's merged layer (one pair of matrices for each of queries,
keys and values, applied as a grouped convolution), windows padded on the left. It takes the weights of one of our
policies, so that both can be asked for the same loss and the same actions.

It stands here and not beside the tests because `lamobench bench` measures against it wherever it is installed: the rows
`lamo-step` and `dt-step` (`steps.py`) and those of evaluation (`evaluation.py`).

Shapes: B batch, K context, L = 3K tokens, D width, H heads, S observation, A action, R rank.
"""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...baselines.decision_transformer import DecisionTransformer
from ...baselines.onednn import Linear
from ...baselines.transformer import Block, CausalTransformer
from ...datasets.windows import ContextBatch
from ..lm.lamo import LaMo

MASKED = -1e4  # what GPT-2's code of that time adds to scores that are not to count


class Projection(nn.Module):
    """GPT-2's linear layer, whose weight is (in, out)."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = nn.Parameter(bias.detach().clone())

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        shape = (*hidden.shape[:-1], self.weight.shape[1])
        return torch.addmm(self.bias, hidden.reshape(-1, hidden.shape[-1]), self.weight).view(shape)


class MergedUpdate(nn.Module):
    """A projection to queries, keys and values with a low-rank update of each, as loralib's merged layer has it."""

    updated: Tensor

    def __init__(self, base: Projection, down: Tensor, up: Tensor, scaling: float, dropout: float) -> None:
        """`down` (3R, in) and `up` (out, R): the three pairs one below the other."""
        super().__init__()
        self.base = base
        self.scaling = scaling
        self.dropout = nn.Dropout(dropout)
        self.down = nn.Parameter(down.detach().clone())
        self.up = nn.Parameter(up.detach().clone())
        self.register_buffer("updated", torch.ones(up.shape[0], dtype=torch.bool))

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (B, L, in) to (B, L, out)."""
        result = F.linear(hidden, self.base.weight.T, self.base.bias)
        reduced = F.linear(self.dropout(hidden), self.down)
        grouped = F.conv1d(reduced.transpose(-2, -1), self.up.unsqueeze(-1), groups=3).transpose(-2, -1)
        padded = result.new_zeros(result.shape).view(-1, result.shape[-1])
        padded[:, self.updated] = grouped.reshape(-1, result.shape[-1])
        return result + padded.view(result.shape) * self.scaling


class PublishedBlock(nn.Module):
    """One layer."""

    causal: Tensor

    def __init__(self, norms: tuple[nn.LayerNorm, nn.LayerNorm], layers: tuple[nn.Module, ...], form: "About") -> None:
        """`layers`: to queries, keys and values; out of attention; the network's two."""
        super().__init__()
        self.norm_attention = copy.deepcopy(norms[0])
        self.norm_network = copy.deepcopy(norms[1])
        self.project_in, self.project_out, self.expand, self.contract = layers
        self.heads = form.heads
        self.relu = form.relu
        self.dropout_attention = nn.Dropout(form.dropout)
        self.dropout_out = nn.Dropout(form.dropout)
        self.dropout_network = nn.Dropout(form.dropout)
        self.register_buffer("causal", torch.ones(form.longest, form.longest, dtype=torch.uint8).tril())

    def forward(self, hidden: Tensor, padding: Tensor | None) -> Tensor:
        """Map (B, L, D) to (B, L, D); `padding` (B, 1, 1, L) is added to the scores."""
        hidden = hidden + self._attend(self.norm_attention(hidden), padding)
        expanded = self.expand(self.norm_network(hidden))
        active = F.relu(expanded) if self.relu else gelu_spelled_out(expanded)
        return torch.as_tensor(hidden + self.dropout_network(self.contract(active)))

    def _attend(self, normed: Tensor, padding: Tensor | None) -> Tensor:
        batch, length, width = normed.shape
        split = self.project_in(normed).split(width, dim=2)
        query, key, value = (part.view(batch, length, self.heads, -1).permute(0, 2, 1, 3) for part in split)
        scores = torch.matmul(query, key.transpose(-1, -2)) / math.sqrt(value.shape[-1])
        scores = torch.where(self.causal[:length, :length].bool(), scores, torch.tensor(MASKED))
        scores = scores if padding is None else scores + padding
        mixed = torch.matmul(self.dropout_attention(scores.softmax(-1)), value)
        merged = mixed.permute(0, 2, 1, 3).contiguous().view(batch, length, width)
        return torch.as_tensor(self.dropout_out(self.project_out(merged)))


def gelu_spelled_out(inputs: Tensor) -> Tensor:
    """The tanh approximation of GELU, operation by operation."""
    return 0.5 * inputs * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (inputs + 0.044715 * torch.pow(inputs, 3.0))))


class About:
    """Sizes that every layer of a model has."""

    def __init__(self, heads: int, longest: int, dropout: float, relu: bool) -> None:
        self.heads = heads
        self.longest = longest
        self.dropout = dropout
        self.relu = relu


class PublishedModel(nn.Module):
    """Embeddings, layers and head, with the weights of one of our policies; it can also be asked for words."""

    embed_return: nn.Module
    embed_state: nn.Module
    embed_action: nn.Module
    embed_time: nn.Module
    embed_norm: nn.Module
    head: nn.Module
    normalize: nn.Module

    def __init__(self, policy: DecisionTransformer | LaMo) -> None:
        """Position embeddings, which the published model leaves out, have to be zero in `policy`."""
        super().__init__()
        ours = policy.model
        self.context = policy.context
        self.return_scale = ours.return_scale
        self.norm_before_time = ours.norm_before_time
        for name in ("embed_return", "embed_state", "embed_action", "embed_time", "embed_norm", "head", "normalize"):
            setattr(self, name, _plain(copy.deepcopy(getattr(ours, name))))
        self.bounds = copy.deepcopy(ours.bounds)
        blocks, norm, dropout, words = _of_lamo(policy) if isinstance(policy, LaMo) else _of_dt(policy)
        self.blocks = nn.ModuleList(blocks)
        self.norm = copy.deepcopy(norm)
        self.dropout = nn.Dropout(dropout)
        self.words = words
        if words is not None:
            self.requires_grad_(False)
            for name, parameter in self.named_parameters():
                updates = (".down", ".up", "project_in.base.bias")
                parameter.requires_grad_(name.endswith(updates) or name.startswith(("embed", "head")))

    def hidden(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """Map embedded tokens (B, L, D) to (B, L, D); `mask` (B, L) is 1 on real tokens."""
        padding = None if mask is None else (1.0 - mask[:, None, None].to(tokens.dtype)) * MASKED
        hidden = self.dropout(tokens)
        for block in self.blocks:
            hidden = block(hidden, padding)
        return torch.as_tensor(self.norm(hidden))

    def forward(
        self, observations: Tensor, actions: Tensor, returns: Tensor, timesteps: Tensor, mask: Tensor
    ) -> Tensor:
        """Actions (B, K, A) of windows padded on the left: normalised observations, scaled returns (B, K, 1)."""
        embedded = (self.embed_return(returns), self.embed_state(observations), self.embed_action(actions))
        time = self.embed_time(timesteps)
        if self.norm_before_time:
            tokens = self.embed_norm(_interleaved(*embedded)) + _interleaved(time, time, time)
        else:
            tokens = self.embed_norm(_interleaved(*(part + time for part in embedded)))
        hidden = self.hidden(tokens, _interleaved(mask[..., None], mask[..., None], mask[..., None])[..., 0])
        per_kind = hidden.reshape(len(hidden), -1, 3, hidden.shape[-1]).permute(0, 2, 1, 3)
        return torch.as_tensor(self.head(per_kind[:, 1]))

    def language_loss(self, ids: Tensor) -> Tensor:
        """Cross entropy of `ids` (B, L), each predicted from those before it."""
        assert self.words is not None, "a Decision Transformer has no words"
        logits = F.linear(self.hidden(F.embedding(ids, self.words), None), self.words)
        before = logits[..., :-1, :].contiguous()
        after = ids[..., 1:].contiguous()
        return F.cross_entropy(before.view(-1, before.shape[-1]), after.view(-1))

    def act(self, observations: Tensor, actions: Tensor, returns: Tensor, timesteps: Tensor) -> Tensor:
        """The newest action (A,) of one history of any length, cut to K steps and padded on the left to as many."""
        cut = [part[-self.context :] for part in (observations, actions, returns, timesteps)]
        size = len(cut[0])
        padded = [torch.cat([part.new_zeros((self.context - size, *part.shape[1:])), part])[None] for part in cut]
        mask = torch.cat([torch.zeros(self.context - size), torch.ones(size)]).long()[None]
        return torch.as_tensor(self.bounds.clip(self(*padded, mask)[0, -1]))


def _plain(module: nn.Module) -> nn.Module:
    """The same with PyTorch's own linear layers in the place of ours."""
    if isinstance(module, Linear):
        plain = nn.Linear(module.in_features, module.out_features)
        plain.weight = module.weight
        plain.bias = module.bias
        return plain
    for name, part in list(module.named_children()):
        setattr(module, name, _plain(part))
    return module


def published_loss(model: PublishedModel, windows: tuple[Tensor, ...]) -> Tensor:
    """Mean squared error over the real steps of what `as_published` returns."""
    observations, actions, returns, timesteps, mask = windows
    predicted = model(observations, actions, returns, timesteps, mask)
    size = actions.shape[-1]
    real = mask.reshape(-1) > 0
    return torch.mean((predicted.reshape(-1, size)[real] - actions.reshape(-1, size)[real]) ** 2)


def as_published(batch: ContextBatch, model: PublishedModel) -> tuple[Tensor, ...]:
    """The windows of one of our batches, normalised, scaled, and padded on the left."""
    size = batch.mask.sum(1)
    order = (torch.arange(batch.mask.shape[1]) + size[:, None]) % batch.mask.shape[1]  # padding first
    rows = torch.arange(len(order))[:, None]
    observations = model.normalize(batch.observations)
    returns = batch.returns_to_go[..., None] / model.return_scale
    moved = (observations, batch.actions, returns, batch.timesteps, batch.mask.long())
    return tuple(part[rows, order] for part in moved)


def _interleaved(first: Tensor, second: Tensor, third: Tensor) -> Tensor:
    """Interleave three (B, K, ...) into one (B, 3K, ...)."""
    stacked = torch.stack((first, second, third), dim=1).permute(0, 2, 1, 3)
    return stacked.reshape(len(first), -1, first.shape[-1])


def _of_lamo(policy: LaMo) -> tuple[list[PublishedBlock], nn.Module, float, Tensor]:
    gpt2 = policy.language_model.transformer
    config = policy.config
    assert not gpt2.wpe.weight.any(), "the published model has no position embeddings"
    about = About(gpt2.config.n_head, gpt2.config.n_positions, config.dropout, relu=False)
    blocks = [_lamo_block(block, policy, about) for block in gpt2.h]
    return blocks, gpt2.ln_f, config.dropout, gpt2.wte.weight.detach()


def _lamo_block(block: Any, policy: LaMo, form: About) -> PublishedBlock:
    config = policy.config
    split = [getattr(block.attn.c_attn, part) for part in "qkv"]
    weight = torch.cat([part.base_layer.weight.T for part in split], dim=1)
    base = Projection(weight, torch.cat([part.base_layer.bias for part in split]))
    down = torch.cat([part.lora_A["default"].weight for part in split])
    up = torch.cat([part.lora_B["default"].weight for part in split])
    merged = MergedUpdate(base, down, up, config.lora_alpha / config.lora_rank, config.lora_dropout)
    rest = (Projection(layer.weight, layer.bias) for layer in (block.attn.c_proj, block.mlp.c_fc, block.mlp.c_proj))
    return PublishedBlock((block.ln_1, block.ln_2), (merged, *rest), form)


def _of_dt(policy: DecisionTransformer) -> tuple[list[PublishedBlock], nn.Module, float, None]:
    backbone = policy.model.backbone
    config = policy.config
    assert isinstance(backbone, CausalTransformer)
    about = About(config.heads, 3 * config.context, config.dropout, relu=True)
    assert config.activation == "relu", "as published"
    blocks = [_dt_block(block, about) for block in backbone.blocks]  # type: ignore[arg-type]
    return blocks, backbone.norm, config.dropout, None


def _dt_block(block: Block, form: About) -> PublishedBlock:
    layers = (block.query_key_value, block.project, block.expand, block.contract)
    projections = tuple(Projection(layer.weight.T, layer.bias) for layer in layers)
    return PublishedBlock((block.norm_attention, block.norm_network), projections, form)
