"""Sentences through an encoder of the BERT family without padding, put together from transformers' layers.

Sentences differ in length. Side by side and as long as the longest, a fifth or more of what is multiplied is padding;
here all tokens are the rows of one matrix, and only attention sees which belong together. Weights, names and embeddings
stay transformers'.

Shapes: P sentences, T tokens of them all, S sentences of a bucket, L tokens of its longest, D width, H heads, E a
head's width.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

BUCKET = 16  # sentences that attend side by side, padded: neighbours in a batch, which is ordered by length


@dataclass(frozen=True)
class Bucket:
    """Sentences that follow each other in a batch, as attention sees them."""

    tokens: slice  # of the T
    places: Tensor  # (tokens,) of each token among S * L
    size: tuple[int, int]  # S, L
    padding: Tensor | None  # (S, 1, 1, L) bool; None where all are equally long


@dataclass(frozen=True)
class Packed:
    """Sentences one behind the other."""

    positions: Tensor  # (T,) of each token in its sentence, from 0
    sentence_of: Tensor  # (T,)
    lengths: Tensor  # (P,)
    buckets: tuple[Bucket, ...]

    def means(self, hidden: Tensor) -> Tensor:
        """The mean (P, D) of each sentence's hidden states (T, D)."""
        sums = hidden.new_zeros(len(self.lengths), hidden.shape[1]).index_add(0, self.sentence_of, hidden)
        return sums / self.lengths[:, None]


def pack(lengths: Sequence[int]) -> Packed:
    """Sentences of these lengths, all above 0, in this order; little is padded where neighbours are equally long."""
    counts = torch.tensor(lengths)
    ends = counts.cumsum(0)
    sentence_of = torch.repeat_interleave(torch.arange(len(lengths)), counts)
    positions = torch.arange(int(ends[-1])) - (ends - counts)[sentence_of]
    buckets = []
    for first in range(0, len(lengths), BUCKET):
        own = counts[first : first + BUCKET]
        tokens = slice(int(ends[first] - counts[first]), int(ends[first + len(own) - 1]))
        longest = int(own.max())
        places = (sentence_of[tokens] - first) * longest + positions[tokens]
        padding = torch.arange(longest) >= own[:, None]  # (S, L)
        buckets.append(
            Bucket(tokens, places, (len(own), longest), padding[:, None, None] if bool(padding.any()) else None)
        )
    return Packed(positions, sentence_of, counts, tuple(buckets))


def embed(encoder: Any, ids: Tensor, packed: Packed, first_position: int) -> Tensor:
    """The embeddings (T, D) of tokens (T,); sentences begin at `first_position` of the position embeddings."""
    positions = packed.positions + first_position
    embedded: Tensor = encoder.embeddings(input_ids=ids[None], position_ids=positions[None])
    return embedded[0]


def read_tokens(blocks: Iterable[Any], hidden: Tensor, packed: Packed) -> Tensor:
    """Map hidden states (T, D) to those behind the given layers, (T, D)."""
    for block in blocks:
        mixed = _attended(block.attention.self, hidden, packed)
        hidden = block.attention.output(mixed, hidden)
        hidden = block.output(block.intermediate(hidden), hidden)
    return hidden


def _attended(attention: Any, hidden: Tensor, packed: Packed) -> Tensor:
    """Map hidden states (T, D) to what attention mixes of the values of each one's sentence, (T, D)."""
    projected = [layer(hidden) for layer in (attention.query, attention.key, attention.value)]
    heads = torch.stack(projected, 1)  # (T, 3, D)
    mixed = [_mixed(attention, heads[bucket.tokens], bucket) for bucket in packed.buckets]
    return torch.cat(mixed) if len(mixed) > 1 else mixed[0]


def _mixed(attention: Any, heads: Tensor, bucket: Bucket) -> Tensor:
    """Mix the values of a bucket's tokens, (tokens, 3, D) to (tokens, D): softmax(QK'/sqrt(E)) V in each sentence."""
    sentences, longest = bucket.size
    if bucket.padding is None:
        padded = heads
    else:
        padded = heads.new_zeros(sentences * longest, *heads.shape[1:]).index_copy(0, bucket.places, heads)
    split = padded.view(sentences, longest, 3, attention.num_attention_heads, -1)
    query, key, value = split.permute(2, 0, 3, 1, 4)  # (S, H, L, E) each
    scores = query * attention.scaling @ key.mT  # (S, H, L, L)
    if bucket.padding is not None:
        scores = scores.masked_fill(bucket.padding, -torch.inf)
    weights = attention.dropout(scores.softmax(-1))
    mixed: Tensor = (weights @ value).transpose(1, 2).reshape(sentences * longest, -1)
    return mixed if bucket.padding is None else mixed.index_select(0, bucket.places)
